//! A consumer that reads the token and the cids of every receiver.

use std::hint::{black_box, spin_loop};

use holocast::{Lane, LaneEvent};

/// Reads whatever an event holds; how many deliveries that were, and the params.
pub(super) fn read(event: LaneEvent<u64>) -> (usize, Option<u64>) {
    let LaneEvent::Broadcast(mut batch) = event else { return (0, None) };
    let params = black_box(*batch.params());
    let mut taken = 0;
    for (token, cids) in batch.receivers() {
        black_box(token);
        for cid in cids {
            black_box(cid.as_str());
        }
        taken += 1;
    }
    (taken, Some(params))
}

/// Takes all that waits on any lane; how many deliveries that were.
pub(super) fn drain_all(lanes: &mut [Lane<u64>]) -> usize {
    let mut taken = 0;
    for lane in lanes {
        while let Some(event) = lane.try_recv() {
            taken += read(event).0;
        }
    }
    taken
}

/// All lanes have exactly so many deliveries together.
pub(super) fn take(lanes: &mut [Lane<u64>], due: usize) {
    let count = lanes.len();
    let taken = drain_all(lanes);
    assert_eq!(taken, due, "{count} lanes: messages taken, and messages due");
}

/// Takes until there were so many deliveries.
pub(super) fn drain_until(lane: &mut Lane<u64>, due: usize) {
    let mut taken = 0;
    while taken < due {
        match lane.try_recv() {
            Some(event) => taken += read(event).0,
            None => spin_loop(),
        }
    }
}
