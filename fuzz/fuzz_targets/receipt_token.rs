//! Receipts as tokens: forged, cut, changed, of another key or version, expired.
#![no_main]

#[path = "../../engine/tests/fuzzed/mod.rs"]
mod fuzzed;
#[path = "../../engine/tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzed::receipt_token::run(input));
