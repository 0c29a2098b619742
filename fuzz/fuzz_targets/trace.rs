//! Whole traces from bytes: every line read or refused, and the replay against the sequential model.
//!
//! Of the harness only the files that read and replay: with all that its comparison and its reports need, the build would take minutes.
#![no_main]
#![allow(dead_code, reason = "the target uses a part of the harness")]

extern crate self as holocast_harness;

#[path = "../../harness/src/failure.rs"]
pub mod failure;
#[path = "../../harness/tests/fuzzed/trace.rs"]
mod fuzzed;
#[path = "../../engine/tests/model/mod.rs"]
mod model;
#[path = "../../harness/src/ready.rs"]
pub mod ready;
#[path = "../../harness/src/replay/mod.rs"]
pub mod replay;
#[path = "../../harness/src/trace/mod.rs"]
pub mod trace;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzed::run(input));
