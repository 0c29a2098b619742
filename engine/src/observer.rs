//! Hooks: what a host may want to know while it happens. Called after the change, on the thread that made it, under no lock.

use std::fmt;
use std::sync::Arc;

use crate::caught::Caught;
use crate::channel::Channel;
use crate::event::CloseReason;
use crate::identity::{Client, Identity};
use crate::receipt::Stamp;
use crate::text::Cid;

/// What a host is told of while it happens; every method does nothing unless it is written. Given to
/// [`Builder::observer`](crate::Builder::observer).
///
/// The methods are called on the thread that made the change, after it, and hold that thread up: hand longer work to a queue of yours. They may call
/// the engine; one that holds a [`Realtime`](crate::Realtime) keeps it, and itself, until it lets go of that. A panic in one ends there, and the
/// others are called all the same. Without an observer all of it costs a branch.
///
/// # Ordering
/// What one thread does is told in its order. What two threads do may be told in either order, or at once: a tab that is connected by one
/// and ended by another may be told to have ended first. Each connection is told of once when it comes and once when it goes. Of a channel the later
/// stamp is the truth.
///
/// ```
/// use holocast::{Channel, Client, Identity, Observer, Realtime, Stamp, channel};
/// use std::sync::mpsc::{Sender, channel as queue};
///
/// /// Follows on other nodes what somebody listens to here.
/// struct Bridge(Sender<String>);
///
/// impl Observer for Bridge {
///     fn channel_opened(&self, channel: &Channel, _: Stamp) {
///         let _ = self.0.send(format!("follow {channel}"));
///     }
///
///     fn channel_closed(&self, channel: &Channel, _: Stamp) {
///         let _ = self.0.send(format!("leave {channel}"));
///     }
/// }
///
/// let (sender, told) = queue();
/// let realtime = Realtime::<String>::builder().observer(Bridge(sender)).build()?;
/// let tab = realtime.connect(&Client::new("tab-1"))?;
/// realtime.subscribe(&Identity::instance("tab-1"), &channel!("news"), "page")?;
/// drop(tab);
/// assert_eq!(told.try_iter().collect::<Vec<_>>(), ["follow :news", "leave :news"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Observer: Send + Sync + 'static {
    /// A connection was made; or, if `superseded`, the live one of the instance has a new receiver, and these session and user from now on
    /// (rules C1 to C3).
    fn connected(&self, client: &Client, superseded: bool) {
        let _ = (client, superseded);
    }

    /// A connection has ended and can't be found any more (rule C4).
    fn disconnected(&self, client: &Client, reason: CloseReason) {
        let _ = (client, reason);
    }

    /// A live connection has another session or user (rules C5 and C6).
    fn identified(&self, before: &Client, now: &Client) {
        let _ = (before, now);
    }

    /// A channel has its first binding here.
    fn channel_opened(&self, channel: &Channel, stamp: Stamp) {
        let _ = (channel, stamp);
    }

    /// A channel has lost its last binding here.
    fn channel_closed(&self, channel: &Channel, stamp: Stamp) {
        let _ = (channel, stamp);
    }

    /// A connection's queue was full (rule Q2): told with the first broadcast lost of those that one `Lagged` will count, or when the
    /// connection is ended for it.
    fn overflowed(&self, client: &Client) {
        let _ = client;
    }

    /// The queue of a lane was full: as [`Observer::overflowed`].
    fn lane_overflowed(&self) {}

    /// A revocation was recorded, of one component or of the whole channel (rules S3, S4 and S7).
    fn revoked(&self, identity: &Identity, channel: &Channel, cid: Option<&Cid>) {
        let _ = (identity, channel, cid);
    }
}

/// Whoever is to be told.
#[derive(Clone)]
pub(crate) struct Observers(Arc<[Box<dyn Observer>]>);

impl Observers {
    pub(crate) fn new(observers: Vec<Box<dyn Observer>>) -> Self {
        Self(observers.into())
    }

    /// Tells all of them, if there are any.
    #[inline]
    pub(crate) fn tell(&self, what: impl Fn(&dyn Observer)) {
        if !self.0.is_empty() {
            self.tell_all(what);
        }
    }

    #[cold]
    fn tell_all(&self, what: impl Fn(&dyn Observer)) {
        for observer in &*self.0 {
            let mut caught = Caught::default();
            caught.attempt(|| what(&**observer));
            // The operation is no business of the observer's.
            caught.forget();
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observers", self.0.len())
    }
}
