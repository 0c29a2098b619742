//! The built-in workloads, and how a name on the command line becomes one or a file.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use super::workload::{Size, Variant, Workload, name_of, parse};
use crate::failure::Failure;
use crate::trace::Source;

macro_rules! workload {
    ($name:literal) => {
        ($name, include_str!(concat!("../../workloads/", $name, ".toml")))
    };
}

/// Names and texts.
const WORKLOADS: [(&str, &str); 13] = [
    workload!("chat"),
    workload!("notifications"),
    workload!("firehose"),
    workload!("firehose-million"),
    workload!("churn"),
    workload!("chat-lanes"),
    workload!("firehose-lanes"),
    workload!("churn-lanes"),
    workload!("revoke-storm"),
    workload!("herd"),
    workload!("slow"),
    workload!("tabs"),
    workload!("replay"),
];

/// Those that run if none is named.
const DEFAULT_SET: [&str; 11] = [
    "chat",
    "notifications",
    "firehose",
    "churn",
    "slow",
    "tabs",
    "revoke-storm",
    "herd",
    "chat-lanes",
    "firehose-lanes",
    "churn-lanes",
];

/// The trace of the built-in `replay`.
const TRACE: (&str, &str) = ("replay.jsonl", include_str!("../../workloads/replay.jsonl"));

/// The names of all built-in workloads.
pub fn names() -> impl Iterator<Item = &'static str> {
    WORKLOADS.iter().map(|(name, _)| *name)
}

/// The variants of a built-in workload or of a file; a trace is a workload of its own.
///
/// # Errors
///
/// There is neither, or what is there is no workload.
pub fn find(name: &str, size: Size) -> Result<Vec<Variant>, Failure> {
    if let Some((name, text)) = WORKLOADS.iter().find(|(built_in, _)| *built_in == name) {
        return parse(&format!("{name}.toml"), name, text, size);
    }
    let path = PathBuf::from(name);
    if path.extension().is_none() && !path.exists() {
        let known: Vec<&str> = names().collect();
        let known = known.join(", ");
        return Err(Failure::Input(format!("no workload `{name}`; there are {known}, or name a file")));
    }
    if is_trace(&path) {
        let description = format!("The trace {}.", path.display());
        let settings = Workload { description, trace: Some(path.clone()), ..Workload::default() };
        return Ok(vec![Variant { workload: name_of(&path), name: String::new(), settings }]);
    }
    let text = fs::read_to_string(&path).map_err(|error| Failure::unopened(&path, &error))?;
    let mut variants = parse(name, &name_of(&path), &text, size)?;
    for variant in &mut variants {
        // A trace goes by its place beside the file.
        if let (Some(trace), Some(folder)) = (&mut variant.settings.trace, path.parent()) {
            *trace = folder.join(&*trace);
        }
    }
    Ok(variants)
}

/// Traces go by their names' ends; `.jsonl` may be followed by that of a compressed file.
fn is_trace(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    [".jsonl", ".jsonl.gz"].iter().any(|end| name.ends_with(end))
}

/// All variants of the default set, in short.
///
/// # Errors
///
/// None: a test reads them all.
pub fn default_set() -> Result<Vec<Variant>, Failure> {
    let found: Result<Vec<Vec<Variant>>, Failure> =
        DEFAULT_SET.iter().map(|name| find(name, Size::Quick)).collect();
    Ok(found?.into_iter().flatten().collect())
}

/// Opens a trace: a file, or the built-in one if there is no file of its name.
pub(super) fn trace(path: &Path) -> Result<Source, Failure> {
    let unopened = |error| Failure::unopened(path, &error);
    let (name, text) = TRACE;
    if path == Path::new(name) && !path.exists() {
        return Source::new(name.to_owned(), Cursor::new(text), Some(text.len() as u64)).map_err(unopened);
    }
    Source::open(path).map_err(unopened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_workload_is_read_in_both_sizes_and_says_what_it_is() {
        for name in names() {
            for size in [Size::Full, Size::Quick] {
                for variant in find(name, size).expect(name) {
                    assert!(variant.settings.description.ends_with('.'), "{name}");
                }
            }
        }
        assert!(default_set().expect("the default set").len() >= 11);
    }

    #[test]
    fn what_is_neither_built_in_nor_a_file_is_refused_with_the_names() {
        let message = find("frob", Size::Full).expect_err("no such workload").to_string();
        assert!(message.contains("firehose-million") && !message.contains('\n'), "{message}");
        assert!(
            find("absent.toml", Size::Full).expect_err("no such file").to_string().contains("absent.toml: ")
        );
    }
}
