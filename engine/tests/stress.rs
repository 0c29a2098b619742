//! Real threads against the engine: what one thread was promised holds while others churn, and the accounting of rule B5
//! balances at every rest. Each test names its rule; how often it runs is sized for two cores and a debug build.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use holocast::{Channel, Client, CloseReason, Connection, Event, Identity, Overflow, Realtime, channel};

/// Longer than any wait of a correct engine, so that a lost wake fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

fn connect<P: Send + Sync + 'static>(realtime: &Realtime<P>, client: &Client) -> Connection<P> {
    realtime.connect(client).expect("names are short").connection
}

fn roomy<P: Send + Sync + 'static>() -> Realtime<P> {
    Realtime::builder().queue_capacity(32_767).build().expect("the settings are valid")
}

fn tab_of(instance: impl Into<holocast::Text>, user: i64) -> Client {
    Client::new(instance).with_user(user)
}

fn subscribe<P: Send + Sync + 'static>(
    realtime: &Realtime<P>,
    identity: &Identity,
    channel: &Channel,
) -> usize {
    realtime.subscribe(identity, channel, "page").expect("names are short")
}

fn broadcast<P: Send + Sync + 'static>(realtime: &Realtime<P>, channel: &Channel, params: P) -> usize {
    realtime.broadcast_action(channel, "add", params).expect("names are short").reached
}

/// Rule B5, and that nobody and nothing is left when everybody has gone.
fn assert_nothing_left<P: Send + Sync + 'static>(realtime: &Realtime<P>) {
    let stats = realtime.stats();
    assert_eq!(
        stats.accepted,
        stats.taken + stats.released + stats.withheld,
        "rule B5 with empty queues, in {stats:?}"
    );
    assert_eq!((stats.connections, stats.bindings, stats.queued), (0, 0, 0), "{stats:?}");
}

/// Ends the other threads, also when the test fails.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        // Relaxed: only ends the loops; joining orders the rest.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does its work while the others do theirs over and over, told how often, each in a thread. These are joined one by one, as everywhere
/// here: ThreadSanitizer does not see what the end of a scope orders.
fn beside<R>(others: impl IntoIterator<Item = impl FnMut(usize) + Send>, work: impl FnOnce() -> R) -> R {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let finish = Finish(&done);
        let others: Vec<_> = others
            .into_iter()
            .map(|act| scope.spawn(|| (0..).take_while(|_| !done.load(Ordering::Relaxed)).for_each(act)))
            .collect();
        let result = work();
        drop(finish);
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        result
    })
}

/// S1, S5, B6: through every kind of identity, 2,000 of 2,000, and never after the unsubscribe.
#[test]
fn subscribe_then_broadcast_always_arrives_and_after_unsubscribe_never_while_others_churn() {
    const ROUNDS: u64 = 2_000;
    let realtime: Realtime<u64> = roomy();
    let room = channel!("room", 42);
    let client = tab_of("own", 7).with_session("s1");
    let mut own = connect(&realtime, &client);
    let (mut arrived, mut late) = ([0, 0, 0], 0);
    let churners = (0..2).map(|churner| {
        let (realtime, room) = (&realtime, &room);
        move |round: usize| {
            // Tabs of the same user and session come and go, on the same channel.
            let name = format!("churn{churner}-{}", round % 5);
            let tab = connect(realtime, &tab_of(name.as_str(), 7).with_session("s1"));
            subscribe(realtime, &Identity::instance(name.as_str()), room);
            if round.is_multiple_of(3) {
                realtime.identify(&tab_of(name.as_str(), 8).with_session("s2")).expect("names are short");
            }
            if round.is_multiple_of(2) {
                realtime.unsubscribe_all(&Identity::instance(name.as_str()), room).expect("names are short");
            }
            drop(tab);
        }
    });
    beside(churners, || {
        let identities = [Identity::instance("own"), Identity::session("s1"), Identity::user(7)];
        for (kind, identity) in identities.iter().enumerate() {
            for round in 0..ROUNDS {
                subscribe(&realtime, identity, &room);
                broadcast(&realtime, &room, round);
                let heard =
                    |event: &Event<u64>| matches!(event, Event::Broadcast(heard) if *heard.params() == round);
                arrived[kind] += std::iter::from_fn(|| own.try_recv().ok()).filter(heard).count();
                if round % 2 == 0 {
                    realtime.unsubscribe(identity, &room, "page").expect("names are short");
                } else {
                    realtime.unsubscribe_all(identity, &room).expect("names are short");
                }
                broadcast(&realtime, &room, u64::MAX);
                let heard = |event: &Event<u64>| matches!(event, Event::Broadcast(_));
                late += std::iter::from_fn(|| own.try_recv().ok()).filter(heard).count();
            }
        }
    });
    assert_eq!((arrived, late), ([ROUNDS as usize; 3], 0));
    drop(own);
    assert_nothing_left(&realtime);
}

/// B5, C3, C4: connect, supersede, identify, disconnect and drop from several threads on shared names, under broadcasting.
#[test]
fn churn_under_broadcasting_accounts_for_every_event_and_leaves_nothing() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for overflow in [Overflow::Close, Overflow::DropNewest, Overflow::Reset] {
        const BROADCASTS: usize = 6_000;
        let realtime: Realtime<Counted> =
            Realtime::builder().queue_capacity(8).overflow(overflow).build().expect("the settings are valid");
        let (taken, dropped) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let rooms = [channel!("lobby"), channel!("room", 42), channel!("room", "42")];
        let churners = (0..3_usize).map(|churner| {
            let (realtime, rooms, taken) = (&realtime, &rooms, &taken);
            let mut held: Vec<Connection<Counted>> = Vec::new();
            move |round| {
                let (n, user) = (round * 7 + churner, (round % 2) as i64);
                let name = format!("i{}", n % 6);
                held.push(connect(realtime, &tab_of(name.as_str(), user)));
                subscribe(realtime, &Identity::user(user), &rooms[n % 3]);
                if n % 5 == 0 {
                    realtime.identify(&tab_of(name.as_str(), 1 - user)).expect("names are short");
                }
                for tab in &mut held {
                    let events = std::iter::from_fn(|| tab.try_recv().ok()).take(5);
                    let heard = events.filter(|event| matches!(event, Event::Broadcast(_))).count();
                    taken.fetch_add(heard, Ordering::Relaxed);
                }
                match n % 4 {
                    0 => drop(realtime.disconnect(&name)),
                    1 => drop(held.remove(0)),
                    _ if held.len() > 4 => held.clear(),
                    _ => {}
                }
            }
        });
        let send = |n: usize| broadcast(&realtime, &rooms[n % 3], Counted(Arc::clone(&dropped)));
        let reached: usize = beside(churners, || (0..BROADCASTS).map(send).sum());
        let stats = realtime.stats();
        assert_nothing_left(&realtime);
        assert_eq!(
            (stats.accepted, stats.taken),
            (reached as u64, taken.into_inner() as u64),
            "{overflow:?}"
        );
        assert_eq!(dropped.load(Ordering::Relaxed), BROADCASTS, "{overflow:?}: no message is kept");
    }
}

/// C3, B4, B5: two consumers supersede each other all the time; together they get everything once.
#[test]
fn superseding_consumers_together_get_every_event_once_and_each_in_order() {
    const MESSAGES: u64 = 20_000;
    let realtime: Realtime<u64> = roomy();
    let room = channel!("room", 42);
    let client = Client::new("i1");
    let mut first = connect(&realtime, &client);
    subscribe(&realtime, &Identity::instance("i1"), &room);
    assert!(matches!(first.try_recv(), Ok(Event::Subscribed(_))));
    let done = AtomicBool::new(false);
    let consume = || {
        let (mut heard, mut tab) = (Vec::new(), connect(&realtime, &client));
        while !done.load(Ordering::Relaxed) {
            let mut before = None;
            for _ in 0..50 {
                match tab.blocking_recv_timeout(Duration::from_millis(1)) {
                    Ok(Event::Broadcast(delivery)) => {
                        assert!(before < Some(*delivery.params()), "in order");
                        before = Some(*delivery.params());
                        heard.push(*delivery.params());
                    }
                    Ok(event) => {
                        assert!(matches!(event, Event::Closed(CloseReason::Superseded)), "{event:?}");
                        assert!(tab.try_recv().is_err(), "nothing after it");
                        break;
                    }
                    Err(_) => {}
                }
            }
            // The old one is superseded before it is dropped, so its end ends nothing.
            tab = connect(&realtime, &client);
        }
        (heard, tab)
    };
    let mut heard: Vec<u64> = Vec::new();
    let mut tabs = thread::scope(|scope| {
        let (finish, consumers) = (Finish(&done), [scope.spawn(consume), scope.spawn(consume)]);
        for n in 0..MESSAGES {
            assert_eq!(broadcast(&realtime, &room, n), 1, "live without a gap");
            if n % 64 == 0 {
                thread::yield_now();
            }
        }
        drop(finish);
        let mut tabs = Vec::new();
        for consumer in consumers {
            let (taken, tab) = consumer.join().expect("no panic");
            heard.extend(taken);
            tabs.push(tab);
        }
        tabs
    });
    tabs.push(connect(&realtime, &client));
    for tab in &mut tabs {
        let rest = std::iter::from_fn(|| tab.try_recv().ok());
        heard.extend(
            rest.filter_map(|event| if let Event::Broadcast(d) = event { Some(*d.params()) } else { None }),
        );
    }
    assert!(matches!(first.try_recv(), Ok(Event::Closed(CloseReason::Superseded))));
    heard.sort_unstable();
    assert!(heard.iter().copied().eq(0..MESSAGES), "every event once: {} of {MESSAGES}", heard.len());
    drop((tabs, first));
    assert_nothing_left(&realtime);
}

/// C5: once `identify` has returned, nothing of the other user is handed out, whoever publishes meanwhile.
#[test]
fn after_identify_nothing_of_the_other_user_is_handed_out() {
    const CHANGES: usize = 1_000;
    let realtime: Realtime<i64> = Realtime::builder()
        .queue_capacity(64)
        .overflow(Overflow::DropNewest)
        .build()
        .expect("the settings are valid");
    let rooms = [channel!("user", 0), channel!("user", 1)];
    let mut own = connect(&realtime, &tab_of("i1", 0));
    let mut heard = [0, 0];
    let publisher = |round: usize| {
        let user = round % 2;
        broadcast(&realtime, &rooms[user], user as i64);
    };
    beside([publisher], || {
        for change in 0..CHANGES {
            let user = change % 2;
            realtime.identify(&tab_of("i1", user as i64)).expect("names are short");
            subscribe(&realtime, &Identity::user(user as i64), &rooms[user]);
            for _ in 0..40 {
                match own.try_recv() {
                    Ok(Event::Broadcast(delivery)) => {
                        assert_eq!(*delivery.params(), user as i64, "authorized by the other user");
                        heard[user] += 1;
                    }
                    Ok(_) => {}
                    Err(_) => thread::yield_now(),
                }
            }
        }
    });
    assert!(heard[0] > 0 && heard[1] > 0, "the race was run: {heard:?}");
    drop(own);
    assert_nothing_left(&realtime);
}

/// C2, S5: a reconnect with a receipt against an unsubscribe: whichever comes first, no binding is left.
#[test]
fn no_receipt_restores_a_binding_against_a_concurrent_unsubscribe() {
    const ROUNDS: i64 = 1_000;
    let realtime: Realtime<u64> = Realtime::new();
    let client = tab_of("i1", 7).with_session("s1");
    let identities = [Identity::instance("i1"), Identity::session("s1"), Identity::user(7)];
    let mut restored = 0;
    for round in 0..ROUNDS {
        let room = channel!("room", round);
        let receipt = realtime.put_subscription(&client, &room, "page").expect("names are short");
        let receipt = receipt.expect("nobody is live");
        let start = Barrier::new(2);
        let tab = thread::scope(|scope| {
            let unsubscribing = scope.spawn(|| {
                start.wait();
                let identity = &identities[round as usize % 3];
                if round % 2 == 0 {
                    realtime.unsubscribe(identity, &room, "page").expect("names are short");
                } else {
                    realtime.unsubscribe_all(identity, &room).expect("names are short");
                }
            });
            start.wait();
            let tab = realtime.reconnect(&client, std::slice::from_ref(&receipt)).expect("names are short");
            unsubscribing.join().expect("no panic");
            tab
        });
        restored += tab.receipts.len();
        assert!(realtime.bindings_of("i1").is_empty(), "round {round}");
        assert!(realtime.members_of(&room).is_empty(), "round {round}");
    }
    assert!(restored < ROUNDS as usize, "at least once the unsubscribe came first");
    assert_nothing_left(&realtime);
}

/// C4: a subscribe against the end of the connection leaves no member behind.
#[test]
fn no_subscribe_binds_a_connection_that_ends_meanwhile() {
    let realtime: Realtime<u64> = Realtime::new();
    let user = Identity::user(7);
    for round in 0..1_000 {
        let room = channel!("room", round);
        let tab = connect(&realtime, &tab_of("i1", 7));
        let start = Barrier::new(2);
        thread::scope(|scope| {
            let ending = scope.spawn(|| {
                start.wait();
                if round % 2 == 0 { drop(tab) } else { drop((realtime.disconnect("i1"), tab)) }
            });
            start.wait();
            subscribe(&realtime, &user, &room);
            ending.join().expect("no panic");
        });
        assert!(realtime.members_of(&room).is_empty(), "round {round}");
    }
    assert_eq!(realtime.stats().channels, 0);
    assert_nothing_left(&realtime);
}

/// An executor in one thread: parks between wakes, and fails instead of hanging.
struct Unparker(Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unparker(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        let slept = std::time::Instant::now();
        thread::park_timeout(PATIENCE);
        assert!(slept.elapsed() < PATIENCE, "a wake was lost");
    }
}

/// How a player of the next test waits for the ball.
type Receive = fn(&mut Connection<u64>) -> Option<Event<u64>>;

/// Q5: every message finds its receiver asleep or falling asleep, and wakes it.
#[test]
fn ping_pong_between_sleepers_loses_no_wake() {
    const RALLIES: u64 = 5_000;
    let awaiting: Receive = |tab| block_on(tab.recv());
    let blocking: Receive = |tab| Some(tab.blocking_recv_timeout(PATIENCE).expect("a wake was lost"));
    for players in [[awaiting, awaiting], [blocking, blocking], [awaiting, blocking]] {
        let realtime: Realtime<u64> = Realtime::new();
        let tables = [channel!("table", 0), channel!("table", 1)];
        thread::scope(|scope| {
            let mut tabs = Vec::new();
            for (side, table) in tables.iter().enumerate() {
                let name = format!("p{side}");
                let mut tab = connect(&realtime, &Client::new(name.as_str()));
                subscribe(&realtime, &Identity::instance(name.as_str()), table);
                assert!(matches!(tab.try_recv(), Ok(Event::Subscribed(_))));
                tabs.push(tab);
            }
            let play = |((side, mut tab), receive): ((usize, Connection<u64>), Receive)| {
                let (realtime, tables) = (&realtime, &tables);
                scope.spawn(move || {
                    for rally in 0..RALLIES {
                        if side == 0 {
                            assert_eq!(broadcast(realtime, &tables[1], rally), 1);
                        }
                        let Some(Event::Broadcast(ball)) = receive(&mut tab) else {
                            panic!("the game goes on")
                        };
                        assert_eq!(*ball.params(), rally);
                        if side == 1 {
                            assert_eq!(broadcast(realtime, &tables[0], rally), 1);
                        }
                    }
                })
            };
            let players: Vec<_> = tabs.into_iter().enumerate().zip(players).map(play).collect();
            players.into_iter().for_each(|player| player.join().expect("no panic"));
        });
        assert_nothing_left(&realtime);
    }
}

/// B1, B5, Q5: many sleepers, one publisher; everybody gets everything in order and then the end.
#[test]
fn parked_receivers_get_everything_and_then_the_end() {
    const RECEIVERS: usize = 8;
    const MESSAGES: u64 = 3_000;
    let realtime: Realtime<u64> = roomy();
    let room = channel!("room", 42);
    let tabs: Vec<_> = (0..RECEIVERS).map(|n| connect(&realtime, &tab_of(format!("i{n}"), 7))).collect();
    subscribe(&realtime, &Identity::user(7), &room);
    let heard: BTreeMap<usize, u64> = thread::scope(|scope| {
        let receivers: Vec<_> = tabs
            .into_iter()
            .enumerate()
            .map(|(n, mut tab)| {
                scope.spawn(move || {
                    let mut next = 0;
                    loop {
                        let event = match n % 3 {
                            0 => tab.blocking_recv(),
                            1 => tab.blocking_recv_timeout(PATIENCE).ok(),
                            _ => block_on(tab.recv()),
                        };
                        match event.expect("a wake was lost, or the end was not told") {
                            Event::Broadcast(delivery) if *delivery.params() == u64::MAX => break (n, next),
                            Event::Broadcast(delivery) => {
                                assert_eq!(*delivery.params(), next);
                                next += 1;
                            }
                            _ => {}
                        }
                    }
                })
            })
            .collect();
        for n in 0..MESSAGES {
            assert_eq!(broadcast(&realtime, &room, n), RECEIVERS);
            if n % 16 == 0 {
                thread::yield_now();
            }
        }
        broadcast(&realtime, &room, u64::MAX);
        receivers.into_iter().map(|receiver| receiver.join().expect("no panic")).collect()
    });
    assert!(heard.values().all(|heard| *heard == MESSAGES), "{heard:?}");
    assert_nothing_left(&realtime);
}

/// Q3, Q5: whatever ends a connection wakes its sleeping receiver.
#[test]
fn every_kind_of_end_wakes_a_sleeper() {
    let realtime: Realtime<u64> =
        Realtime::builder().queue_capacity(1).build().expect("the settings are valid");
    let room = channel!("room", 42);
    let client = Client::new("i1");
    for round in 0..900 {
        let mut tab = connect(&realtime, &client);
        subscribe(&realtime, &Identity::instance("i1"), &room);
        assert!(matches!(tab.try_recv(), Ok(Event::Subscribed(_))));
        let sleeper = thread::spawn(move || {
            let last = |event: Option<Event<u64>>| match event.expect("told before the end") {
                Event::Closed(reason) => Some(reason),
                _ => None,
            };
            loop {
                let event = if round % 2 == 0 {
                    block_on(tab.recv())
                } else {
                    Some(tab.blocking_recv_timeout(PATIENCE).expect("a wake was lost"))
                };
                if let Some(reason) = last(event) {
                    break reason;
                }
            }
        });
        if round % 4 < 2 {
            thread::yield_now();
        }
        let mut successor = None;
        let expected = match round % 3 {
            0 => {
                realtime.disconnect("i1");
                CloseReason::Disconnected
            }
            1 => {
                successor = Some(connect(&realtime, &client));
                CloseReason::Superseded
            }
            _ => {
                // The sleeper takes some; a burst of two that it does not see in time is too much for the queue.
                while realtime.identities_of("i1").is_some() {
                    broadcast(&realtime, &room, 1);
                }
                CloseReason::Overflow
            }
        };
        assert_eq!(sleeper.join().expect("no panic"), expected);
        drop(successor);
    }
    assert_nothing_left(&realtime);
}
