//! Section 10 of the rules: what observers are told.

use std::sync::Arc;

use holocast::{
    Builder, Channel, Cid, Client, CloseReason, Connection, Identity, Observer, Overflow, Realtime, Stamp,
    channel,
};
use parking_lot::Mutex;

use crate::support::{bound, broadcast, connect, key, room, seen, subscribe, tab, tab_of};

/// Writes down what it is told, a line each.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, line: String) {
        self.0.lock().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Observer for Notes {
    fn connected(&self, client: &Client, superseded: bool) {
        self.note(format!("connected {} {superseded}", client.instance()));
    }

    fn disconnected(&self, client: &Client, reason: CloseReason) {
        self.note(format!("disconnected {} {reason}", client.instance()));
    }

    fn identified(&self, before: &Client, now: &Client) {
        self.note(format!("identified {:?} {:?}", before.user(), now.user()));
    }

    fn channel_opened(&self, channel: &Channel, _: Stamp) {
        self.note(format!("opened {channel}"));
    }

    fn channel_closed(&self, channel: &Channel, _: Stamp) {
        self.note(format!("closed {channel}"));
    }

    fn overflowed(&self, client: &Client) {
        self.note(format!("overflowed {}", client.instance()));
    }

    fn lane_overflowed(&self) {
        self.note("lane overflowed".to_owned());
    }

    fn revoked(&self, identity: &Identity, channel: &Channel, cid: Option<&Cid>) {
        self.note(format!("revoked {identity:?} {channel} {:?}", cid.map(Cid::as_str)));
    }
}

fn observed(builder: Builder<u64>) -> (Realtime<u64>, Notes) {
    let notes = Notes::default();
    (builder.observer(notes.clone()).build().expect("within the ranges"), notes)
}

/// O1
#[test]
fn o1_every_connection_is_told_of_once_when_it_comes_and_once_when_it_goes() {
    let (realtime, notes) = observed(Realtime::builder());
    let first = connect(&realtime, &tab("i1"));
    let second = connect(&realtime, &tab_of("i1", 7));
    assert_eq!(notes.take(), ["connected i1 false", "connected i1 true"]);
    drop(first);
    assert!(notes.take().is_empty(), "a receiver that was superseded ends nothing");
    drop(second);
    let _own = connect(&realtime, &tab("i2"));
    let mut lane = realtime.lane();
    lane.connect(&tab("i3"), 3).expect("names are short");
    let fourth = lane.connect(&tab("i4"), 4).expect("names are short").key;
    lane.disconnect(fourth);
    realtime.disconnect("i2");
    drop(lane);
    let lines = [
        "disconnected i1 disconnected",
        "connected i2 false",
        "connected i3 false",
        "connected i4 false",
        "disconnected i4 disconnected",
        "disconnected i2 disconnected",
        "disconnected i3 disconnected",
    ];
    assert_eq!(notes.take(), lines);
    let _last = connect(&realtime, &tab("i5"));
    realtime.shutdown();
    assert_eq!(notes.take(), ["connected i5 false", "disconnected i5 shutdown"]);
}

/// O1
#[test]
fn o1_a_change_of_user_or_session_is_told_and_no_change_is_not() {
    let (realtime, notes) = observed(Realtime::builder());
    let _tab = connect(&realtime, &tab_of("i1", 7));
    notes.take();
    for client in [tab_of("i1", 7), tab("i1"), tab("i9")] {
        realtime.identify(&client).expect("names are short");
    }
    assert_eq!(notes.take(), ["identified Some(Int(7)) None"]);
}

/// O2
#[test]
fn o2_the_first_and_the_last_binding_of_a_channel_are_told() {
    let (realtime, notes) = observed(Realtime::builder());
    let mut lane = realtime.lane();
    let own = connect(&realtime, &tab_of("i1", 7));
    lane.connect(&tab_of("i2", 7), 2).expect("names are short");
    notes.take();
    subscribe(&realtime, &Identity::user(7), &room(), "page");
    subscribe(&realtime, &Identity::user(7), &room(), "layout");
    drop(own);
    assert_eq!(
        notes.take(),
        ["opened {:room, 42}", "disconnected i1 disconnected"],
        "another is still bound"
    );
    realtime.unsubscribe_all(&Identity::user(7), &room()).expect("names are short");
    assert_eq!(notes.take(), ["closed {:room, 42}", "revoked User(Int(7)) {:room, 42} None"]);
    realtime.put_subscription(&tab_of("i2", 7), &room(), "page").expect("names are short");
    realtime.transition(&tab_of("i2", 7), &[key(room(), "layout")], &[]).expect("names are short");
    assert_eq!(notes.take(), ["opened {:room, 42}"], "a channel that is bound all the time stays open");
    realtime.delete_subscription(&tab_of("i2", 7), &room(), "layout").expect("names are short");
    assert_eq!(notes.take(), ["closed {:room, 42}", "revoked Instance(\"i2\") {:room, 42} Some(\"layout\")"]);
}

/// O2: stamps of one channel grow, whether its cell was given back in between or not.
#[test]
fn o2_the_later_stamp_of_a_channel_is_the_truth() {
    struct Stamps(Arc<Mutex<Vec<Stamp>>>);
    impl Observer for Stamps {
        fn channel_opened(&self, _: &Channel, stamp: Stamp) {
            self.0.lock().push(stamp);
        }
        fn channel_closed(&self, _: &Channel, stamp: Stamp) {
            self.0.lock().push(stamp);
        }
    }
    let stamps = Arc::default();
    let realtime =
        Realtime::<u64>::builder().clock(|| 5).observer(Stamps(Arc::clone(&stamps))).build().expect("valid");
    for _ in 0..10 {
        let _tab = connect(&realtime, &tab("i1"));
        subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    }
    let stamps = stamps.lock();
    assert_eq!(stamps.len(), 20);
    assert!(stamps.is_sorted_by(|before, after| before < after), "{stamps:?}");
}

fn slow(overflow: Overflow) -> (Realtime<u64>, Notes, Connection<u64>) {
    let (realtime, notes) = observed(Realtime::builder().queue_capacity(2).overflow(overflow));
    let tab_connection = connect(&realtime, &tab("i1"));
    realtime.put_subscription(&tab("i1"), &room(), "page").expect("names are short");
    notes.take();
    (realtime, notes, tab_connection)
}

/// O3
#[test]
fn o3_an_overflow_is_told_once_for_each_lagged() {
    for overflow in [Overflow::DropNewest, Overflow::Reset] {
        let (realtime, notes, mut tab) = slow(overflow);
        for _ in 0..2 {
            (0..10).for_each(|n| _ = broadcast(&realtime, &room(), n));
            assert_eq!(notes.take(), ["overflowed i1"], "{overflow:?}");
            assert!(seen(&mut tab).iter().any(|line| line.starts_with("lagged")));
        }
        (0..2).for_each(|n| _ = broadcast(&realtime, &room(), n));
        assert!(notes.take().is_empty(), "it fits");
    }
}

/// O3
#[test]
fn o3_an_overflow_that_ends_its_connection_is_told_before_the_end() {
    let (realtime, notes, _tab) = slow(Overflow::Close);
    (0..10).for_each(|n| _ = broadcast(&realtime, &room(), n));
    assert_eq!(notes.take(), ["overflowed i1", "disconnected i1 overflow", "closed {:room, 42}"]);
}

/// O3
#[test]
fn o3_an_overflow_of_a_lane_is_told_once_for_each_lagged() {
    for overflow in [Overflow::Close, Overflow::DropNewest, Overflow::Reset] {
        let (realtime, notes) = observed(Realtime::builder().lane_capacity(2).overflow(overflow));
        let mut lane = realtime.lane();
        lane.connect(&tab("i1"), 1).expect("names are short");
        realtime.put_subscription(&tab("i1"), &room(), "page").expect("names are short");
        notes.take();
        for _ in 0..2 {
            (0..10).for_each(|n| _ = broadcast(&realtime, &room(), n));
            assert_eq!(notes.take(), ["lane overflowed"], "{overflow:?}");
            while lane.try_recv().is_some() {}
        }
    }
}

/// O4
#[test]
fn o4_an_observer_that_panics_changes_nothing_and_keeps_nobody_from_being_told() {
    struct Panics;
    impl Observer for Panics {
        fn connected(&self, _: &Client, _: bool) {
            panic!("an observer's");
        }
        fn channel_opened(&self, _: &Channel, _: Stamp) {
            panic!("an observer's");
        }
    }
    let (realtime, notes) = observed(Realtime::builder().observer(Panics));
    let mut tab_connection = connect(&realtime, &tab("i1"));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    assert_eq!(broadcast(&realtime, &room(), 1), (1, 0));
    assert_eq!(seen(&mut tab_connection).len(), 2);
    assert_eq!(notes.take(), ["connected i1 false", "opened {:room, 42}"]);
}

/// O4: what is told has happened, and the engine may be asked and called.
#[test]
fn o4_an_observer_may_call_the_engine() {
    struct Greeter(Arc<Mutex<Option<Realtime<u64>>>>);
    impl Observer for Greeter {
        fn channel_opened(&self, channel: &Channel, _: Stamp) {
            let realtime = self.0.lock().clone().expect("set before anybody is connected");
            assert_eq!(realtime.members_of(channel).len(), 1);
            broadcast(&realtime, channel, 99);
        }
    }
    let engine = Arc::new(Mutex::new(None));
    let realtime = Realtime::<u64>::builder().observer(Greeter(Arc::clone(&engine))).build().expect("valid");
    *engine.lock() = Some(realtime.clone());
    let mut tab_connection = connect(&realtime, &tab("i1"));
    realtime.put_subscription(&tab("i1"), &room(), "page").expect("names are short");
    assert_eq!(seen(&mut tab_connection), ["{:room, 42} add 99 for page"]);
    // Or each would keep the other.
    *engine.lock() = None;
}

/// C5, O4: who looks in the middle of a logout, after one channel and before the next, is shown nothing that the old user authorized.
#[test]
fn c5_in_the_middle_of_a_logout_nothing_of_the_old_user_is_shown() {
    #[derive(Clone, Default)]
    struct Looking {
        engine: Arc<Mutex<Option<Realtime<u64>>>>,
        seen: Notes,
    }
    impl Observer for Looking {
        fn channel_closed(&self, _: &Channel, _: Stamp) {
            let Some(realtime) = self.engine.lock().clone() else { return };
            let members = |channel: &Channel| {
                let members = realtime.members_of(channel);
                members.into_iter().map(|member| member.cids).collect::<Vec<_>>()
            };
            let mut handler = realtime.handler(&tab("i1"));
            for channel in [room(), channel!("two")] {
                handler.broadcast_action(&channel, "add", 0).expect("names are short");
            }
            let echoes = handler.commit().expect("names are short").echoes;
            self.seen.note(format!(
                "{:?} {:?} {:?} {:?}",
                bound(&realtime, "i1"),
                members(&room()),
                [members(&channel!("one")), members(&channel!("two"))].concat(),
                echoes.iter().map(|echo| echo.cid().as_str()).collect::<Vec<_>>()
            ));
        }
    }
    let looking = Looking::default();
    let realtime = Realtime::<u64>::builder().observer(looking.clone()).build().expect("valid");
    let _connection = connect(&realtime, &tab("i1"));
    realtime.put_subscription(&tab("i1"), &room(), "anonymous").expect("names are short");
    realtime.identify(&tab_of("i1", 7)).expect("names are short");
    for channel in [channel!("one"), room(), channel!("two")] {
        realtime.put_subscription(&tab("i1"), &channel, "private").expect("names are short");
    }
    *looking.engine.lock() = Some(realtime.clone());
    realtime.identify(&tab("i1")).expect("names are short");
    *looking.engine.lock() = None;
    let expected = r#"["{:room, 42} anonymous"] [["anonymous"]] [] ["anonymous"]"#;
    assert_eq!(looking.seen.take(), [expected, expected], "once for each channel that closed");
}

/// C5: what a call in the middle of a logout finds and drops, it tells; the logout does not tell it again.
#[test]
fn c5_whoever_drops_a_binding_of_the_old_user_tells_of_it() {
    #[derive(Clone, Default)]
    struct Putting(Arc<Mutex<Option<Realtime<u64>>>>);
    impl Observer for Putting {
        fn channel_closed(&self, _: &Channel, _: Stamp) {
            let Some(realtime) = self.0.lock().take() else { return };
            realtime.put_subscription(&tab("i1"), &channel!("two"), "new").expect("names are short");
        }
    }
    let putting = Putting::default();
    let realtime = Realtime::<u64>::builder().observer(putting.clone()).build().expect("valid");
    let mut connection = connect(&realtime, &tab_of("i1", 7));
    for channel in [channel!("one"), channel!("two")] {
        realtime.put_subscription(&tab("i1"), &channel, "private").expect("names are short");
    }
    *putting.0.lock() = Some(realtime.clone());
    realtime.identify(&tab("i1")).expect("names are short");
    let mut told = seen(&mut connection);
    told.sort();
    assert_eq!(told, ["unsubscribed :one private", "unsubscribed :two private"]);
    assert_eq!(bound(&realtime, "i1"), [":two new"]);
}
