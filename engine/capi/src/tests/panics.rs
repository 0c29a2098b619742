//! No panic crosses the border.

use super::*;
use crate::status::guard;

#[test]
fn a_panic_is_a_status_and_its_words_the_last_error() {
    fails(guard(|| panic!("a fault {}", "on purpose")), Status::Panic, "a fault on purpose");
    fails(guard(|| panic!("another one")), Status::Panic, "another one");
    fails(guard(|| std::panic::panic_any(7)), Status::Panic, "it said nothing");
    assert_eq!(guard(|| Ok(())), Status::Ok);
}

#[test]
fn the_last_error_is_the_threads_own() {
    fails(holocast_shutdown(None, None), Status::NullPointer, "engine is null");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(last_error(), "");
            fails(holocast_stats_of(None, None), Status::NullPointer, "engine is null");
        });
    });
    let engine = engine();
    fails(holocast_stats_of(Some(&engine), None), Status::NullPointer, "stats is null");
}

/// Every function that can do something is wrapped: the source says so.
#[test]
fn every_function_that_returns_a_status_is_guarded() {
    let sources = [
        include_str!("../channel.rs"),
        include_str!("../config.rs"),
        include_str!("../connection.rs"),
        include_str!("../engine.rs"),
        include_str!("../event.rs"),
        include_str!("../lane.rs"),
        include_str!("../receipts.rs"),
        include_str!("../waker.rs"),
    ];
    let mut functions = 0;
    for function in sources.iter().flat_map(|source| source.split("pub extern \"C\" fn ").skip(1)) {
        let (head, body) = function.split_once(" {\n").expect("a body");
        let name = head.split('(').next().expect("a name");
        // The others read a field, or hand over to one of these.
        let reads = ["_text", "_list", "_kind_of", "_default"].iter().any(|end| name.ends_with(end));
        let hands_over = ["    holocast_reconnect(", "    holocast_lane_reconnect("]
            .iter()
            .any(|call| body.starts_with(call));
        assert!(reads || hands_over || body.starts_with("    guard("), "{name} is not guarded");
        functions += 1;
    }
    assert!(functions > 40);
}
