//! What the rule tests share: short names, a clock that is set by hand, and events as readable lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holocast::{Channel, Client, Connection, Event, Identity, Key, Realtime, Receipt, channel};

pub(crate) const HOUR_MS: u64 = 3_600_000;

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn new() -> Self {
        Clock(Arc::new(AtomicU64::new(1_750_000_000_000)))
    }

    pub(crate) fn advance(&self, by_ms: u64) {
        self.0.fetch_add(by_ms, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, to_ms: u64) {
        self.0.store(to_ms, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let shown = Arc::clone(&self.0);
        move || shown.load(Ordering::Relaxed)
    }
}

pub(crate) fn engine() -> Realtime<u64> {
    Realtime::new()
}

/// An engine on a clock of its own.
pub(crate) fn timed() -> (Realtime<u64>, Clock) {
    let clock = Clock::new();
    (Realtime::builder().clock(clock.read()).build().expect("the settings are valid"), clock)
}

pub(crate) fn room() -> Channel {
    channel!("room", 42)
}

pub(crate) fn lobby() -> Channel {
    channel!("lobby")
}

pub(crate) fn key(channel: Channel, cid: &str) -> Key {
    (channel, cid.into())
}

/// An instance without session and user.
pub(crate) fn tab(instance: &str) -> Client {
    Client::new(instance)
}

/// An instance of a user.
pub(crate) fn tab_of(instance: &str, user: i64) -> Client {
    Client::new(instance).with_user(user)
}

pub(crate) fn connect(realtime: &Realtime<u64>, client: &Client) -> Connection<u64> {
    realtime.connect(client).expect("names are short").connection
}

pub(crate) fn subscribe(
    realtime: &Realtime<u64>,
    identity: &Identity,
    channel: &Channel,
    cid: &str,
) -> usize {
    realtime.subscribe(identity, channel, cid).expect("names are short")
}

pub(crate) fn broadcast(realtime: &Realtime<u64>, channel: &Channel, params: u64) -> (usize, usize) {
    let reach = realtime.broadcast_action(channel, "add", params).expect("names are short");
    (reach.reached, reach.refused)
}

/// Everything queued, a line each.
pub(crate) fn seen(connection: &mut Connection<u64>) -> Vec<String> {
    std::iter::from_fn(|| connection.try_recv().ok()).map(|event| line(&event)).collect()
}

/// The receipts among what is queued; the rest is passed over.
pub(crate) fn receipts(connection: &mut Connection<u64>) -> Vec<Receipt> {
    let events = std::iter::from_fn(|| connection.try_recv().ok());
    let receipt = |event| if let Event::Subscribed(receipt) = event { Some(receipt) } else { None };
    events.filter_map(receipt).collect()
}

pub(crate) fn line(event: &Event<u64>) -> String {
    match event {
        Event::Broadcast(delivery) => {
            let cids: Vec<&str> = delivery.cids().map(AsRef::as_ref).collect();
            format!(
                "{} {} {} for {}",
                delivery.channel(),
                delivery.action(),
                delivery.params(),
                cids.join(" ")
            )
        }
        Event::Subscribed(receipt) => {
            format!("subscribed {} {}{}", receipt.channel(), receipt.cid(), authority(receipt))
        }
        Event::Unsubscribed(keys) => {
            let mut keys: Vec<String> =
                keys.iter().map(|(channel, cid)| format!("{channel} {cid}")).collect();
            keys.sort();
            format!("unsubscribed {}", keys.join(", "))
        }
        Event::Lagged(lost) => format!("lagged {lost}"),
        Event::Closed(reason) => format!("closed {reason}"),
        other => format!("{other:?}"),
    }
}

fn authority(receipt: &Receipt) -> String {
    receipt.user().map(|user| format!(" by {user}")).unwrap_or_default()
}

/// Returned receipts as `channel cid by user`, in order.
pub(crate) fn shown(receipts: &[Receipt]) -> Vec<String> {
    let show = |receipt: &Receipt| format!("{} {}{}", receipt.channel(), receipt.cid(), authority(receipt));
    let mut lines: Vec<String> = receipts.iter().map(show).collect();
    lines.sort();
    lines
}

/// The bindings of an instance as `channel cid by user`, in the order of these lines.
pub(crate) fn bound(realtime: &Realtime<u64>, instance: &str) -> Vec<String> {
    let bindings = realtime.bindings_of(instance);
    let by =
        |user: &Option<holocast::Id>| user.as_ref().map(|user| format!(" by {user}")).unwrap_or_default();
    let mut lines: Vec<String> =
        bindings.iter().map(|held| format!("{} {}{}", held.channel, held.cid, by(&held.user))).collect();
    lines.sort();
    lines
}

/// Asserts rule B5 as it stands now.
pub(crate) fn assert_balanced<P: Send + Sync + 'static>(realtime: &Realtime<P>) {
    let stats = realtime.stats();
    let accounted = stats.taken + stats.queued + stats.released + stats.withheld;
    assert_eq!(stats.accepted, accounted, "accepted = taken + queued + released + withheld, in {stats:?}");
}
