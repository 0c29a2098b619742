//! The protocol under loom: the real operations on a small engine, over the stand-ins of `sync.rs`. Each test states the rule or
//! invariant that it proves and the weakening that was seen to make it fail.
//!
//! Bounds: preemptions as given per test (`LOOM_MAX_PREEMPTIONS` sets another one for all); every exploration is complete within its
//! bound, which [`explore`] checks, and prints the number of executions.

use std::sync::Arc;
// Not loom's, which may not outlive an execution: they count executions.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Instant;

use loom::thread;

use crate::sync::{AtomicU32, Ordering as LoomOrdering, epoch};
use crate::{Channel, Client, CloseReason, Connection, Event, Identity, Overflow, Realtime, TryRecvError};

/// Runs both closures in threads of their own.
///
/// The script's own thread takes no part in a race: loom first runs the threads one after the other and then looks for reorderings that
/// matter, but it keeps only the last access to each atomic. Where one thread loads before it swaps, that hides an earlier load of
/// the thread that ran first; seen from threads of which any may run first, nothing is hidden.
pub(crate) fn race<A: Send + 'static, B: Send + 'static>(
    a: impl FnOnce() -> A + Send + 'static,
    b: impl FnOnce() -> B + Send + 'static,
) -> (A, B) {
    let (a, b) = (thread::spawn(a), thread::spawn(b));
    (a.join().unwrap(), b.join().unwrap())
}

/// Runs every execution of `script` with at most so many preemptions.
pub(crate) fn explore(name: &str, preemptions: usize, script: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    // Limits that would end the exploration early and call it passed.
    builder.max_duration = None;
    builder.max_permutations = None;
    builder.max_branches = 100_000;
    let bound = builder.preemption_bound.unwrap_or(preemptions);
    builder.preemption_bound = (bound != usize::MAX).then_some(bound);
    let start = Instant::now();
    builder.check(move || {
        // Relaxed: a count.
        count.fetch_add(1, Ordering::Relaxed);
        script();
    });
    let executions = executions.load(Ordering::Relaxed);
    println!(
        "loom {name}: {executions} executions, preemptions {:?}, {:.1?}",
        builder.preemption_bound,
        start.elapsed()
    );
    assert!(executions > 1, "loom saw nothing to interleave");
}

pub(crate) fn engine() -> Realtime<u32> {
    Realtime::builder().clock(|| 1_000_000).build().expect("within the ranges")
}

/// With queues of one message.
fn narrow(overflow: Overflow) -> Realtime<u32> {
    let builder = Realtime::builder().queue_capacity(1).overflow(overflow).clock(|| 1_000_000);
    builder.build().expect("within the ranges")
}

pub(crate) fn channel() -> Channel {
    Channel::atom("c")
}

pub(crate) fn tab(name: &str) -> Client {
    Client::new(name)
}

/// A member of the channel, without which it would be empty, and so retired by whoever visits it.
fn staying(realtime: &Realtime<u32>) -> Connection<u32> {
    let connection = realtime.connect(&tab("staying")).unwrap().connection;
    realtime.put_subscription(&tab("staying"), &channel(), "a").unwrap();
    connection
}

/// All events that are there now.
pub(crate) fn drain(connection: &mut Connection<u32>) -> Vec<Event<u32>> {
    let mut events = Vec::new();
    loop {
        match connection.try_recv() {
            Ok(event) => events.push(event),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return events,
        }
    }
}

pub(crate) fn broadcasts(events: &[Event<u32>]) -> Vec<u32> {
    let params = |event: &Event<u32>| match event {
        Event::Broadcast(delivery) => Some(*delivery.params()),
        _ => None,
    };
    events.iter().filter_map(params).collect()
}

pub(crate) fn assert_balanced(realtime: &Realtime<u32>) {
    let stats = realtime.stats();
    assert_eq!(stats.accepted, stats.taken + stats.queued + stats.released + stats.withheld, "{stats:?}");
}

/// Q5: a receiver that sleeps is woken by a broadcast.
/// Fails if `push` clears PARKED and tells nobody (loom reports the deadlock).
#[test]
fn q5_a_parked_receiver_is_woken_by_a_broadcast() {
    explore("park/broadcast", 3, || {
        let realtime = engine();
        let mut connection = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        let (_, event) = race(
            move || realtime.broadcast_action(&channel(), "x", 1).unwrap(),
            move || loom::future::block_on(connection.recv()),
        );
        assert!(matches!(event, Some(Event::Broadcast(_))));
    });
}

/// Q2, Q5: a receiver that falls asleep while a publisher resets its queue is woken for what follows.
/// Fails if `overflow` does not wake after the reset.
#[test]
fn q5_a_receiver_beside_a_reset_is_woken() {
    explore("reset/park", 3, || {
        let realtime = narrow(Overflow::Reset);
        let mut connection = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let publisher = realtime.clone();
        let (_, connection) = race(
            move || publisher.broadcast_action(&channel(), "x", 2).unwrap(),
            move || {
                let is_last =
                    |event| matches!(event, Some(Event::Broadcast(delivery)) if *delivery.params() == 2);
                while !is_last(loom::future::block_on(connection.recv())) {}
                connection
            },
        );
        drop(connection);
        assert_balanced(&realtime);
    });
}

/// Q5, C3: a receiver whose predecessor was asleep is woken by a broadcast that still finds the predecessor's mark.
/// Fails with Release for AcqRel in `push`: it may wake by the parker of the tenant before.
#[test]
fn q5_the_successor_of_a_sleeper_is_woken_by_a_broadcast() {
    explore("park/supersede/broadcast", 3, || {
        let realtime = engine();
        let mut old = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        assert!(old.poll_recv(&mut Context::from_waker(Waker::noop())).is_pending());
        let publisher = realtime.clone();
        let (_, event) = race(
            move || publisher.broadcast_action(&channel(), "x", 1).unwrap(),
            move || {
                let mut new = realtime.connect(&tab("i")).unwrap().connection;
                loom::future::block_on(new.recv())
            },
        );
        assert!(matches!(event, Some(Event::Broadcast(_))));
    });
}

/// B2: an excluded tab is not reached on its way out either.
/// Fails if the exclusion asks for live connections only, or if `end` makes the connection unfindable before its queue is closed.
#[test]
fn b2_an_excluded_tab_is_not_reached_while_it_ends() {
    explore("exclude/disconnect", 3, || {
        let realtime = engine();
        let _connection = realtime.connect(&tab("i").with_user(7)).unwrap().connection;
        realtime.put_subscription(&tab("i").with_user(7), &channel(), "a").unwrap();
        let ending = realtime.clone();
        let (reach, ended) = race(
            move || realtime.broadcast_action_except(&[Identity::user(7)], &channel(), "x", 1).unwrap(),
            move || ending.disconnect("i"),
        );
        assert!(ended && reach.reached == 0);
    });
}

/// C3, I6: a receiver about to sleep is woken by the supersede of its connection.
/// Fails if `supersede` does not wake the old parker, or if `poll_recv` does not look at the generation after parking.
#[test]
fn c3_a_parked_receiver_is_woken_by_a_supersede() {
    explore("park/supersede", 3, || {
        let realtime = engine();
        let mut old = realtime.connect(&tab("i")).unwrap().connection;
        let (_connected, event) =
            race(move || realtime.connect(&tab("i")).unwrap(), move || loom::future::block_on(old.recv()));
        assert!(matches!(event, Some(Event::Closed(CloseReason::Superseded))));
    });
}

/// C4: a receiver about to sleep is woken by the end of its connection.
/// Fails if `end` does not wake, or if `park` ignores CLOSED.
#[test]
fn c4_a_parked_receiver_is_woken_by_a_disconnect() {
    explore("park/disconnect", 3, || {
        let realtime = engine();
        let mut connection = realtime.connect(&tab("i")).unwrap().connection;
        let (ended, event) =
            race(move || realtime.disconnect("i"), move || loom::future::block_on(connection.recv()));
        assert!(ended && matches!(event, Some(Event::Closed(CloseReason::Disconnected))));
    });
}

/// C3, B5, I6: a supersede beside a broadcast and a take: the message comes out once, at one of the two receivers.
/// Fails if `pop` does not compare the generation.
#[test]
fn c3_a_supersede_loses_and_doubles_nothing() {
    explore("supersede", 3, || {
        let realtime = engine();
        let mut old = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let publisher = realtime.clone();
        let publisher =
            thread::spawn(move || publisher.broadcast_action(&channel(), "x", 2).unwrap().reached);
        let connecting = realtime.clone();
        let (mut connected, (mut old, mut of_old)) = race(
            move || connecting.connect(&tab("i")).unwrap(),
            move || {
                let first: Vec<_> = old.try_recv().into_iter().collect();
                (old, first)
            },
        );
        assert!(connected.superseded);
        assert_eq!((connected.receipts.len(), publisher.join().unwrap()), (1, 1));
        of_old.extend(drain(&mut old));
        assert!(matches!(of_old.last(), Some(Event::Closed(CloseReason::Superseded))));
        let mut got = broadcasts(&of_old);
        got.extend(broadcasts(&drain(&mut connected.connection)));
        assert_eq!(got, [1, 2]);
        drop(of_old);
        assert_balanced(&realtime);
    });
}

/// C4, I7: what a receiver leaves queued at its end, because its predecessor is just looking into the queue, goes with the last of both.
/// Fails if the last holder of a slot does not release its queue.
#[test]
fn c4_what_is_queued_goes_with_the_last_receiver() {
    explore("drop/take of a superseded", 3, || {
        let realtime = engine();
        let mut old = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let new = realtime.connect(&tab("i")).unwrap().connection;
        // What is put off until nobody is pinned does not come to pass here.
        let _pin = epoch::pin();
        race(
            move || {
                assert!(matches!(
                    old.try_recv(),
                    Ok(Event::Closed(CloseReason::Superseded)) | Err(TryRecvError::Empty)
                ));
                drop(old);
            },
            move || drop(new),
        );
        let stats = realtime.stats();
        assert_eq!((stats.accepted, stats.released, stats.queued), (1, 1, 0));
    });
}

/// S1, S5: subscribe beside unsubscribe_all of the same user: all tabs or none, and never a binding held against a standing
/// revocation.
/// Fails if the revocation and the bindings are not changed by the same swap.
#[test]
fn s5_subscribe_against_unsubscribe_all_leaves_no_half() {
    explore("subscribe/unsubscribe_all", 3, || {
        let realtime = engine();
        let _tabs = ["i", "j"].map(|name| realtime.connect(&tab(name).with_user(7)).unwrap().connection);
        let (subscriber, revoker) = (realtime.clone(), realtime.clone());
        let (subscribed, _) = race(
            move || subscriber.subscribe(&Identity::user(7), &channel(), "a").unwrap(),
            move || revoker.unsubscribe_all(&Identity::user(7), &channel()).unwrap(),
        );
        assert_eq!(subscribed, 2);
        let stats = realtime.stats();
        let state = (stats.bindings, stats.revocations);
        assert!(state == (2, 0) || state == (0, 1), "{state:?}");
    });
}

/// S2, S5: a subscribe that matched nobody came after the tab's end, so after the revocation, and has lifted it.
/// Fails if `edit` does not look for the cell again after nobody was found.
#[test]
fn s2_a_subscribe_to_nobody_lifts_what_was_revoked_before() {
    explore("subscribe/revoke, disconnect", 3, || {
        let realtime = engine();
        let connection = realtime.connect(&tab("i").with_user(7)).unwrap().connection;
        let (subscriber, revoker) = (realtime.clone(), realtime.clone());
        let (matched, _) = race(
            move || subscriber.subscribe(&Identity::user(7), &channel(), "a").unwrap(),
            move || {
                revoker.unsubscribe_all(&Identity::user(7), &channel()).unwrap();
                drop(connection);
            },
        );
        assert!(matched == 1 || realtime.stats().revocations == 0);
    });
}

/// C2, I2: a reconnect with a receipt beside an unsubscribe: whichever comes first, the binding is gone.
/// Fails if the unsubscribe resolves before it loads, or if `restore_one` does not check the receipt inside the edit.
#[test]
fn i2_an_unsubscribe_can_not_miss_a_tab_that_reconnects() {
    explore("reconnect/unsubscribe", 3, || {
        let realtime = engine();
        let receipt = realtime.put_subscription(&tab("i"), &channel(), "a").unwrap().unwrap();
        let (connecting, revoker) = (realtime.clone(), realtime.clone());
        let (_connected, _) = race(
            move || connecting.reconnect(&tab("i").with_user(7), &[receipt]).unwrap(),
            move || revoker.unsubscribe(&Identity::user(7), &channel(), "a").unwrap(),
        );
        assert!(realtime.bindings_of("i").is_empty());
        assert_eq!(realtime.broadcast_action(&channel(), "x", 1).unwrap().reached, 0);
    });
}

/// C4, I3: a subscribe beside the end of the connection leaves no member behind.
/// Fails if `end` does not swap the snapshots of channels in which the slot is no member, or if nothing was recorded.
#[test]
fn i3_a_subscribe_against_a_disconnect_leaves_no_zombie() {
    explore("subscribe/disconnect", 3, || {
        let realtime = engine();
        let connection = realtime.connect(&tab("i")).unwrap().connection;
        let _staying = staying(&realtime);
        let subscriber = realtime.clone();
        race(
            move || subscriber.subscribe(&Identity::instance("i"), &channel(), "a").unwrap(),
            move || drop(connection),
        );
        let stats = realtime.stats();
        assert_eq!((stats.members, stats.connections), (1, 1));
    });
}

/// I3: a subscribe beside a change of user leaves no record of a channel that the connection is not on after all.
/// Fails if `subscribe` keeps the records of those that it did not bind.
#[test]
fn i3_who_is_not_bound_after_all_has_no_record_of_it() {
    explore("subscribe/identify, records", 3, || {
        let realtime = engine();
        let connection = realtime.connect(&tab("i").with_user(7)).unwrap().connection;
        let _other = realtime.connect(&tab("j").with_user(7)).unwrap().connection;
        let (subscriber, logging_in) = (realtime.clone(), realtime.clone());
        race(
            move || subscriber.subscribe(&Identity::user(7), &channel(), "a").unwrap(),
            move || logging_in.identify(&tab("i").with_user(8)).unwrap(),
        );
        assert!(realtime.bindings_of("i").is_empty());
        assert_eq!(realtime.engine.registry.slot(connection.slot()).joined.visit().len(), 0);
    });
}

/// C4, I3: a delete that finds the connection ended has removed nothing, so it leaves the record to the end.
/// Fails if `edit_own` forgets the record of a connection that it no longer found.
#[test]
fn i3_a_delete_against_a_disconnect_leaves_no_zombie() {
    explore("delete/disconnect", 3, || {
        let realtime = engine();
        let connection = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        let _staying = staying(&realtime);
        let deleting = realtime.clone();
        race(
            move || deleting.delete_subscription(&tab("i"), &channel(), "a").unwrap(),
            move || drop(connection),
        );
        assert_eq!(realtime.stats().members, 1);
    });
}

/// C5, I4: a subscribe by user beside that user's logout: no binding of the old user is left.
/// Fails if `visit` does not swap snapshots that need no change.
#[test]
fn i4_a_subscribe_against_a_logout_leaves_nothing_of_the_old_user() {
    explore("subscribe/identify", 3, || {
        let realtime = engine();
        let _connection = realtime.connect(&tab("i").with_user(7)).unwrap().connection;
        let _staying = staying(&realtime);
        let (subscriber, identifying) = (realtime.clone(), realtime.clone());
        race(
            move || subscriber.subscribe(&Identity::user(7), &channel(), "a").unwrap(),
            move || identifying.identify(&tab("i").with_user(8)).unwrap(),
        );
        assert_eq!(realtime.stats().bindings, 1);
    });
}

/// C5: from the moment identify returned, nothing of the old user's is handed out.
/// Fails if `change_tenant` does not tell the queue.
#[test]
fn c5_nothing_of_the_old_user_is_handed_out_after_identify() {
    explore("identify/take", 3, || {
        let realtime = engine();
        let mut connection = realtime.connect(&tab("i").with_user(7)).unwrap().connection;
        realtime.put_subscription(&tab("i").with_user(7), &channel(), "a").unwrap();
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        // What is queued outlives the binding, so that no visit of the channel tells the queue.
        assert!(realtime.delete_subscription(&tab("i").with_user(7), &channel(), "a").unwrap());
        let returned = Arc::new(AtomicU32::new(0));
        let (identifying, done) = (realtime.clone(), Arc::clone(&returned));
        let ((), mut connection) = race(
            move || {
                identifying.identify(&tab("i").with_user(8)).unwrap();
                done.store(1, LoomOrdering::Release);
            },
            move || {
                // Acquire: what follows comes after identify returned.
                let after = returned.load(LoomOrdering::Acquire) == 1;
                let got = connection.try_recv();
                assert!(!(after && matches!(got, Ok(Event::Broadcast(_)))));
                connection
            },
        );
        assert!(broadcasts(&drain(&mut connection)).is_empty());
        assert_balanced(&realtime);
    });
}

/// I2: two logins of one tab at once: the identity index ends as the tenant does.
/// Fails if claims carry no ticket of their own (the slower one takes the other's away).
#[test]
fn i2_two_identifies_at_once_leave_one_claim() {
    explore("identify/identify", 3, || {
        let realtime = engine();
        let _connection = realtime.connect(&tab("i").with_user(7)).unwrap().connection;
        let (one, two) = (realtime.clone(), realtime.clone());
        race(
            move || {
                one.identify(&tab("i")).unwrap();
                one.identify(&tab("i").with_user(7)).unwrap();
            },
            move || two.identify(&tab("i").with_user(8)).unwrap(),
        );
        let user = realtime.identities_of("i").unwrap().user().cloned().unwrap();
        for id in [7, 8] {
            let found = realtime.connections_of(&Identity::user(id)).len();
            assert_eq!(found, usize::from(user == id.into()), "user {id} of {user:?}");
        }
    });
}

/// I5: the retirement of a channel beside a subscribe: the subscriber is in the cell that broadcasts find.
/// Fails if empty cells are not retired, if retired ones are edited, or if `unlink` removes whatever cell the map has.
#[test]
fn i5_a_subscriber_is_never_left_in_a_retired_cell() {
    explore("retire/subscribe", 3, || {
        let realtime = engine();
        let leaving = realtime.connect(&tab("i")).unwrap().connection;
        let staying = realtime.connect(&tab("j")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        let subscriber = realtime.clone();
        let (reached, ()) = race(
            move || {
                assert_eq!(subscriber.subscribe(&Identity::instance("j"), &channel(), "a").unwrap(), 1);
                let excluded = [Identity::instance("i")];
                subscriber.broadcast_action_except(&excluded, &channel(), "x", 1).unwrap().reached
            },
            move || drop(leaving),
        );
        assert_eq!((reached, realtime.stats().members), (1, 1));
        drop(staying);
        let mut cells = 0;
        realtime.engine.index.for_each(|_| cells += 1);
        assert_eq!(cells, 0);
    });
}

/// I7: a broadcast that still names a slot never reaches its next tenant.
/// Fails if `free_later` frees at once.
#[test]
fn i7_a_message_never_reaches_the_next_tenant_of_a_slot() {
    explore("recycle/broadcast", 3, || {
        let realtime = engine();
        let leaving = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        let (publisher, connecting) = (realtime.clone(), realtime.clone());
        let (_, mut next) = race(
            move || publisher.broadcast_action(&channel(), "x", 1).unwrap(),
            move || {
                drop(leaving);
                connecting.connect(&tab("j")).unwrap().connection
            },
        );
        assert!(drain(&mut next).is_empty());
        assert_balanced(&realtime);
    });
}

/// I7: a slice of a broadcast that began before a slot was given away never reaches the next tenant.
/// Fails if `serves` does not look at the count, or if a new tenancy opens its queue before it tells the lease.
#[test]
fn i7_a_slice_never_reaches_the_next_tenant_of_a_slot() {
    explore("recycle/slice", 3, || {
        let realtime = engine();
        let leaving = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        let mut broadcast = realtime.broadcast_sliced(&[], &channel(), "x", 1).unwrap();
        drop(leaving);
        let connecting = realtime.clone();
        let (_, mut next) = race(
            move || {
                broadcast.advance(1);
                assert_eq!(broadcast.reach().reached, 0);
            },
            move || connecting.connect(&tab("j")).unwrap().connection,
        );
        assert!(drain(&mut next).is_empty());
        assert_balanced(&realtime);
    });
}

/// Q2, C4: an overflow that ends a connection beside its supersede: the accounting balances and no member is left.
/// Fails if `end` is given the generation that the publisher knew instead of none.
#[test]
fn q2_an_overflow_beside_a_supersede_ends_one_connection() {
    explore("overflow/supersede", 3, || {
        let realtime = narrow(Overflow::Close);
        let old = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        realtime.broadcast_action(&channel(), "x", 1_u32).unwrap();
        let (publisher, connecting) = (realtime.clone(), realtime.clone());
        let (refused, mut connected) = race(
            move || publisher.broadcast_action(&channel(), "x", 2).unwrap().refused,
            move || connecting.connect(&tab("i")).unwrap(),
        );
        assert_eq!((refused, realtime.stats().members), (1, 0));
        let events = drain(&mut connected.connection);
        if connected.superseded {
            assert!(
                matches!(&events[..], [Event::Broadcast(_), Event::Closed(CloseReason::Overflow)]),
                "{events:?}"
            );
        } else {
            assert!(events.is_empty(), "{events:?}");
        }
        drop((old, connected));
        let stats = realtime.stats();
        assert_eq!((stats.members, stats.connections), (0, 0));
        assert_balanced(&realtime);
    });
}

/// I3: two equal puts of one tab at once: the member keeps a record, so the end of the connection finds it.
/// Fails if records of one channel share a ticket (the put that changed nothing forgets the other's).
#[test]
fn i3_two_equal_puts_at_once_leave_a_record() {
    explore("put/put", 3, || {
        let realtime = engine();
        let connection = realtime.connect(&tab("i")).unwrap().connection;
        let put = |realtime: Realtime<u32>| {
            move || realtime.put_subscription(&tab("i"), &channel(), "a").unwrap().is_some()
        };
        let (one, two) = race(put(realtime.clone()), put(realtime.clone()));
        assert!(one != two);
        drop(connection);
        assert_eq!(realtime.stats().members, 0);
    });
}

/// I7: the event of an unsubscribe never reaches the next tenant of a slot.
/// Fails if `unsubscribe` is pinned only until its swap.
#[test]
fn i7_an_unsubscribed_never_reaches_the_next_tenant_of_a_slot() {
    explore("recycle/unsubscribe", 3, || {
        let realtime = engine();
        let leaving = realtime.connect(&tab("i")).unwrap().connection;
        let (revoker, connecting) = (realtime.clone(), realtime.clone());
        let (_, mut next) = race(
            move || revoker.unsubscribe(&Identity::instance("i"), &channel(), "a").unwrap(),
            move || {
                drop(leaving);
                connecting.connect(&tab("j")).unwrap().connection
            },
        );
        assert!(drain(&mut next).is_empty());
    });
}

/// C5, I4: one of two equal logouts has returned: nothing of the old user's is handed out, even if the other one did the work and is not
/// done.
/// Fails if `Registry::tenant` does not tell the queue.
#[test]
fn c5_a_logout_that_finds_itself_done_has_told_the_queue() {
    explore("identify/identify/take", 3, || {
        let realtime = engine();
        let mut connection = realtime.connect(&tab("i").with_user(7)).unwrap().connection;
        realtime.put_subscription(&tab("i").with_user(7), &channel(), "a").unwrap();
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let other = realtime.clone();
        race(
            move || other.identify(&tab("i")).unwrap(),
            move || {
                realtime.identify(&tab("i")).unwrap();
                assert!(!matches!(connection.try_recv(), Ok(Event::Broadcast(_))));
            },
        );
    });
}
