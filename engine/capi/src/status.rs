//! How a call ends: a status, and for the thread that made it the reason in words. No panic leaves a call.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use holocast::{ChannelError, ConfigError, Error, NameError};

use crate::raw::Text;

/// How a call ended. Whatever is not OK, EMPTY, TIMEOUT or CLOSED has changed nothing.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It did what it says.
    Ok = 0,
    /// No event is queued.
    Empty = 1,
    /// No event came in time.
    Timeout = 2,
    /// The end was handed out before; nothing will come.
    Closed = 3,
    /// A pointer that must not be null is.
    NullPointer = 4,
    /// A text is not UTF-8.
    NotUtf8 = 5,
    /// A kind, a policy, a length or an alignment that there is not.
    InvalidArgument = 6,
    /// Events of this kind don't have what was asked for.
    WrongEvent = 7,
    /// Not a channel, or one beyond the limits.
    InvalidChannel = 8,
    /// A name beyond the limits.
    NameTooLong = 9,
    /// No further connection can be held.
    TooManyConnections = 10,
    /// The engine was shut down.
    ShutDown = 11,
    /// Tokens were presented, and the engine has no key to verify them with.
    NoSigningKey = 12,
    /// A setting out of its range.
    InvalidConfig = 13,
    /// Refused for a reason that has no status of its own yet; the last error tells it.
    Refused = 14,
    /// A fault of the library's own was caught; what the call was to do may be done in part. Please report it.
    Panic = 15,
}

impl Status {
    const ALL: [(Status, &'static CStr); 16] = [
        (Status::Ok, c"done"),
        (Status::Empty, c"no event is queued, wait or try again"),
        (Status::Timeout, c"no event came in time, wait again"),
        (Status::Closed, c"the connection has ended, free it"),
        (Status::NullPointer, c"a pointer that must not be null is"),
        (Status::NotUtf8, c"a text is not UTF-8"),
        (Status::InvalidArgument, c"there is no such kind, policy, length or alignment"),
        (Status::WrongEvent, c"an event of this kind does not have that"),
        (Status::InvalidChannel, c"not a channel, or one beyond the limits"),
        (Status::NameTooLong, c"a name is beyond the limits"),
        (Status::TooManyConnections, c"there is no room for another connection"),
        (Status::ShutDown, c"the engine was shut down"),
        (Status::NoSigningKey, c"there is no signing key"),
        (Status::InvalidConfig, c"a setting is out of its range"),
        (Status::Refused, c"refused"),
        (Status::Panic, c"a fault of the library's own was caught"),
    ];
}

/// What a status means, in a few words; never null, valid for good.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_status_text(status: u32) -> *const c_char {
    let text = Status::ALL.iter().find(|(known, _)| *known as u32 == status).map(|(_, text)| *text);
    text.unwrap_or(c"there is no such status").as_ptr()
}

/// Why the last call of this thread that did not end with OK did not; empty if there was none. Valid until another one of this thread.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_last_error() -> Text {
    LAST.try_with(|last| Text::lend(&last.borrow())).unwrap_or(Text::lend(""))
}

/// The version of the library. The interface is not frozen before 1.0: use the header of the same version.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version has no NUL"),
        };
    VERSION.as_ptr()
}

thread_local! {
    static LAST: RefCell<Cow<'static, str>> = const { RefCell::new(Cow::Borrowed("")) };
}

/// Why a call did not do what it says.
#[derive(Debug)]
pub(crate) struct Failure {
    status: Status,
    text: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn new(status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into() }
    }

    pub(crate) fn null(what: &str) -> Self {
        Self::new(Status::NullPointer, format!("{what} is null"))
    }

    pub(crate) fn argument(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::InvalidArgument, text)
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it said nothing");
        Self::new(Status::Panic, format!("a fault of the library's own was caught: {text}"))
    }
}

impl From<ChannelError> for Failure {
    fn from(error: ChannelError) -> Self {
        Self::new(Status::InvalidChannel, error.to_string())
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::new(Status::NameTooLong, error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Status::InvalidConfig, error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::Channel(error) => return error.into(),
            Error::Name(error) => return error.into(),
            Error::TooManyConnections { .. } => Status::TooManyConnections,
            Error::ShutDown => Status::ShutDown,
            _ => Status::Refused,
        };
        Self::new(status, error.to_string())
    }
}

/// Runs the work of one call from C. A panic ends here, and is a status.
pub(crate) fn guard(work: impl FnOnce() -> Result<(), Failure>) -> Status {
    // What a panic leaves half done is the engine's to keep whole; it promises that.
    let done = catch_unwind(AssertUnwindSafe(work));
    let Failure { status, text } = match done {
        Ok(Ok(())) => return Status::Ok,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::of_panic(&*panic),
    };
    // A thread that is at its end has no place for it any more.
    let _ = LAST.try_with(|last| *last.borrow_mut() = text);
    status
}
