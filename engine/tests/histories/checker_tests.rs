//! The checker on histories written by hand: what must be refused, and beside it the smallest change that makes it right.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{Call, History};
use crate::spec::{End, Person, Step, Tenancy, Who};

const USER_0: Person = Person { tab: 0, session: None, user: Some(0) };
const ALSO_USER_0: Person = Person { tab: 1, session: None, user: Some(0) };
const T0: Tenancy = (0, 0);
const T1: Tenancy = (1, 0);

fn call(start: u64, end: u64, steps: Vec<Step>) -> Call {
    Call { start, end, text: format!("{steps:?}"), steps }
}

fn connect(start: u64, person: Person) -> Call {
    call(start, start + 1, vec![Step::Arrive { person, superseded: false }, Step::Enter { tab: person.tab }])
}

fn subscribe(start: u64, end: u64, matched: usize) -> Call {
    call(
        start,
        end,
        vec![Step::Begin { binds: true }, Step::Subscribe { who: Who::User(0), cid: 0, matched }],
    )
}

fn unsubscribe(start: u64, end: u64) -> Call {
    call(
        start,
        end,
        vec![Step::Begin { binds: false }, Step::Unsubscribe { who: Who::User(0), cid: 0, matched: 1 }],
    )
}

fn broadcast(start: u64, end: u64, op: u32, reached: usize) -> Call {
    call(start, end, vec![Step::Broadcast { op, excluded: None, reached }])
}

fn take(start: u64, tenancy: Tenancy, op: u32) -> Call {
    call(start, start + 1, vec![Step::Take { tenancy, broadcast: op, cids: 1 }])
}

fn end(bound: &[u8], revocations: usize, told: &[(Tenancy, usize)], live: &[u8]) -> End {
    let bindings = live.iter().map(|tab| {
        let cids = bound.contains(tab).then_some((0, Some(0)));
        (*tab, cids.into_iter().collect())
    });
    End {
        ended: BTreeSet::new(),
        lanes: false,
        taken: BTreeMap::new(),
        bindings: bindings.collect(),
        revocations,
        members: bound.len(),
        seen: bound.len(),
        channels: usize::from(!bound.is_empty() || revocations > 0),
        told: told.iter().map(|(tenancy, n)| ((*tenancy, 0), *n)).collect::<BTreeMap<_, _>>(),
    }
}

fn is_allowed(threads: Vec<Vec<Call>>, end: End) -> bool {
    History { threads, end }.check().is_ok()
}

/// B6: a broadcast after the unsubscribe has returned reaches nobody; beside it, it may.
#[test]
fn a_broadcast_after_an_unsubscribe_is_refused() {
    let history = |until| {
        let granted = vec![connect(0, USER_0), subscribe(2, 3, 1), unsubscribe(4, until)];
        let sent = vec![broadcast(6, 7, 1, 1), take(8, T0, 1)];
        is_allowed(vec![granted, sent], end(&[], 1, &[(T0, 1)], &[0]))
    };
    assert!(!history(5) && history(6));
}

/// S1, S5: a broadcast finds the binding on all of a user's tabs or on none.
#[test]
fn a_broadcast_to_half_of_a_users_tabs_is_refused() {
    let history = |reached, both| {
        let granted = vec![connect(0, USER_0), connect(2, ALSO_USER_0), subscribe(4, 9, 2)];
        let mut sent = vec![broadcast(5, 8, 1, reached)];
        if reached > 0 {
            sent.push(take(10, T0, 1));
        }
        if both {
            sent.push(take(12, T1, 1));
        }
        is_allowed(vec![granted, sent], end(&[0, 1], 0, &[(T0, 1), (T1, 1)], &[0, 1]))
    };
    assert!(history(2, true) && history(0, false));
    assert!(!history(1, false) && !history(2, false));
}

/// C2, R2: a receipt that a revocation covers restores nothing, unless the restore came first.
#[test]
fn a_receipt_against_a_standing_revocation_is_refused() {
    let history = |restored: bool, reached| {
        let put =
            vec![Step::Begin { binds: true }, Step::Put { op: 1, person: USER_0, cid: 0, issued: true }];
        let revoke = Step::Unsubscribe { who: Who::User(0), cid: 0, matched: 0 };
        let restore = Step::Restore { op: 2, person: USER_0, proof: (1, 0), restored };
        let mut again = connect(4, USER_0);
        again.steps.extend([Step::Begin { binds: true }, restore]);
        let held: &[u8] = if restored { &[0] } else { &[] };
        let calls = vec![
            call(0, 1, put),
            call(2, 3, vec![Step::Begin { binds: false }, revoke]),
            again,
            broadcast(6, 7, 3, reached),
        ];
        is_allowed(vec![calls], end(held, 1, &[], &[0]))
    };
    assert!(history(false, 0));
    assert!(!history(true, 1) && !history(true, 0) && !history(false, 1));
}

/// C5: nothing that a former user was granted is taken once identify has returned.
#[test]
fn a_former_users_event_is_refused() {
    let history = |taken| {
        let nobody = Person { user: None, ..USER_0 };
        let logout = vec![Step::Identify { person: nobody, live: true }, Step::Visit];
        let calls = vec![connect(0, USER_0), subscribe(2, 3, 1), broadcast(4, 5, 1, 1), call(6, 9, logout)];
        is_allowed(vec![calls, vec![take(taken, T0, 1)]], end(&[], 0, &[(T0, 1)], &[0]))
    };
    assert!(history(7) && !history(10));
}

/// B1, B5: an accepted event is taken once.
#[test]
fn an_event_that_comes_twice_or_never_is_refused() {
    let history = |takes: u64| {
        let mut calls = vec![connect(0, USER_0), subscribe(2, 3, 1), broadcast(4, 5, 1, 1)];
        calls.extend((0..takes).map(|n| take(6 + 2 * n, T0, 1)));
        is_allowed(vec![calls], end(&[0], 0, &[(T0, 1)], &[0]))
    };
    assert!(history(1) && !history(0) && !history(2));
}

/// S5: two calls that both found the channel unchanged can't both have changed it.
#[test]
fn a_grant_and_a_revocation_that_both_hold_are_refused() {
    let history = |bound: &[u8], revocations| {
        let threads = vec![vec![connect(0, USER_0), subscribe(2, 9, 1)], vec![unsubscribe(3, 8)]];
        is_allowed(threads, end(bound, revocations, &[(T0, 1)], &[0]))
    };
    assert!(history(&[0], 0) && history(&[], 1));
    assert!(!history(&[0], 1) && !history(&[], 0));
}

/// C4: a connection that has ended holds nothing.
#[test]
fn a_member_that_stays_behind_is_refused() {
    let history = |members| {
        let end_of = vec![Step::End { tab: 0, ended: Some(true) }, Step::Leave];
        let threads = vec![vec![connect(0, USER_0), subscribe(2, 9, 1)], vec![call(3, 8, end_of)]];
        let ended = BTreeSet::from([T0]);
        is_allowed(threads, End { ended, members, seen: members, channels: members, ..end(&[], 0, &[], &[]) })
    };
    assert!(history(0) && !history(1));
}

/// C4, C5: of a connection that is ending the end drops the bindings, and a logout beside it may leave that to it: until the end has
/// returned a broadcast may count what the former user authorized. Of one that lives it may not.
#[test]
fn a_former_users_binding_counts_only_while_its_connection_ends() {
    const NOBODY: Person = Person { tab: 0, session: None, user: None };
    let logout = call(6, 7, vec![Step::Identify { person: NOBODY, live: true }, Step::Visit]);
    let bound = vec![connect(0, USER_0), subscribe(2, 3, 1), logout, broadcast(8, 9, 1, 1)];
    let ending = call(5, 10, vec![Step::End { tab: 0, ended: Some(true) }, Step::Leave]);
    let ended = call(5, 7, vec![Step::End { tab: 0, ended: Some(true) }, Step::Leave]);
    let (mut gone, mut kept) = (end(&[], 0, &[(T0, 1)], &[]), end(&[0], 0, &[(T0, 1)], &[0]));
    gone.ended = BTreeSet::from([T0]);
    kept.bindings = BTreeMap::from([(0, BTreeMap::from([(0, None)]))]);
    assert!(is_allowed(vec![bound.clone(), vec![ending]], gone.clone()));
    assert!(!is_allowed(vec![bound.clone(), vec![ended]], gone));
    assert!(!is_allowed(vec![bound], kept));
}

/// S1: who comes to match after it was asked and before the bindings appear may be left out; who matched before the call began may not.
#[test]
fn a_tab_that_logs_in_beside_a_subscribe_may_miss_it() {
    const NOBODY: Person = Person { tab: 0, session: None, user: None };
    let history = |start| {
        let login = call(4, 5, vec![Step::Identify { person: USER_0, live: true }, Step::Visit]);
        let logs_in = vec![connect(0, NOBODY), login, broadcast(6, 7, 1, 0)];
        let told = end(&[1], 0, &[(T1, 1)], &[0, 1]);
        is_allowed(vec![logs_in, vec![connect(2, ALSO_USER_0)], vec![subscribe(start, 12, 1)]], told)
    };
    assert!(history(4) && !history(8));
}
