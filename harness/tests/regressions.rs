//! The inputs in `regressions/` (those that once failed or are worth keeping), the fuzzer's seeds and our own traces, run through the
//! body of the fuzz target `trace`.

#[path = "../../engine/tests/model/mod.rs"]
mod model;
#[path = "fuzzed/trace.rs"]
mod trace;

use std::fs;
use std::path::{Path, PathBuf};

/// Section 8, and all rules by the model
#[test]
fn every_kept_trace_is_refused_with_its_line_or_replays_as_the_model_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["tests/regressions/trace", "../fuzz/seeds/trace", "tests/traces"] {
        let folder = here.join(folder);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let inputs: Vec<PathBuf> =
            entries.map(|entry| entry.expect("a folder lists its files").path()).collect();
        assert!(!inputs.is_empty(), "{} holds no input", folder.display());
        for path in inputs {
            let input = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let ran = std::panic::catch_unwind(|| trace::run(&input));
            assert!(ran.is_ok(), "{} fails", path.display());
        }
    }
}
