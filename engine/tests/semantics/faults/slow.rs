//! Slow and stalled receivers, under each overflow policy, with queues of their own and on lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holocast::{CloseReason, Connection, Event, Identity, Lane, LaneEvent, Overflow, Realtime};

use crate::support::{assert_balanced, room, tab_of};

const CAPACITY: usize = 8;
const MAX_WEIGHT: u64 = 20;
const BROADCASTS: u64 = 600;

/// Params that weigh something, and the weight and number of those that live.
struct Load {
    number: u64,
    weight: u64,
    alive: Arc<[AtomicU64; 2]>,
}

impl Load {
    fn new(number: u64, alive: &Arc<[AtomicU64; 2]>) -> Self {
        let weight = 1 + number % 7;
        alive[0].fetch_add(1, Ordering::Relaxed);
        alive[1].fetch_add(weight, Ordering::Relaxed);
        Load { number, weight, alive: Arc::clone(alive) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.alive[0].fetch_sub(1, Ordering::Relaxed);
        self.alive[1].fetch_sub(self.weight, Ordering::Relaxed);
    }
}

enum Receiver {
    Own(Connection<Load>),
    OnLane(Box<Lane<Load>>),
}

enum Heard {
    Number(u64),
    Lost(u64),
    End(CloseReason),
    Control,
}

impl Receiver {
    fn new(realtime: &Realtime<Load>, name: &str, on_lane: bool) -> Self {
        if on_lane {
            let mut lane = realtime.lane();
            lane.connect(&tab_of(name, 7), 1).expect("names are short");
            Self::OnLane(Box::new(lane))
        } else {
            Self::Own(realtime.connect(&tab_of(name, 7)).expect("names are short").connection)
        }
    }

    fn take(&mut self) -> Option<Heard> {
        let event = match self {
            Self::Own(connection) => connection.try_recv().ok()?,
            Self::OnLane(lane) => match lane.try_recv()? {
                LaneEvent::Broadcast(mut batch) => {
                    assert_eq!(batch.receivers().count(), 1);
                    return Some(Heard::Number(batch.params().number));
                }
                LaneEvent::One(_, event) => event,
                LaneEvent::Lagged(lost) => return Some(Heard::Lost(lost)),
                other => panic!("no rule knows {other:?}", other = std::mem::discriminant(&other)),
            },
        };
        Some(match event {
            Event::Broadcast(delivery) => Heard::Number(delivery.params().number),
            Event::Lagged(lost) => Heard::Lost(lost),
            Event::Closed(reason) => Heard::End(reason),
            _ => Heard::Control,
        })
    }
}

/// What one receiver heard, held against the order.
#[derive(Default)]
struct Account {
    heard: u64,
    lost: u64,
    next: u64,
    end: Option<CloseReason>,
}

impl Account {
    fn take(&mut self, receiver: &mut Receiver) -> bool {
        match receiver.take() {
            Some(Heard::Number(number)) => {
                assert!(number >= self.next, "in order, and none twice");
                self.next = number + 1;
                self.heard += 1;
            }
            Some(Heard::Lost(lost)) => self.lost += lost,
            Some(Heard::End(reason)) => self.end = Some(reason),
            Some(Heard::Control) => {}
            None => return false,
        }
        true
    }
}

/// B3, Q1, Q2, B5: publisher and receivers share one thread, so whoever waited for the stalled one would hang here.
#[test]
fn q2_a_stalled_and_a_slow_receiver_cost_bounded_memory_and_nobody_else_anything() {
    for (overflow, on_lane) in [Overflow::Close, Overflow::DropNewest, Overflow::Reset]
        .into_iter()
        .flat_map(|overflow| [(overflow, false), (overflow, true)])
    {
        let realtime = Realtime::builder()
            .queue_capacity(CAPACITY)
            .lane_capacity(CAPACITY)
            .weigh(MAX_WEIGHT, |load: &Load| load.weight)
            .overflow(overflow)
            .build()
            .expect("the settings are valid");
        let names = ["stalled", "slow", "quick"];
        let mut receivers = names.map(|name| Receiver::new(&realtime, name, on_lane));
        assert_eq!(realtime.subscribe(&Identity::user(7), &room(), "page"), Ok(3));
        let [mut stalled, mut slow, mut quick] = names.map(|_| Account::default());
        for (account, receiver) in [&mut stalled, &mut slow, &mut quick].into_iter().zip(&mut receivers) {
            assert!(account.take(receiver), "the grant");
        }

        let alive = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let (mut accepted, mut refused) = (0, 0);
        for number in 0..BROADCASTS {
            let reach = realtime
                .broadcast_action(&room(), "add", Load::new(number, &alive))
                .expect("names are short");
            accepted += reach.reached as u64;
            refused += reach.refused as u64;
            assert!(quick.take(&mut receivers[2]), "the quick one has it already");
            if number % 10 == 0 {
                slow.take(&mut receivers[1]);
            }
            // Two queues hold what they may, and nothing else is kept. A lane is bounded in broadcasts alone.
            let [count, weight] = [&alive[0], &alive[1]].map(|of| of.load(Ordering::Relaxed));
            assert!(count <= 2 * CAPACITY as u64, "{count} messages live");
            assert!(on_lane || weight <= 2 * MAX_WEIGHT, "they weigh {weight}");
            assert_balanced(&realtime);
        }
        assert_eq!((quick.heard, quick.lost, quick.end), (BROADCASTS, 0, None), "{overflow:?} {on_lane}");
        while slow.take(&mut receivers[1]) {}
        while stalled.take(&mut receivers[0]) {}
        let stats = realtime.stats();
        assert_eq!((stats.accepted, stats.refused), (accepted, refused));
        assert_eq!((stats.queued, stats.taken), (0, quick.heard + slow.heard + stalled.heard));
        for account in [&slow, &stalled] {
            // A lane ends nobody: under `Close` it is reset.
            if overflow == Overflow::Close && !on_lane {
                assert_eq!((account.end, account.lost), (Some(CloseReason::Overflow), 0));
                assert_eq!(account.heard, account.next, "all of before, without a gap");
            } else {
                assert_eq!((account.end, account.heard + account.lost), (None, BROADCASTS), "{overflow:?}");
            }
        }
        assert_eq!(alive[0].load(Ordering::Relaxed), 0);
        assert_balanced(&realtime);
    }
}
