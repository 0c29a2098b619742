//! Operation sequences against the sequential model: two bytes of settings (policy; capacity, drained at once or not, with lanes or
//! without), then eight an operation.

use crate::model::drive::{self, Setup};
use crate::model::ops::{OP_BYTES, Op};
use crate::model::trace;

/// Longer scripts find nothing that shorter ones don't, and cost the fuzzer its speed.
const LONGEST: usize = 200;

/// The model and the engine agree after every operation.
pub(crate) fn run(input: &[u8]) {
    let (setup, operations) = input.split_at_checked(2).unwrap_or((&[0, 0], &[]));
    let setup = Setup::from_bytes([setup[0], setup[1]]);
    let script = Op::script(&operations[..operations.len().min(LONGEST * OP_BYTES)]);
    if let Err(mismatch) = drive::run(setup, &script) {
        let listing: Vec<String> =
            script.iter().enumerate().map(|(step, op)| format!("  {step}: {op:?}")).collect();
        panic!(
            "{mismatch}\nsetup: {setup:?}\nscript:\n{}\ntrace:\n{}",
            listing.join("\n"),
            trace::lines(&script)
        );
    }
}
