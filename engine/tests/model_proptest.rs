//! The engine against the sequential model on random scripts over a small universe.
//!
//! A failing script is shrunk, printed, and saved as a trace file for `holocast replay`.

mod model;

use model::drive::{self, Setup};
use model::ops::{OP_BYTES, Op};
use model::seats::Form;
use model::trace;
use proptest::collection::vec;
use proptest::prelude::{any, prop_oneof};
use proptest::test_runner::{Config, TestError, TestRunner};

/// Scripts a run.
const CASES: u32 = 1_024;

/// Scripts a run on lanes, each in all of the forms.
const CASES_ON_LANES: u32 = 512;

/// The longest script, in operations.
const LONGEST: usize = 200;

/// All rules at once: after each operation every event taken, every returned receipt and drop, every count and every
/// answer about the state are those of the model.
#[test]
fn the_engine_and_the_model_agree_on_every_script() {
    agree(CASES, &[Form::OWN]);
}

/// The same rules wherever connections live: on one lane or several, some with queues of their own, on another lane after each connect,
/// and on lanes that are dropped.
#[test]
fn the_engine_and_the_model_agree_on_every_script_with_connections_on_lanes() {
    agree(CASES_ON_LANES, &Form::ON_LANES);
}

/// Each script in all of the forms.
fn agree(cases: u32, forms: &[Form]) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    // One in eight may be long; the universe is so small that short ones collide too.
    let operation = any::<[u8; OP_BYTES]>;
    let operations = prop_oneof![7 => vec(operation(), 1..=LONGEST / 4), 1 => vec(operation(), 1..=LONGEST)];
    let scripts = (any::<[u8; 2]>(), operations);
    let outcome = TestRunner::new(config).run(&scripts, |(setup, bytes)| {
        let script = Op::script(bytes.as_flattened());
        let mut setups = forms.iter().map(|form| Setup::from_bytes(setup).in_form(*form));
        let mismatch = setups.find_map(|setup| {
            drive::run(setup, &script).err().map(|mismatch| format!("{mismatch}\nsetup: {setup:?}"))
        });
        mismatch.map_or(Ok(()), |reason| Err(proptest::test_runner::TestCaseError::fail(reason)))
    });
    let Err(failure) = outcome else { return };
    let TestError::Fail(reason, (_, bytes)) = failure else { panic!("{failure}") };
    let script = Op::script(bytes.as_flattened());
    let listing: Vec<String> =
        script.iter().enumerate().map(|(step, op)| format!("  {step}: {op:?}")).collect();
    let saved = trace::save(&script)
        .map_or_else(|error| format!("not saved: {error}"), |path| path.display().to_string());
    panic!("{reason}\nscript:\n{}\ntrace: {saved}", listing.join("\n"));
}

/// Section 8: the trace of a script is one JSON object a line, each an operation of the format.
#[test]
fn a_trace_of_any_script_is_json_lines_of_the_format() {
    let known = [
        "connect",
        "reconnect",
        "disconnect",
        "identify",
        "subscribe",
        "unsubscribe",
        "unsubscribe_all",
        "broadcast",
        "broadcast_except",
        "transition",
        "deltas",
    ];
    let bytes: Vec<u8> = (0..66 * 7 * OP_BYTES).map(|n| (n / 7 + n % OP_BYTES * 37) as u8).collect();
    let mut kinds: Vec<u8> = Vec::new();
    for kind in 0..66_u8 {
        for variant in 0..7_u8 {
            kinds.extend([
                kind,
                variant * 3,
                variant * 5,
                variant * 7,
                variant * 11,
                variant * 13,
                variant * 17,
                variant,
            ]);
        }
    }
    for script in [Op::script(&bytes), Op::script(&kinds)] {
        for line in trace::lines(&script).lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            let op = value["op"].as_str().expect("an operation has a name");
            assert!(known.contains(&op), "{line}");
        }
    }
}
