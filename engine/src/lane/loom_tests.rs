//! Lanes under loom: publish, take and hand out beside disconnect, supersede, identify and the drop of a lane. As in `loom_tests.rs`
//! each test states what it proves and the weakening that was seen to make it fail.

use loom::thread;

use super::{Lane, LaneEvent};
use crate::loom_tests::{assert_balanced, broadcasts, channel, drain, engine, explore, race, tab};
use crate::sync::{AtomicU32, Ordering};
use crate::{CloseReason, Connection, Event, Identity, Overflow, Realtime};

const TOKEN: u64 = 42;

/// An engine whose lanes hold one broadcast and refuse the next.
fn small_lanes() -> Realtime<u32> {
    let builder = Realtime::builder().clock(|| 1_000_000).lane_capacity(1).overflow(Overflow::DropNewest);
    builder.build().expect("within the ranges")
}

/// A lane that serves the tab `i`, bound to the channel.
fn lane_of_i(realtime: &Realtime<u32>) -> (Lane<u32>, super::LaneKey) {
    let mut lane = realtime.lane();
    let key = lane.connect(&tab("i"), TOKEN).unwrap().key;
    realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
    (lane, key)
}

/// A lane that serves the tabs `i` and `j`, with a broadcast for both.
fn lane_with_one_for_two(realtime: &Realtime<u32>) -> Lane<u32> {
    let (mut lane, _) = lane_of_i(realtime);
    lane.connect(&tab("j"), TOKEN + 1).unwrap();
    realtime.put_subscription(&tab("j"), &channel(), "a").unwrap();
    realtime.broadcast_action(&channel(), "x", 1).unwrap();
    lane
}

/// What a lane hands out: params by token, ends as params of 1,000 and more, and losses of so many.
fn work_off(lane: &mut Lane<u32>) -> Vec<(u64, u32)> {
    let mut got = Vec::new();
    while let Some(event) = lane.try_recv() {
        hand_out(event, &mut got);
    }
    got
}

/// In place of a token.
const LAGGED: u64 = 0;
const SUPERSEDED: u32 = 1000;
const DISCONNECTED: u32 = 1001;

fn hand_out(event: LaneEvent<u32>, got: &mut Vec<(u64, u32)>) {
    match event {
        LaneEvent::Broadcast(mut batch) => {
            let params = *batch.params();
            got.extend(batch.receivers().map(|(token, _)| (token, params)));
        }
        LaneEvent::One(token, Event::Broadcast(delivery)) => got.push((token, *delivery.params())),
        LaneEvent::One(token, Event::Closed(CloseReason::Superseded)) => got.push((token, SUPERSEDED)),
        LaneEvent::One(token, Event::Closed(_)) => got.push((token, DISCONNECTED)),
        LaneEvent::One(..) => {}
        LaneEvent::Lagged(broadcasts) => got.push((LAGGED, broadcasts as u32)),
    }
}

/// Works off a lane beside something else, and what is left of it after both. Returns all that came, and the lane.
fn work_off_beside<A: Send + 'static>(
    mut lane: Lane<u32>,
    other: impl FnOnce() -> A + Send + 'static,
) -> (A, Lane<u32>, Vec<(u64, u32)>) {
    let (of_other, (mut lane, mut got)) = race(other, move || {
        let got = work_off(&mut lane);
        (lane, got)
    });
    got.extend(work_off(&mut lane));
    (of_other, lane, got)
}

/// Ends a connection of a lane beside something else: nothing is handed out for it any more. Returns whether it ended it, and the lane.
fn disconnect_beside<A: Send + 'static>(
    mut lane: Lane<u32>,
    key: super::LaneKey,
    other: impl FnOnce() -> A + Send + 'static,
) -> (A, Lane<u32>, bool) {
    let (of_other, (mut lane, ended, got)) = race(other, move || {
        let ended = lane.disconnect(key);
        // At once: the other may be on its way still.
        let got = work_off(&mut lane);
        (lane, ended, got)
    });
    assert_eq!((got, work_off(&mut lane)), (vec![], vec![]), "ended {ended}");
    (of_other, lane, ended)
}

/// Takes a broadcast of a lane beside a change after whose return nothing of it may be handed out.
fn hand_out_beside(mut lane: Lane<u32>, change: impl FnOnce() + Send + 'static) -> Lane<u32> {
    let returned = std::sync::Arc::new(AtomicU32::new(0));
    let over = std::sync::Arc::clone(&returned);
    let ((), lane) = race(
        move || {
            change();
            over.store(1, Ordering::Release);
        },
        move || {
            let Some(LaneEvent::Broadcast(mut batch)) = lane.try_recv() else { panic!("a broadcast") };
            let returned = returned.load(Ordering::Acquire) == 1;
            let handed_out = batch.receivers().count();
            assert!(!returned || handed_out == 0);
            lane
        },
    );
    lane
}

/// Q5: a lane about to sleep is woken by a broadcast.
/// Fails if a broadcast to a lane wakes nobody.
#[test]
fn q5_a_parked_lane_is_woken_by_a_broadcast() {
    explore("lane: park/broadcast", 3, || {
        let realtime = engine();
        let (mut lane, _) = lane_of_i(&realtime);
        let (reach, event) = race(
            move || realtime.broadcast_action(&channel(), "x", 1).unwrap(),
            move || loom::future::block_on(lane.recv()),
        );
        assert!(matches!(event, LaneEvent::Broadcast(_)) && reach.reached == 1);
    });
}

/// Q5, C3: a lane about to sleep is woken by a broadcast to a connection that it serves from a queue of its own.
/// Fails if the waker of a guest puts nothing on the lane's queue.
#[test]
fn q5_a_parked_lane_is_woken_for_a_guest() {
    explore("lane: park/guest", 3, || {
        let realtime = engine();
        let old = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        let mut lane = realtime.lane();
        assert!(lane.connect(&tab("i"), TOKEN).unwrap().superseded);
        drop(old);
        assert!(lane.try_recv().is_none());
        race(
            move || {
                realtime.broadcast_action(&channel(), "x", 1).unwrap();
                realtime.broadcast_action(&channel(), "x", 2).unwrap();
            },
            move || {
                for _ in 0..2 {
                    let event = loom::future::block_on(lane.recv());
                    assert!(matches!(event, LaneEvent::One(TOKEN, Event::Broadcast(_))));
                }
            },
        );
    });
}

/// C4, B5: a broadcast beside the lane's own disconnect: nothing is handed out after that, and the accounting balances.
/// Fails if `pass` does not look at the gate.
#[test]
fn c4_nothing_is_handed_out_after_the_lane_has_disconnected() {
    explore("lane: disconnect/broadcast", 3, || {
        let realtime = engine();
        let (lane, key) = lane_of_i(&realtime);
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let publisher = realtime.clone();
        let (_, _lane, ended) =
            disconnect_beside(lane, key, move || publisher.broadcast_action(&channel(), "x", 2).unwrap());
        assert!(ended);
        assert_balanced(&realtime);
    });
}

/// C4: a disconnect elsewhere beside a take: nothing is handed out after it returned, and the end comes last.
/// Fails if the end of a tenancy does not shut the gate.
#[test]
fn c4_an_end_elsewhere_comes_last() {
    explore("lane: take/disconnect", 3, || {
        let realtime = engine();
        let (lane, _) = lane_of_i(&realtime);
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let ending = realtime.clone();
        let mut lane = hand_out_beside(lane, move || assert!(ending.disconnect("i")));
        assert_eq!(work_off(&mut lane), [(TOKEN, DISCONNECTED)]);
        assert_balanced(&realtime);
    });
}

fn check_takeover(of_lane: &[(u64, u32)], of_new: &[u32], all: &[u32]) {
    let (last, before) = of_lane.split_last().expect("the end was told");
    assert_eq!(*last, (TOKEN, SUPERSEDED), "{of_lane:?}");
    let got: Vec<u32> = before.iter().map(|(_, params)| *params).chain(of_new.iter().copied()).collect();
    assert_eq!(got, all);
}

/// C3, B4, B5, L1, L2: a supersede by a receiver with a queue of its own beside a publisher and a take: each message comes out once,
/// in order, at one of the two.
/// Fails if nothing is forwarded.
#[test]
fn c3_a_supersede_of_a_lane_loses_and_doubles_nothing() {
    explore("lane: supersede/take/broadcast", 2, || {
        let realtime = engine();
        let (mut lane, _) = lane_of_i(&realtime);
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let publisher = realtime.clone();
        let publisher =
            thread::spawn(move || publisher.broadcast_action(&channel(), "x", 2).unwrap().reached);
        let connecting = realtime.clone();
        let (mut connected, (mut lane, mut got)) = race(
            move || connecting.connect(&tab("i")).unwrap(),
            move || {
                let mut got = Vec::new();
                if let Some(event) = lane.try_recv() {
                    hand_out(event, &mut got);
                }
                (lane, got)
            },
        );
        assert_eq!((connected.receipts.len(), publisher.join().unwrap()), (1, 1));
        got.extend(work_off(&mut lane));
        check_takeover(&got, &broadcasts(&drain(&mut connected.connection)), &[1, 2]);
        assert_balanced(&realtime);
    });
}

/// C3, B5, L2: a supersede beside a take of a batch that is for others too: it comes out once.
/// Fails if the batch is not told whom it was forwarded for.
#[test]
fn c3_a_batch_passes_over_whom_it_was_forwarded_for() {
    explore("lane: supersede/take for two", 3, || {
        let realtime = engine();
        let lane = lane_with_one_for_two(&realtime);
        let connecting = realtime.clone();
        let (mut connection, _lane, got) =
            work_off_beside(lane, move || connecting.connect(&tab("i")).unwrap().connection);
        let (of_others, of_i): (Vec<_>, Vec<_>) = got.into_iter().partition(|(token, _)| *token != TOKEN);
        assert_eq!(of_others, [(TOKEN + 1, 1)]);
        check_takeover(&of_i, &broadcasts(&drain(&mut connection)), &[1]);
        assert_balanced(&realtime);
    });
}

/// C3, L1: what is published after the connect returned goes to the new receiver.
/// Fails if `depart` is left out.
#[test]
fn c3_what_comes_after_a_supersede_is_the_new_receivers() {
    explore("lane: supersede, broadcast/take", 3, || {
        let realtime = engine();
        let (lane, _) = lane_of_i(&realtime);
        let connecting = realtime.clone();
        let (mut connection, _lane, got) = work_off_beside(lane, move || {
            let connection = connecting.connect(&tab("i")).unwrap().connection;
            assert_eq!(connecting.broadcast_action(&channel(), "x", 1).unwrap().reached, 1);
            connection
        });
        check_takeover(&got, &broadcasts(&drain(&mut connection)), &[1]);
        assert_balanced(&realtime);
    });
}

/// C5: nothing of the old user's is handed out after a logout returned, also from a batch that was taken before.
/// Fails if `announce` does not raise the gate.
#[test]
fn c5_nothing_of_the_old_user_is_handed_out_after_identify_on_a_lane() {
    explore("lane: identify/hand out", 3, || {
        let realtime = engine();
        let mut lane = realtime.lane();
        lane.connect(&tab("i").with_user(7), TOKEN).unwrap();
        realtime.put_subscription(&tab("i").with_user(7), &channel(), "a").unwrap();
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let identifying = realtime.clone();
        let _lane = hand_out_beside(lane, move || assert!(identifying.identify(&tab("i")).unwrap()));
        assert_balanced(&realtime);
    });
}

/// G1, I7: an entry that names a slot is never handed out under the token of the slot's next tenant.
/// Fails if a tenancy begins with the count of the last one, or with Relaxed for the token's Release or Acquire.
#[test]
fn i7_a_batch_never_reaches_the_next_tenant_of_a_slot() {
    explore("lane: recycle/hand out", 3, || {
        let realtime = engine();
        let (lane, _) = lane_of_i(&realtime);
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let connecting = realtime.clone();
        let (other, _lane, got) = work_off_beside(lane, move || {
            assert!(connecting.disconnect("i"));
            let mut other = connecting.lane();
            other.connect(&tab("j"), TOKEN + 1).unwrap();
            other
        });
        assert!(got.iter().all(|(token, _)| *token == TOKEN), "{got:?}");
        drop(other);
        assert_balanced(&realtime);
    });
}

/// L4, B5: a connection that was taken over from a lane loses nothing when that lane is dropped beside a publisher.
/// Fails if a push to an orphan drains nothing, or if `drain` does not park.
#[test]
fn l4_an_orphan_forwards_what_is_pushed_to_it() {
    explore("lane: drop/broadcast", 3, || {
        let realtime = engine();
        let (lane, _) = lane_of_i(&realtime);
        let mut connection: Connection<u32> = realtime.connect(&tab("i")).unwrap().connection;
        let publisher = realtime.clone();
        race(
            move || {
                publisher.broadcast_action(&channel(), "x", 1).unwrap();
                publisher.broadcast_action(&channel(), "x", 2).unwrap();
            },
            move || drop(lane),
        );
        assert_eq!(broadcasts(&drain(&mut connection)), [1, 2]);
        assert_balanced(&realtime);
    });
}

/// L4, B4: two publishers at an orphan: one forwards at a time, and none of theirs is left behind.
/// Fails if `drain` does not look again for who came meanwhile, or lets two in at once.
#[test]
fn l4_two_publishers_at_an_orphan_leave_nothing_behind() {
    explore("lane: orphan/broadcasts", 2, || {
        let realtime = engine();
        let (lane, _) = lane_of_i(&realtime);
        let mut connection: Connection<u32> = realtime.connect(&tab("i")).unwrap().connection;
        drop(lane);
        let (one, other) = (realtime.clone(), realtime.clone());
        race(
            move || {
                one.broadcast_action(&channel(), "x", 1).unwrap();
                one.broadcast_action(&channel(), "x", 2).unwrap();
            },
            move || other.broadcast_action(&channel(), "x", 3).unwrap(),
        );
        let mut got = broadcasts(&drain(&mut connection));
        let other = got.iter().position(|params| *params == 3).expect("the other's");
        got.remove(other);
        assert_eq!(got, [1, 2]);
        assert_balanced(&realtime);
    });
}

/// L5: what a full lane refuses beside a supersede is told to the new receiver.
/// Fails if `depart` notes nothing, if the lane's loss is counted after the look at who is away, or if `lost` only loads.
#[test]
fn l5_a_loss_beside_a_supersede_is_told_to_the_new_receiver() {
    explore("lane: supersede/refuse", 3, || {
        let realtime = small_lanes();
        let (mut lane, _) = lane_of_i(&realtime);
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let connecting = realtime.clone();
        let (mut connection, reach) = race(
            move || connecting.connect(&tab("i")).unwrap().connection,
            move || realtime.broadcast_action(&channel(), "x", 2).unwrap(),
        );
        assert_eq!(reach.refused, 1);
        assert_eq!(work_off(&mut lane), [(LAGGED, 1), (TOKEN, SUPERSEDED)]);
        let events = drain(&mut connection);
        assert!(matches!(events.as_slice(), [Event::Lagged(1 | 2), Event::Broadcast(_)]), "{events:?}");
    });
}

/// L5: who got a broadcast from the new way is told there of what was lost after it.
/// Fails if a lane that is told of a loss does not look whose takeover is under way.
#[test]
fn l5_a_loss_is_told_to_whom_the_broadcast_before_it_reached() {
    explore("lane: supersede/refuse/take", 2, || {
        let realtime = small_lanes();
        let mut lane = lane_with_one_for_two(&realtime);
        let (connecting, publisher) = (realtime.clone(), realtime.clone());
        let connecting = thread::spawn(move || connecting.connect(&tab("i")).unwrap().connection);
        let publishing = thread::spawn(move || publisher.broadcast_action(&channel(), "x", 2).unwrap());
        let of_lane = work_off(&mut lane);
        let mut connection = connecting.join().unwrap();
        publishing.join().unwrap();
        let events = drain(&mut connection);
        if broadcasts(&events).first() == Some(&1) {
            let lost_after_it = of_lane.ends_with(&[(TOKEN + 1, 1), (LAGGED, 1)]);
            // At most by the publisher, by the takeover and by the lane.
            let told = events.iter().any(|event| matches!(event, Event::Lagged(1..=3)));
            assert!(told || !lost_after_it, "{events:?}, {of_lane:?} on the lane");
        }
    });
}

/// L3: a supersede beside the end of the tenancy leaves nobody counted as away.
/// Fails if `depart` does not look whether the tenancy has ended, or if the end does not look who was away.
#[test]
fn l3_who_has_ended_is_not_counted_as_away() {
    explore("lane: supersede/disconnect", 3, || {
        let realtime = engine();
        let (lane, _) = lane_of_i(&realtime);
        let (connecting, ending) = (realtime.clone(), realtime.clone());
        let (connected, _) =
            race(move || connecting.connect(&tab("i")).unwrap(), move || ending.disconnect("i"));
        drop(connected);
        assert!(!lane.core.has_away());
        assert_eq!(realtime.stats().connections, 0);
    });
}

/// C4: the lane's own disconnect beside one elsewhere: nothing is handed out after the first has returned, whoever did the work.
/// Fails if the lane leaves the gate of a tenancy that somebody else has ended open.
#[test]
fn c4_nothing_is_handed_out_after_the_lane_found_the_end_made_elsewhere() {
    explore("lane: disconnect/disconnect", 3, || {
        let realtime = engine();
        let (lane, key) = lane_of_i(&realtime);
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let ending = realtime.clone();
        let _ended = disconnect_beside(lane, key, move || ending.disconnect("i"));
        assert_balanced(&realtime);
    });
}

/// C3, C4, B5: the lane's own disconnect beside a supersede: the lane hands out nothing after it, and if it came too late all that waited
/// is the new receiver's.
/// Fails if the lane leaves the takeover half done.
#[test]
fn c3_a_disconnect_that_comes_too_late_takes_nothing_from_the_new_receiver() {
    explore("lane: disconnect/supersede", 3, || {
        let realtime = engine();
        let (lane, key) = lane_of_i(&realtime);
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let connecting = realtime.clone();
        let (mut connected, _lane, ended) =
            disconnect_beside(lane, key, move || connecting.connect(&tab("i")).unwrap());
        assert_eq!(connected.superseded, !ended);
        let new = broadcasts(&drain(&mut connected.connection));
        assert_eq!(new, if ended { vec![] } else { vec![1] });
        assert_balanced(&realtime);
    });
}

/// B2: an excluded tab of a lane that ended, and has connected anew while its end is on the way, gets nothing by the lane.
/// Fails if `attach` frees the name before the gate is shut.
#[test]
fn b2_an_excluded_tab_of_a_lane_is_not_reached_while_it_ends() {
    explore("lane: exclude/disconnect", 2, || {
        let realtime = engine();
        let (mut lane, _) = lane_of_i(&realtime);
        let ending = realtime.clone();
        let (got, _) = race(
            move || {
                let _new = realtime.connect(&tab("i")).unwrap();
                let excluded = [Identity::instance("i")];
                realtime.broadcast_action_except(&excluded, &channel(), "x", 1).unwrap();
                work_off(&mut lane)
            },
            move || ending.disconnect("i"),
        );
        assert!(got.iter().all(|(_, what)| *what != 1), "{got:?}");
    });
}
