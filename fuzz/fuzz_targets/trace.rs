//! Whole traces from bytes: every line read or refused, and the replay against the sequential model.
#![no_main]

#[path = "../../engine/tests/model/mod.rs"]
mod model;
#[path = "../../harness/tests/fuzzed/trace.rs"]
mod trace;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| trace::run(input));
