//! The chat workload: its accounting balances, and a seed names it.

use std::path::PathBuf;

use holocast_harness::chat::{Report, measure};
use holocast_harness::cli::ChatArgs;

fn small() -> ChatArgs {
    ChatArgs {
        users: 120,
        rooms: 9,
        operations: Some(6_000),
        out: PathBuf::from("unused"),
        ..ChatArgs::default()
    }
}

fn run(args: &ChatArgs) -> Report {
    let report = measure(args).expect("the engine refuses nothing");
    assert_eq!(report.accounts.faults, Vec::<String>::new());
    assert!(report.deliveries > 0 && report.operations >= 6_000);
    report
}

/// The operations by kind and what they reached: all that does not depend on time.
fn outline(report: &Report) -> serde_json::Value {
    serde_json::to_value(report).expect("a report is JSON")["operations_by_kind"].clone()
}

#[test]
fn b5_every_message_is_accounted_for_whatever_the_threads() {
    for (threads, receivers) in [(1, 1), (2, 2), (4, 1), (1, 3)] {
        let report = run(&ChatArgs { threads, receivers, ..small() });
        let rests = &report.accounts.rests;
        assert_eq!(rests.len(), 3);
        assert_eq!((rests[1].queued, rests[2].queued, rests[2].connections, rests[2].bindings), (0, 0, 0, 0));
        assert_eq!(rests[2].received, report.deliveries);
    }
}

#[test]
fn a_network_of_one_works_too() {
    let args = ChatArgs { users: 1, rooms: 1, threads: 2, operations: Some(500), ..small() };
    let report = measure(&args).expect("the engine refuses nothing");
    assert_eq!(report.accounts.faults, Vec::<String>::new());
}

#[test]
fn a_seed_gives_the_same_operations_again_and_another_seed_others() {
    let once = outline(&run(&small()));
    assert_eq!(once, outline(&run(&small())));
    assert_ne!(once, outline(&run(&ChatArgs { seed: 2, ..small() })));
}
