//! Operation sequences against the sequential model of the engine's tests.
#![no_main]

#[path = "../../engine/tests/fuzzed/mod.rs"]
mod fuzzed;
#[path = "../../engine/tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzed::operations::run(input));
