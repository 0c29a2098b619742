//! The inputs in `regressions/` (a folder for each fuzz target: those that once failed or are worth keeping) and the fuzzer's seeds, run
//! through the bodies of the targets.

mod fuzzed;
mod model;

use std::fs;
use std::path::{Path, PathBuf};

/// Runs every file of a target's two folders and names the one that fails.
fn every_input(target: &str, body: fn(&[u8])) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in [here.join("tests/regressions"), here.join("../fuzz/seeds")] {
        let folder = folder.join(target);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let inputs: Vec<PathBuf> =
            entries.map(|entry| entry.expect("a folder lists its files").path()).collect();
        assert!(!inputs.is_empty(), "{} holds no input", folder.display());
        for path in inputs {
            let input = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let ran = std::panic::catch_unwind(|| body(&input));
            assert!(ran.is_ok(), "{} fails", path.display());
        }
    }
}

/// All rules, by the model.
#[test]
fn every_kept_script_runs_as_the_model_says() {
    every_input("operations", fuzzed::operations::run);
}

/// V1, V2, V3
#[test]
fn every_kept_text_is_read_or_refused_and_reads_back_the_same() {
    every_input("channel_text", fuzzed::channel_text::run);
}

/// R5
#[test]
fn every_kept_token_verifies_only_if_it_was_signed_and_is_unchanged() {
    every_input("receipt_token", fuzzed::receipt_token::run);
}

/// B5, C3, C4, C5, Q1, Q2, Q3, Q5
#[test]
fn every_kept_sequence_on_one_queue_runs_as_a_plain_queue_would() {
    every_input("queue", fuzzed::queue::run);
}
