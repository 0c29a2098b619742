//! Why the command ends without success, and with which exit code.

use std::fmt;
use std::io;
use std::path::Path;

use crate::trace::BadLine;

/// An unsuccessful end.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// Something given to the command is wrong or can't be read: exit code 2.
    Input(String),
    /// Something can't be written: exit code 2.
    Output(String),
    /// The run itself broke a rule, or its accounting does not balance: exit code 1.
    Broken(String),
    /// Whoever read the output has gone: the command ends quietly, as if all had been read.
    OutputClosed,
}

impl Failure {
    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Input(_) | Failure::Output(_) => 2,
            Failure::Broken(_) => 1,
            Failure::OutputClosed => 0,
        }
    }

    /// A line that could not be read.
    pub fn unread(error: &io::Error) -> Self {
        Failure::Input(plain(error))
    }

    /// A file that can't be opened to be read.
    pub fn unopened(path: &Path, error: &io::Error) -> Self {
        Failure::Input(format!("{}: {}", path.display(), plain(error)))
    }

    /// A file or folder that can't be made or written.
    pub fn unwritten(path: &Path, error: &io::Error) -> Self {
        Failure::Output(format!("{}: {}", path.display(), plain(error)))
    }

    /// The same, naming the line of the trace at fault.
    #[must_use]
    pub fn at_line(self, file: &str, line: u64) -> Self {
        match self {
            Failure::Input(message) => Failure::Input(format!("{file}: line {line}: {message}")),
            other => other,
        }
    }
}

/// A line that is no operation.
impl From<BadLine> for Failure {
    fn from(bad: BadLine) -> Self {
        Failure::Input(bad.to_string())
    }
}

/// What is wrong with a write.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::Output(format!("can't write: {}", plain(&error))),
        }
    }
}

/// The reason in words, without the number that the operating system gives it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Input(message) | Failure::Output(message) | Failure::Broken(message) => {
                f.write_str(message)
            }
            Failure::OutputClosed => f.write_str("whoever read the output has gone"),
        }
    }
}

impl std::error::Error for Failure {}
