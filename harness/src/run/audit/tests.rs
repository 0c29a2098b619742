//! Hand-made logs, each with one fault: the audit must name it, and must find nothing in what the rules allow.

use holocast::CloseReason;

use super::super::crowd::Crowd;
use super::super::record::{Answer, Call, Entry, LaneLoss, Presented, Record, Seen, Taken};
use super::super::script::{Except, Op};
use super::super::workload::{CrowdSize, Law, Rooms, Workload};
use super::*;

mod lanes;

const ROOM: u32 = 0;

/// Two people with two tabs each, and one room.
fn few() -> Workload {
    Workload {
        crowd: CrowdSize { users: 2, tabs: [2, 2], ..CrowdSize::default() },
        rooms: Rooms { law: Law::One, ..Rooms::default() },
        ..Workload::default()
    }
}

/// A log that grows call by call; each call lasts from one full microsecond to the middle of it.
struct Log {
    crowd: Crowd,
    record: Record,
    now_ns: u64,
    lives: u32,
    messages: u32,
    accounts: Accounts,
}

impl Log {
    /// Two people with two tabs each, all logged in, none connected.
    fn new() -> Self {
        Log {
            crowd: Crowd::new(&few(), 1),
            record: Record { calls: vec![Vec::new()], seen: vec![Seen::default()] },
            now_ns: 0,
            lives: 0,
            messages: 0,
            accounts: Accounts::default(),
        }
    }

    /// Person 0, whose tab 0 is connected and in the room.
    fn with_member() -> Self {
        let mut log = Log::new();
        log.connect(0);
        log.call(Op::Join { person: 0, room: ROOM }, Answer::Matched(1));
        log
    }

    fn tick(&mut self) -> u64 {
        self.now_ns += 1_000;
        self.now_ns
    }

    fn call(&mut self, op: Op, answer: Answer) {
        let called_ns = self.tick();
        let call = Call { due_ns: called_ns, called_ns, returned_ns: called_ns + 500, op, answer };
        self.record.calls[0].push(call);
    }

    fn connect(&mut self, tab: u32) -> u32 {
        self.enter(Op::Connect { tab }, tab, false, &[], &[])
    }

    fn enter(
        &mut self,
        op: Op,
        tab: u32,
        superseded: bool,
        presented: &[Presented],
        bound: &[(u32, bool)],
    ) -> u32 {
        let life = self.lives;
        self.lives += 1;
        let (presented, bound) = (presented.to_vec(), bound.to_vec());
        self.call(op, Answer::Entry(Box::new(Entry { tab, life, superseded, presented, bound })));
        life
    }

    fn send_except(&mut self, except: Except) -> u32 {
        let number = self.messages;
        self.messages += 1;
        self.call(Op::Broadcast { room: ROOM, except }, Answer::Reach { reached: 9, refused: 0 });
        number
    }

    /// A message that finds a full queue.
    fn send_refused(&mut self) -> u32 {
        let number = self.send();
        let broadcast = self.record.calls[0].last_mut().expect("the broadcast");
        broadcast.answer = Answer::Reach { reached: 9, refused: 1 };
        number
    }

    fn send(&mut self) -> u32 {
        self.send_except(Except::Nobody)
    }

    fn take(&mut self, life: u32, message: u32) {
        let at_ns = self.tick();
        let taken = &mut self.record.seen[0].taken;
        // After the call before has returned, which was half a microsecond ago.
        taken.push(Taken { at_ns: at_ns - 100, message: Taken::LOOKED, life: 0 });
        taken.push(Taken { at_ns, message, life });
    }

    /// A lane that serves these lives is told of a loss.
    fn lane_lost(&mut self, broadcasts: u64, lives: &[u32]) {
        let (at_ns, lives) = (self.tick(), lives.into());
        self.record.seen[0].lane_lagged.push(LaneLoss { at_ns, broadcasts, lives });
    }

    /// What the audit finds.
    fn faults(&self) -> Vec<String> {
        audit(&self.record, &self.crowd, self.accounts, Vec::new(), true).faults
    }

    fn assert_clean(&self) {
        assert_eq!(self.faults(), Vec::<String>::new());
    }

    /// Exactly these faults, by how they begin; one is of this message.
    fn assert_fault_of(&self, message: u32, beginnings: &[&str]) {
        let mut faults = self.faults();
        faults.sort();
        let mut beginnings = beginnings.to_vec();
        beginnings.sort_unstable();
        let begin = faults.len() == beginnings.len()
            && faults.iter().zip(&beginnings).all(|(fault, beginning)| fault.starts_with(beginning));
        let named = format!(": message {message} of publisher 0 ");
        assert!(begin && faults.iter().any(|fault| fault.contains(&named)), "{faults:?}");
    }

    /// Exactly one fault, that holds all of `words`.
    fn assert_fault(&self, words: &[&str]) {
        let faults = self.faults();
        assert_eq!(faults.len(), 1, "{faults:?}");
        for word in words {
            assert!(faults[0].contains(word), "{word:?} is not in {:?}", faults[0]);
        }
    }
}

#[test]
fn what_arrives_once_in_order_is_no_fault_and_counts_as_due() {
    let mut log = Log::with_member();
    let (first, second) = (log.send(), log.send());
    log.take(0, first);
    log.take(0, second);
    log.assert_clean();
    let audit = audit(&log.record, &log.crowd, log.accounts, Vec::new(), true);
    assert_eq!((audit.passed, audit.deliveries_checked, audit.deliveries_due), (true, 2, 2));
}

#[test]
fn b1_a_lost_message_is_named() {
    let mut log = Log::with_member();
    let (first, second) = (log.send(), log.send());
    log.accounts.released = 1;
    log.take(0, second);
    log.assert_fault(&["B1: lost", "message 0 of publisher 0", "u0-tab0", "room 0"]);
    log.take(0, first);
    log.assert_fault(&["B4: handed out after a later one", "message 0"]);
}

#[test]
fn b5_a_loss_that_nobody_counted_is_named_even_where_losses_are_allowed() {
    let mut log = Log::with_member();
    log.send();
    log.call(Op::Drop { tab: 0 }, Answer::Matched(1));
    log.assert_fault(&["B5: 1 deliveries are missing, but only 0 were"]);
    log.accounts.released = 1;
    log.assert_clean();
}

#[test]
fn b5_a_message_that_comes_twice_is_named() {
    let mut log = Log::with_member();
    let (first, second) = (log.send(), log.send());
    log.take(0, first);
    log.take(0, first);
    log.take(0, second);
    log.assert_fault(&["B5: handed out twice", "message 0"]);
}

#[test]
fn b6_a_message_sent_after_an_unsubscribe_is_late() {
    for (end, fault) in [
        (Op::Leave { person: 0, room: ROOM }, "B6: late after an unsubscribe"),
        (Op::Kick { person: 0, room: ROOM }, "B6: late after an unsubscribe"),
        (Op::Drop { tab: 0 }, "C4: late after the end of its connection"),
    ] {
        let mut log = Log::with_member();
        log.call(end, Answer::Matched(1));
        let late = log.send();
        log.take(0, late);
        log.assert_fault(&[fault, "message 0"]);
    }
}

#[test]
fn b6_a_message_sent_while_the_unsubscribe_runs_may_come_or_not() {
    for comes in [false, true] {
        let mut log = Log::with_member();
        let message = log.send();
        log.call(Op::Leave { person: 0, room: ROOM }, Answer::Matched(1));
        let [.., sent, left] = &mut log.record.calls[0][..] else { panic!("two calls") };
        sent.returned_ns = left.called_ns + 100;
        if comes {
            log.take(0, message);
        }
        log.assert_clean();
    }
}

#[test]
fn b6_a_message_sent_before_the_unsubscribe_must_come_though_it_comes_after() {
    let mut log = Log::with_member();
    let message = log.send();
    log.call(Op::Leave { person: 0, room: ROOM }, Answer::Matched(1));
    log.accounts.refused = 1;
    log.assert_fault(&["B1: lost"]);
    log.take(0, message);
    log.assert_clean();
}

#[test]
fn c5_what_the_old_user_was_granted_leaks_after_a_logout() {
    let mut log = Log::with_member();
    let queued = log.send();
    log.call(Op::Logout { person: 0 }, Answer::Identified([0].into()));
    // Withheld, as it should be.
    log.accounts.withheld = 1;
    log.assert_clean();
    log.take(0, queued);
    log.assert_fault(&["C5: leaked after a logout", "message 0"]);

    let mut log = Log::with_member();
    log.call(Op::Logout { person: 0 }, Answer::Identified([0].into()));
    let late = log.send();
    log.take(0, late);
    log.assert_fault(&["C5: leaked after a logout"]);
}

#[test]
fn c5_a_take_that_began_before_the_logout_returned_is_no_leak() {
    let mut log = Log::with_member();
    let queued = log.send();
    log.call(Op::Logout { person: 0 }, Answer::Identified([0].into()));
    log.take(0, queued);
    let returned_ns = log.record.calls[0].last().expect("the logout").returned_ns;
    log.record.seen[0].taken[0].at_ns = returned_ns - 1;
    log.assert_clean();
}

#[test]
fn c5_only_the_last_messages_of_a_user_may_be_withheld() {
    let mut log = Log::with_member();
    let (_, second) = (log.send(), log.send());
    log.take(0, second);
    log.call(Op::Logout { person: 0 }, Answer::Identified([0].into()));
    log.accounts.withheld = 1;
    log.assert_fault(&["B1: lost", "message 0"]);
}

#[test]
fn c5_what_nobody_authorized_outlives_a_login() {
    let mut log = Log::new();
    log.crowd.people[0].logged_in = false;
    log.connect(0);
    log.call(Op::Join { person: 0, room: ROOM }, Answer::Matched(1));
    log.call(Op::Login { person: 0 }, Answer::Identified([0].into()));
    let message = log.send();
    log.accounts.withheld = 1;
    log.assert_fault(&["B1: lost"]);
    log.take(0, message);
    log.assert_clean();
}

#[test]
fn b2_an_excluded_tab_must_not_get_it_and_its_absence_is_no_loss() {
    for except in [Except::Tab(0), Except::Person(0)] {
        let mut log = Log::with_member();
        let message = log.send_except(except);
        log.assert_clean();
        log.take(0, message);
        log.assert_fault(&["B2: excluded, but handed out"]);
    }
}

#[test]
fn b1_who_was_never_bound_must_not_get_it() {
    let mut log = Log::with_member();
    let other = log.connect(2);
    let message = log.send();
    log.take(0, message);
    log.take(other, message);
    log.assert_fault(&["B1: handed out without a binding", "u1-tab0"]);
}

#[test]
fn b3_no_more_deliveries_than_queues_reached() {
    let mut log = Log::with_member();
    let message = log.send();
    log.take(0, message);
    log.record.calls[0].last_mut().expect("the broadcast").answer = Answer::Reach { reached: 0, refused: 0 };
    log.assert_fault(&["B3: message 0 of publisher 0 was handed out 1 times, but reached 0"]);
}

#[test]
fn b5_only_the_last_messages_of_a_connection_that_ended_may_be_lost() {
    let mut log = Log::with_member();
    let (_, second) = (log.send(), log.send());
    log.take(0, second);
    log.call(Op::Drop { tab: 0 }, Answer::Matched(1));
    log.accounts.released = 1;
    log.assert_fault(&["B1: lost", "message 0"]);
}

#[test]
fn c3_a_superseding_connection_inherits_the_queue_and_the_bindings() {
    let mut log = Log::with_member();
    let queued = log.send();
    let next = log.enter(Op::Supersede { tab: 0 }, 0, true, &[], &[(ROOM, true)]);
    log.accounts.released = 1;
    log.assert_fault(&["B1: lost"]);
    log.take(next, queued);
    log.assert_clean();
    log.enter(Op::Supersede { tab: 0 }, 0, true, &[], &[]);
    log.assert_fault(&["C3: superseded, it should hold rooms [0] but was told []"]);
}

#[test]
fn c2_r2_a_reconnect_restores_what_its_valid_receipts_say_and_nothing_else() {
    const MS: u64 = 1_000_000;
    let receipt = Presented { room: ROOM, by_user: true, stamp_ms: 0 };
    let back = |kicked: bool, presented: &[Presented], bound: &[(u32, bool)]| {
        let mut log = Log::with_member();
        log.now_ns += 5 * MS;
        if kicked {
            log.call(Op::Kick { person: 0, room: ROOM }, Answer::Matched(1));
        }
        log.call(Op::Drop { tab: 0 }, Answer::Matched(1));
        log.enter(Op::Return { tab: 0 }, 0, false, presented, bound);
        log
    };
    back(false, &[receipt], &[(ROOM, true)]).assert_clean();
    back(false, &[receipt], &[]).assert_fault(&["C2: not bound to room 0 though its receipt is valid"]);
    back(false, &[], &[(ROOM, true)]).assert_fault(&["C2: bound to room 0 without a receipt"]);
    back(false, &[receipt], &[(ROOM, false)]).assert_fault(&["C2", "another authorization"]);
    back(true, &[receipt], &[]).assert_clean();
    back(true, &[receipt], &[(ROOM, true)])
        .assert_fault(&["R2: bound to room 0 by a receipt that was revoked"]);
    // S2: a new grant makes the old receipt good again.
    let mut log = Log::with_member();
    log.now_ns += 5 * MS;
    log.call(Op::Kick { person: 0, room: ROOM }, Answer::Matched(1));
    log.call(Op::Regrant { person: 0, room: ROOM }, Answer::Matched(1));
    log.call(Op::Drop { tab: 0 }, Answer::Matched(1));
    log.enter(Op::Return { tab: 0 }, 0, false, &[receipt], &[(ROOM, true)]);
    log.assert_clean();
}

#[test]
fn q2_a_connection_may_lose_as_many_as_it_was_told_and_no_more() {
    let mut log = Log::with_member();
    let (_, second) = (log.send(), log.send());
    log.take(0, second);
    log.accounts.refused = 2;
    log.record.seen[0].lagged.push((0, 1));
    log.assert_clean();
    let fourth = {
        log.send();
        log.send()
    };
    log.take(0, fourth);
    let faults = log.faults();
    assert!(faults.len() == 2 && faults[0].contains("B1: lost (1 lost were told)"), "{faults:?}");
}

#[test]
fn q2_after_an_overflow_nothing_is_due_and_before_it_all() {
    let mut log = Log::with_member();
    let (first, second) = (log.send(), log.send());
    let (_, _) = (log.send_refused(), log.send());
    log.take(0, first);
    log.take(0, second);
    log.record.seen[0].closed.push((0, CloseReason::Overflow));
    log.assert_clean();
    // What was queued before stays queued (C4).
    log.record.seen[0].taken.truncate(2);
    log.accounts.released = 1;
    log.assert_fault(&["B1: lost", "message 1"]);
}

#[test]
fn q2_an_overflow_that_no_broadcast_noticed_is_named() {
    let mut log = Log::with_member();
    let (first, early) = (log.send(), log.send_refused());
    log.record.seen[0].closed.push((0, CloseReason::Overflow));
    log.take(0, first);
    log.assert_clean();
    // The only refusal was over when this one was called: it is not what closed the queue.
    let later = log.send();
    log.take(0, early);
    log.take(0, later);
    log.assert_fault(&["Q2: closed by an overflow", "u0-tab0"]);
}

#[test]
fn q2_a_connection_that_an_overflow_may_have_ended_need_not_be_concerned_but_not_before() {
    for (op, none) in [
        (Op::Drop { tab: 0 }, Answer::Matched(0)),
        (Op::Leave { person: 0, room: ROOM }, Answer::Matched(0)),
        (Op::Logout { person: 0 }, Answer::Identified([].into())),
    ] {
        let log = |refused_first: bool| {
            let mut log = Log::with_member();
            if refused_first {
                log.send_refused();
            }
            log.call(op, none.clone());
            if !refused_first {
                log.send_refused();
            }
            log.record.seen[0].closed.push((0, CloseReason::Overflow));
            log
        };
        log(true).assert_clean();
        log(false).assert_fault(&["concerned 0 connections instead of 1", op.kind()]);
        let mut never = log(true);
        never.record.seen[0].closed.clear();
        let faults = never.faults();
        assert!(faults[0].contains("concerned 0 connections instead of 1"), "{faults:?}");
    }
    let mut log = Log::with_member();
    log.send_refused();
    log.call(Op::Drop { tab: 0 }, Answer::Matched(2));
    log.record.seen[0].closed.push((0, CloseReason::Overflow));
    log.assert_fault(&["concerned 2 connections instead of 0 to 1"]);
}

#[test]
fn q2_c5_a_logout_that_found_no_connection_any_more_leaves_what_the_overflow_left() {
    let log = |found: &[u32]| {
        let mut log = Log::with_member();
        let queued = log.send();
        log.send_refused();
        log.call(Op::Logout { person: 0 }, Answer::Identified(found.into()));
        log.take(0, queued);
        log.record.seen[0].closed.push((0, CloseReason::Overflow));
        log
    };
    log(&[]).assert_clean();
    log(&[0]).assert_fault(&["C5: leaked after a logout"]);
    let mut late = log(&[]);
    let message = late.send();
    late.take(0, message);
    // It also says that no overflow can have ended the connection.
    let faults = late.faults();
    assert!(
        faults.iter().any(|fault| fault.contains("C4: late after the end of its connection")),
        "{faults:?}"
    );
}

#[test]
fn q2_c2_an_overflow_may_end_a_connection_while_it_comes_back() {
    let receipt = Presented { room: ROOM, by_user: true, stamp_ms: 0 };
    let mut log = Log::with_member();
    log.call(Op::Drop { tab: 0 }, Answer::Matched(1));
    let life = log.enter(Op::Return { tab: 0 }, 0, false, &[receipt], &[]);
    let returned_ns = log.record.calls[0].last().expect("the return").returned_ns;
    log.send_refused();
    log.record.seen[0].closed.push((life, CloseReason::Overflow));
    log.assert_fault(&["C2: not bound to room 0"]);
    // The broadcast that closed it ran at the same time.
    log.record.calls[0].last_mut().expect("the broadcast").called_ns = returned_ns;
    log.assert_clean();
}

#[test]
fn q2_c3_a_queue_that_an_overflow_closed_can_be_inherited() {
    let mut log = Log::with_member();
    let queued = log.send();
    log.send_refused();
    // The overflow has closed the queue, but not ended the connection: that comes while the call before this one returns.
    log.call(Op::Leave { person: 0, room: ROOM }, Answer::Matched(0));
    let next = log.enter(Op::Supersede { tab: 0 }, 0, true, &[], &[]);
    log.take(next, queued);
    log.record.seen[0].closed.push((next, CloseReason::Overflow));
    log.assert_clean();
}

#[test]
fn q2_c3_a_connection_that_an_overflow_ended_is_not_superseded() {
    let mut log = Log::with_member();
    log.send_refused();
    log.accounts.refused = 1;
    log.enter(Op::Supersede { tab: 0 }, 0, false, &[], &[]);
    log.assert_fault(&["C3: a live connection was not superseded"]);
    log.record.seen[0].closed.push((0, CloseReason::Overflow));
    log.assert_clean();
}

#[test]
fn s1_s3_s4_c4_a_call_that_concerned_too_few_or_too_many_is_named() {
    for op in [
        Op::Join { person: 0, room: ROOM },
        Op::Leave { person: 0, room: ROOM },
        Op::Kick { person: 0, room: ROOM },
        Op::Drop { tab: 0 },
    ] {
        let mut log = Log::with_member();
        log.call(op, Answer::Matched(2));
        log.assert_fault(&["concerned 2 connections instead of 1", op.kind()]);
    }
    let mut log = Log::with_member();
    log.call(Op::Login { person: 0 }, Answer::Identified([].into()));
    log.assert_fault(&["login", "concerned 0 connections instead of 1"]);
    let mut log = Log::with_member();
    log.call(Op::Login { person: 0 }, Answer::Identified([1].into()));
    let faults = log.faults();
    assert!(
        faults.len() == 2 && faults[0].contains("C4: found a connection that had ended: u0-tab1, login"),
        "{faults:?}"
    );
}

#[test]
fn faults_beyond_the_first_hundred_are_counted() {
    let mut log = Log::with_member();
    (0..150).for_each(|_| _ = log.send());
    let last = log.send();
    log.take(0, last);
    log.accounts.released = 150;
    let faults = log.faults();
    assert_eq!((faults.len(), faults[100].as_str()), (101, "and 50 more"));
}

#[test]
fn the_accounting_of_a_run_is_part_of_its_audit() {
    let log = Log::with_member();
    let unbalanced = unbalanced(
        "drained",
        &Accounts { accepted: 1, ..Accounts::default() },
        &Counted { reached: 1, ..Counted::default() },
    );
    let audit = audit(&log.record, &log.crowd, log.accounts, unbalanced, true);
    assert!(!audit.passed && audit.faults[0].starts_with("drained: the accounting does not balance"));
}
