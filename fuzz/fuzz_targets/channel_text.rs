//! Channels from text, from JSON and from parts.
#![no_main]

#[path = "../../engine/tests/fuzzed/mod.rs"]
mod fuzzed;
#[path = "../../engine/tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzed::channel_text::run(input));
