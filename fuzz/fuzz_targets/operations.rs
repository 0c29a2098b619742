//! Operation sequences against the sequential model of the engine's tests: two bytes of settings, then eight an operation.
#![no_main]

#[path = "../../engine/tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;
use model::drive::{self, Setup};
use model::ops::{OP_BYTES, Op};

/// Longer scripts find nothing that shorter ones don't, and cost the fuzzer its speed.
const LONGEST: usize = 200;

fuzz_target!(|input: ([u8; 2], Vec<[u8; OP_BYTES]>)| {
    let (setup, operations) = input;
    let script = Op::script(operations[..operations.len().min(LONGEST)].as_flattened());
    if let Err(mismatch) = drive::run(Setup::from_bytes(setup), &script) {
        let listing: Vec<String> =
            script.iter().enumerate().map(|(step, op)| format!("  {step}: {op:?}")).collect();
        let trace = model::trace::lines(&script);
        panic!(
            "{mismatch}\nsetup: {:?}\nscript:\n{}\ntrace:\n{trace}",
            Setup::from_bytes(setup),
            listing.join("\n")
        );
    }
});
