//! Rule Q4, by counting the heap: a program of its own, because it counts every allocation of its thread.

mod counting;

use counting::held_bytes;
use holocast::{Client, Connection, Identity, Realtime, channel};

fn drain(tabs: &mut [Connection<u64>]) -> usize {
    tabs.iter_mut().map(|tab| std::iter::from_fn(|| tab.try_recv().ok()).count()).sum()
}

/// Q4
#[test]
fn q4_an_idle_queue_holds_no_heap_memory_of_its_own() {
    const TABS: usize = 100;
    let realtime: Realtime<u64> = Realtime::new();
    let room = channel!("room", 42);
    let connect =
        |n| realtime.connect(&Client::new(format!("i{n}")).with_user(7)).expect("names are short").connection;
    let mut tabs: Vec<_> = (0..TABS).map(connect).collect();
    realtime.subscribe(&Identity::user(7), &room, "page").expect("names are short");
    // The first rounds let lazily made parts appear; from then on a drained queue must give everything back.
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut most = 0;
        for n in 0..500 {
            realtime.broadcast_action(&room, "add", n).expect("names are short");
            most = most.max(held_bytes());
        }
        drain(&mut tabs);
        assert!(most > held_bytes() + 500 * TABS as isize, "the measurement sees what is queued");
        idle.push(held_bytes());
    }
    assert_eq!(idle[2], idle[1]);
    assert_eq!(idle[3], idle[1]);
    assert_eq!(drain(&mut tabs), 0);
}
