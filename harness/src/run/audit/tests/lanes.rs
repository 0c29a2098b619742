//! Logs of lanes: what a receiver wrote down of one that it worked off, with one fault made afterwards, and a few made by hand.

use super::super::super::receiver::Receiver;
use super::super::super::workload::{Overflow, Queue, Receivers};
use super::super::super::world::{Message, OnTheWay, World};
use super::*;

/// What a receiver hands out of its lane, written down by itself, beside the calls of an engine.
struct OnLane {
    world: World,
    log: Log,
}

impl OnLane {
    /// Both people, each with two tabs on one lane and in the room.
    fn new(queue: Queue) -> Self {
        let receivers = Receivers { lanes: true, ..Receivers::default() };
        let workload = Workload { receivers, queue, ..few() };
        let world = World::new(&workload, Crowd::new(&workload, 1), false).unwrap();
        let mut on_lane = OnLane { world, log: Log::new() };
        for tab in 0..4 {
            let life = on_lane.log.lives;
            on_lane.world.connect(tab, life, &on_lane.world.crowd.client(tab, true), &[]).unwrap();
            on_lane.log.connect(tab);
        }
        for person in 0..2 {
            let (identity, room) =
                (on_lane.world.crowd.identity(person, true), &on_lane.world.crowd.rooms[0]);
            let matched = on_lane.world.engine.subscribe(&identity, room, "page").unwrap();
            on_lane.log.call(Op::Join { person, room: ROOM }, Answer::Matched(matched as u32));
        }
        on_lane
    }

    fn send(&mut self) -> u32 {
        let message = Message::new(self.log.messages, &OnTheWay::default());
        let reach =
            self.world.engine.broadcast_action(&self.world.crowd.rooms[0], "message", message).unwrap();
        let number = self.log.send();
        let (reached, refused) = (reach.reached as u32, reach.refused as u32);
        self.log.record.calls[0].last_mut().expect("the broadcast").answer =
            Answer::Reach { reached, refused };
        number
    }

    /// Of the first tab.
    fn supersede(&mut self) -> u32 {
        let life = self.log.lives;
        let (_, superseded) = self.world.connect(0, life, &self.world.crowd.client(0, true), &[]).unwrap();
        self.log.enter(Op::Supersede { tab: 0 }, 0, superseded, &[], &[(ROOM, true)])
    }

    /// Works the lane off, which is done once, and gives the log.
    fn work_off(mut self) -> Log {
        let mut receiver = Receiver::new(&self.world, 0);
        receiver.drain_all();
        self.log.accounts = accounts(&self.world.engine.stats());
        self.log.record.seen = vec![receiver.into_seen()];
        self.log
    }
}

/// Where the log has deliveries.
fn deliveries(log: &Log) -> Vec<usize> {
    let taken = log.record.seen[0].taken.iter().enumerate();
    taken.filter(|(_, taken)| taken.message != Taken::LOOKED).map(|(at, _)| at).collect()
}

/// Three messages to all, and the first tab superseded after the second.
fn worked_off() -> Log {
    let mut on_lane = OnLane::new(Queue::default());
    (0..2).for_each(|_| _ = on_lane.send());
    let next = on_lane.supersede();
    assert_eq!(on_lane.send(), 2);
    let log = on_lane.work_off();
    let of_next =
        log.record.seen[0].taken.iter().filter(|taken| taken.life == next && taken.message != Taken::LOOKED);
    assert_eq!(of_next.count(), 3, "forwarded");
    log
}

#[test]
fn all_that_a_lane_hands_out_is_audited() {
    let log = worked_off();
    let audit = audit(&log.record, &log.crowd, log.accounts, Vec::new(), true);
    assert_eq!(
        (audit.faults.len(), audit.deliveries_checked, audit.deliveries_due),
        (0, 12, 12),
        "{audit:?}"
    );
}

#[test]
fn b1_whatever_is_lost_of_a_lane_is_named() {
    for at in deliveries(&worked_off()) {
        let mut log = worked_off();
        let lost = log.record.seen[0].taken.remove(at);
        log.assert_fault_of(lost.message, &["B5: 1 deliveries are missing", "B1: lost"]);
    }
}

#[test]
fn b5_whatever_a_lane_hands_out_twice_is_named() {
    for at in deliveries(&worked_off()) {
        for later in [false, true] {
            let mut log = worked_off();
            let taken = &mut log.record.seen[0].taken;
            let to = if later { taken.len() } else { at };
            taken.insert(to, taken[at]);
            let message = taken[to].message;
            let faults = log.faults();
            let named = format!("B5: handed out twice: message {message} ");
            assert!(faults.iter().any(|fault| fault.starts_with(&named)), "{faults:?}");
        }
    }
}

#[test]
fn b4_whatever_a_lane_hands_out_in_another_order_is_named() {
    let taken_of = |log: &Log, at: usize| log.record.seen[0].taken[at];
    let all = deliveries(&worked_off());
    let mut swapped = 0;
    for (nth, &first) in all.iter().enumerate() {
        for &second in &all[nth + 1..] {
            let mut log = worked_off();
            if taken_of(&log, first).life != taken_of(&log, second).life {
                continue;
            }
            let taken = &mut log.record.seen[0].taken;
            (taken[first].message, taken[second].message) = (taken[second].message, taken[first].message);
            let faults = log.faults();
            assert!(faults[0].starts_with("B4: handed out after a later one"), "{faults:?}");
            swapped += 1;
        }
    }
    assert_eq!(swapped, 12, "three of each tab");
}

#[test]
fn b1_b6_c4_what_a_lane_hands_out_for_another_or_after_the_end_is_named() {
    let worked_off = || {
        let mut on_lane = OnLane::new(Queue::default());
        let World { engine, crowd, .. } = &on_lane.world;
        engine.unsubscribe(&crowd.identity(1, true), &crowd.rooms[0], "page").unwrap();
        on_lane.log.call(Op::Leave { person: 1, room: ROOM }, Answer::Matched(2));
        engine.disconnect(&crowd.tabs[0].instance);
        on_lane.log.call(Op::Drop { tab: 0 }, Answer::Matched(1));
        let last = on_lane.send();
        (on_lane.work_off(), last)
    };
    worked_off().0.assert_clean();
    for (life, named) in
        [(0, "C4: late after the end of its connection"), (2, "B6: late after an unsubscribe")]
    {
        let (mut log, last) = worked_off();
        let taken = &mut log.record.seen[0].taken;
        taken.iter_mut().find(|taken| taken.message == last).expect("one tab is left").life = life;
        log.assert_fault_of(last, &["B1: lost", "B5: 1 deliveries are missing", named]);
    }
}

/// A lane is told its losses once, for all of its connections.
#[test]
fn q2_of_a_lane_all_may_lose_as_many_as_it_was_told_and_no_more() {
    for overflow in [Overflow::Close, Overflow::DropNewest, Overflow::Reset] {
        let worked_off = || {
            let mut on_lane = OnLane::new(Queue { capacity: 2, overflow });
            (0..5).for_each(|_| _ = on_lane.send());
            on_lane.work_off()
        };
        let log = worked_off();
        log.assert_clean();
        assert_eq!(log.record.seen[0].closed, [], "nobody is ended");
        let [LaneLoss { broadcasts: lost, lives, .. }] = &log.record.seen[0].lane_lagged[..] else {
            panic!("{overflow:?}: told once")
        };
        let (lost, mut lives) = (*lost, lives.to_vec());
        lives.sort_unstable();
        assert!(lost > 0 && lives == [0, 1, 2, 3], "{overflow:?}: {lost} of {lives:?}");
        for life in lives {
            let mut log = worked_off();
            let told = &mut log.record.seen[0].lane_lagged;
            let (mut less, mut others) = (told[0].clone(), told[0].clone());
            less.broadcasts -= 1;
            (less.lives, others.lives) =
                ([life].into(), others.lives.iter().copied().filter(|other| *other != life).collect());
            *told = vec![less, others];
            let faults = log.faults();
            assert_eq!(faults.len() as u64, lost, "{overflow:?}: {faults:?}");
            assert!(faults[0].starts_with("B1: lost"), "{overflow:?}: {faults:?}");
        }
    }
}

/// L5: who took over is told on its own queue of what the lane lost beside it, and the lane tells it too. It is one loss.
#[test]
fn q2_l5_a_loss_that_both_lives_of_a_tab_are_told_of_counts_once() {
    let worked_off = || {
        let mut on_lane = OnLane::new(Queue { capacity: 2, overflow: Overflow::DropNewest });
        (0..3).for_each(|_| _ = on_lane.send());
        let next = on_lane.supersede();
        (on_lane.work_off(), next)
    };
    let (log, next) = worked_off();
    log.assert_clean();
    assert!(log.record.seen[0].lagged.contains(&(next, 1)), "told on its own queue too");
    let taken_by_next = |log: &Log| {
        let taken = &log.record.seen[0].taken;
        deliveries(log).into_iter().find(|at| taken[*at].life == next).expect("forwarded")
    };
    let (mut log, _) = worked_off();
    let at = taken_by_next(&log);
    let lost = log.record.seen[0].taken.remove(at);
    log.accounts.released += 1;
    log.assert_fault_of(lost.message, &["B1: lost (1 lost were told)", "B1: lost (1 lost were told)"]);
}

/// A loss is somebody's once, whichever of a tab's tenancies on the lane it was.
#[test]
fn q2_a_loss_of_a_lane_explains_as_many_messages_of_a_tab_that_came_back() {
    let log = |told: u64, taken: &[u32]| {
        let mut log = Log::with_member();
        (0..2).for_each(|_| _ = log.send());
        log.call(Op::Drop { tab: 0 }, Answer::Matched(1));
        let back = log.connect(0);
        log.call(Op::Join { person: 0, room: ROOM }, Answer::Matched(1));
        (0..2).for_each(|_| _ = log.send());
        log.lane_lost(told, &[0, back]);
        taken.iter().for_each(|message| log.take(if *message < 2 { 0 } else { back }, *message));
        log.accounts.refused = 4;
        log
    };
    log(1, &[0, 1, 3]).assert_clean();
    log(1, &[1, 2, 3]).assert_clean();
    log(1, &[1, 3]).assert_fault(&["B1: lost (1 lost were told)", "message 2"]);
    log(2, &[1, 3]).assert_clean();
}

/// So does the lane's word for who took over, if something comes there after it.
#[test]
fn q2_l5_a_lanes_loss_is_nothing_to_who_got_a_message_of_its_own_after_it() {
    let log = |own: u64| {
        let mut log = Log::with_member();
        (0..2).for_each(|_| _ = log.send());
        let next = log.enter(Op::Supersede { tab: 0 }, 0, true, &[], &[(ROOM, true)]);
        log.lane_lost(1, &[0, next]);
        log.record.seen[0].lagged.push((next, own));
        log.accounts.refused = 1;
        (log, next)
    };
    let taken = |own: u64| {
        let (mut log, next) = log(own);
        log.take(next, 1);
        log
    };
    taken(1).assert_clean();
    taken(0).assert_fault(&["B1: lost: message 0"]);
    // Nothing came any more, so nothing was told there.
    let (mut log, next) = log(0);
    log.take(next, 0);
    log.record.seen[0].taken[0].at_ns = 0;
    log.assert_clean();
}

/// Who took over has a queue of its own, which the lane fills: no broadcast sees that it is full.
#[test]
fn q2_an_overflow_of_who_took_over_from_a_lane_is_noticed_by_no_broadcast() {
    let log = |on_lane: bool, taken: &[u32]| {
        let mut log = Log::with_member();
        let next = log.enter(Op::Supersede { tab: 0 }, 0, true, &[], &[(ROOM, true)]);
        (0..3).for_each(|_| _ = log.send());
        taken.iter().for_each(|message| log.take(next, *message));
        log.call(Op::Drop { tab: 0 }, Answer::Matched(0));
        log.record.seen[0].closed.push((next, CloseReason::Overflow));
        log.record.seen[0].on_lane = on_lane;
        log.accounts.released = 1;
        log
    };
    log(true, &[0, 1]).assert_clean();
    // What was queued before is handed out.
    log(true, &[1]).assert_fault(&["B1: lost", "message 0"]);
    log(false, &[0, 1]).assert_fault(&["Q2: closed by an overflow, but no broadcast found a full queue"]);
}
