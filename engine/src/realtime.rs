//! The face of the engine: every operation, checked and documented; the work is done in the files that `engine.rs` names.

use std::fmt;
use std::sync::Arc;

use crate::builder::Builder;
use crate::channel::Channel;
use crate::deltas::{Applied, Transition};
use crate::engine::Engine;
use crate::error::{Error, ReceiptError};
use crate::event::{Key, Reach};
use crate::handler::Handler;
use crate::hot::HotChannel;
use crate::identity::{Client, Identity};
use crate::inspect::{Binding, Member};
use crate::lane::Lane;
use crate::lifecycle::Connected;
use crate::receipt::Receipt;
use crate::sliced::SlicedBroadcast;
use crate::stats::Stats;
use crate::text::{Cid, Text};
use crate::token::{KeyRing, SigningKey};

/// The engine: it knows which connection listens to what and puts every broadcast into the right queues.
///
/// A clone is another handle to the same engine. `P` is the caller's params type, shared by all receivers of a broadcast and never
/// looked into (rule V4). The engine starts no threads and opens no sockets.
///
/// # Panics of your code
/// The engine calls code of yours: wakers, the weigher, the clock, and the destructor of `P`. None of it is called under a lock, so a call
/// that panics, or never returns, holds up no other (while it is stuck, memory that was given up since is kept). Nothing is poisoned, and
/// the accounts of [`Stats`] stay exact:
///
/// - *A waker, or the destructor of params*: the call first does everything else that it has to do, so nobody else misses an event or a
///   wake-up, and then goes on with the first panic. What it would have returned is lost with it: a connection that was just made ends. A
///   connection that is dropped does not call its own waker.
/// - *The weigher*: before anything was done.
/// - *The clock*: before the channel at hand was changed; a call that changes several may have changed those before. The end of a connection,
///   a change of user and a takeover are completed, with the clock counted as gone back.
/// - *A receiver, or a thread that dies with something of the engine's*: what it holds is dropped, no more. A connection or a lane ends,
///   a batch counts as released, a sliced broadcast delivers its rest, a handler never happened. What is leaked by
///   [`forget`](std::mem::forget) is kept, and nothing besides: a forgotten batch counts as queued for good.
///
/// While a thread unwinds, dropping connections, lanes and sliced broadcasts keeps a further panic inside. A delivery, a batch, an echo and a
/// handler drop their params like any value: if those panic then, the process aborts, as always in Rust. A waker must not panic when it
/// is cloned or dropped, or its receiver may be woken no more.
///
/// In the complexities below, *n* is the number of members of the channel and *k* the number of connections that match.
///
/// ```
/// use holocast::{Client, Event, Identity, Realtime, channel};
///
/// let realtime = Realtime::new();
/// let mut tab = realtime.connect(&Client::new("tab-1").with_session("s1").with_user(7))?.connection;
///
/// realtime.subscribe(&Identity::user(7), &channel!("room", 42), "page")?;
/// realtime.broadcast_action(&channel!("room", 42), "message", "hello")?;
///
/// assert!(matches!(tab.try_recv(), Ok(Event::Subscribed(_))));
/// assert!(matches!(tab.try_recv(), Ok(Event::Broadcast(delivery)) if *delivery.params() == "hello"));
/// # Ok::<(), holocast::Error>(())
/// ```
pub struct Realtime<P: Send + Sync + 'static> {
    pub(crate) engine: Arc<Engine<P>>,
}

impl<P: Send + Sync + 'static> Clone for Realtime<P> {
    fn clone(&self) -> Self {
        Self { engine: Arc::clone(&self.engine) }
    }
}

impl<P: Send + Sync + 'static> fmt::Debug for Realtime<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.engine.fmt(f)
    }
}

impl<P: Send + Sync + 'static> Default for Realtime<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Send + Sync + 'static> Realtime<P> {
    /// An engine with the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build().expect("the default settings are within their ranges")
    }

    /// An engine with settings of one's own.
    #[must_use]
    pub fn builder() -> Builder<P> {
        Builder::new()
    }

    pub(crate) fn from_engine(engine: Engine<P>) -> Self {
        Self { engine: Arc::new(engine) }
    }

    /// Makes a live connection with no bindings (rule C1). If the instance has a live connection, takes its place with all
    /// bindings in force and all that is queued (rule C3).
    ///
    /// # Errors
    /// A name beyond the limits; too many connections.
    ///
    /// # Complexity
    /// O(1); superseding, O(log n) for each channel it is bound to.
    ///
    /// # Progress
    /// Lock-free, except that a table that has to grow may be waited for ([`Builder::expected_connections`]).
    ///
    /// ```
    /// use holocast::{Client, Realtime};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let tab = realtime.connect(&Client::new("tab-1"))?;
    /// assert!(!tab.superseded);
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn connect(&self, client: &Client) -> Result<Connected<P>, Error> {
        self.engine.connect(client, &[])
    }

    /// As [`Realtime::connect`], and restores the bindings whose receipts are valid (rules C2 and R2). Receipts that are not valid
    /// bind nothing. If the instance has a live connection, the receipts are ignored (rule C3).
    ///
    /// # Errors
    /// As for [`Realtime::connect`].
    ///
    /// # Complexity
    /// As for [`Realtime::connect`], and O(log n) for each receipt.
    ///
    /// ```
    /// use holocast::{Channel, Client, Identity, Realtime};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let (tab, news) = (Client::new("tab-1"), Channel::atom("news"));
    /// let connected = realtime.connect(&tab)?;
    /// let kept = realtime.apply(&tab, &[(news.clone(), "page".into())], &[])?.receipts;
    /// drop(connected);
    ///
    /// let again = realtime.reconnect(&tab, &kept)?;
    /// assert_eq!(again.receipts.len(), 1);
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn reconnect(&self, client: &Client, receipts: &[Receipt]) -> Result<Connected<P>, Error> {
        self.engine.connect(client, receipts)
    }

    /// A consumer that serves any number of connections: one for each event loop.
    ///
    /// See [`Lane`] for an example.
    #[must_use]
    pub fn lane(&self) -> Lane<P> {
        Lane::new(Arc::clone(&self.engine))
    }

    /// Ends the connection of an instance: its receiver gets `Closed(Disconnected)`, its bindings are gone when this returns
    /// (rule C4). False: it had none.
    ///
    /// # Complexity
    /// O(log n) for each channel it is bound to.
    ///
    /// ```
    /// use holocast::{Client, Realtime};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let _tab = realtime.connect(&Client::new("tab-1"))?;
    /// assert!(realtime.disconnect("tab-1") && !realtime.disconnect("tab-1"));
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn disconnect(&self, instance: &str) -> bool {
        self.engine.disconnect(instance)
    }

    /// Ends all connections, each with [`Closed(Shutdown)`](crate::CloseReason::Shutdown) after what is queued for it, and refuses whatever would
    /// connect, bind or broadcast from here on (rule C7): what takes away still works. Returns how many connections it told.
    ///
    /// A connection with a queue of its own has ended when this returns, its receiver takes what is left; one on a [`Lane`] ends when its lane
    /// has worked off what waits. Once [`Stats::connections`] and [`Stats::queued`] are 0 everything has been taken.
    ///
    /// # Complexity
    /// As [`Realtime::disconnect`], for each connection.
    ///
    /// ```
    /// use holocast::{Client, CloseReason, Error, Event, Identity, Realtime, channel};
    ///
    /// let realtime = Realtime::new();
    /// let mut tab = realtime.connect(&Client::new("tab-1"))?.connection;
    /// realtime.subscribe(&Identity::instance("tab-1"), &channel!("news"), "page")?;
    /// realtime.broadcast_action(&channel!("news"), "add", "the last one")?;
    /// assert_eq!(realtime.shutdown(), 1);
    ///
    /// assert_eq!(realtime.broadcast_action(&channel!("news"), "add", "too late"), Err(Error::ShutDown));
    /// assert!(matches!(tab.try_recv(), Ok(Event::Subscribed(_))));
    /// assert!(matches!(tab.try_recv(), Ok(Event::Broadcast(_))));
    /// assert!(matches!(tab.try_recv(), Ok(Event::Closed(CloseReason::Shutdown))));
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn shutdown(&self) -> usize {
        self.engine.shutdown()
    }

    /// Changes the session and the user of a live connection: login, logout, rotation (rules C5 and C6). What another user
    /// authorized is dropped. False: the instance has no live connection, and nothing is kept.
    ///
    /// # Errors
    /// A name beyond the limits.
    ///
    /// # Complexity
    /// O(1); if the user changes, O(log n) for each channel it is bound to.
    ///
    /// ```
    /// use holocast::{Client, Event, Identity, Realtime, channel};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let mut tab = realtime.connect(&Client::new("tab-1").with_user(7))?.connection;
    /// realtime.subscribe(&Identity::user(7), &channel!("room", 42), "page")?;
    /// assert!(matches!(tab.try_recv(), Ok(Event::Subscribed(_))));
    /// realtime.identify(&Client::new("tab-1"))?;
    /// assert!(matches!(tab.try_recv(), Ok(Event::Unsubscribed(keys)) if keys.len() == 1));
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn identify(&self, client: &Client) -> Result<bool, Error> {
        self.engine.identify(client)
    }

    /// Binds every live connection that matches the identity, at one instant, and supersedes the identity's own revocations
    /// (rules S1 and S2). Returns how many connections matched; each gets [`Event::Subscribed`](crate::Event::Subscribed).
    ///
    /// # Errors
    /// A name beyond the limits; nothing is changed.
    ///
    /// # Complexity
    /// O(k log n).
    ///
    /// # Progress
    /// Lock-free, except that a table that has to grow may be waited for ([`Builder::expected_channels`]).
    ///
    /// ```
    /// use holocast::{Client, Identity, Realtime, channel};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let _tabs = [realtime.connect(&Client::new("tab-1").with_user(7))?, realtime.connect(&Client::new("tab-2").with_user(7))?];
    /// assert_eq!(realtime.subscribe(&Identity::user(7), &channel!("room", 42), "page")?, 2);
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn subscribe(
        &self,
        identity: &Identity,
        channel: &Channel,
        cid: impl Into<Cid>,
    ) -> Result<usize, Error> {
        self.engine.subscribe(identity, channel, &cid.into())
    }

    /// Drops a binding from every live connection that matches, at one instant, and remembers the revocation against receipts
    /// (rule S3). Returns how many connections matched; each gets [`Event::Unsubscribed`](crate::Event::Unsubscribed).
    ///
    /// # Errors
    /// A name beyond the limits; nothing is changed.
    ///
    /// # Complexity
    /// O(k log n).
    ///
    /// ```
    /// use holocast::{Client, Identity, Realtime, channel};
    ///
    /// let realtime = Realtime::new();
    /// let _tab = realtime.connect(&Client::new("tab-1").with_user(7))?;
    /// let room = channel!("room", 42);
    /// realtime.subscribe(&Identity::user(7), &room, "page")?;
    /// assert_eq!(realtime.unsubscribe(&Identity::user(7), &room, "page")?, 1);
    /// assert_eq!(realtime.broadcast_action(&room, "message", "nobody hears")?.reached, 0);
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn unsubscribe(
        &self,
        identity: &Identity,
        channel: &Channel,
        cid: impl Into<Cid>,
    ) -> Result<usize, Error> {
        self.engine.unsubscribe(identity, channel, &cid.into())
    }

    /// Drops all bindings to a channel from every live connection that matches, at one instant, and remembers the channel-wide
    /// revocation (rule S4): a kick. Returns how many connections lost something.
    ///
    /// # Errors
    /// A name beyond the limits; nothing is changed.
    ///
    /// # Complexity
    /// O(k log n).
    ///
    /// ```
    /// use holocast::{Client, Identity, Realtime, channel};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let _tab = realtime.connect(&Client::new("tab-1").with_user(7))?;
    /// let room = channel!("room", 42);
    /// realtime.subscribe(&Identity::user(7), &room, "page")?;
    /// realtime.subscribe(&Identity::user(7), &room, "layout")?;
    /// assert_eq!(realtime.unsubscribe_all(&Identity::user(7), &room)?, 1);
    /// assert!(realtime.bindings_of("tab-1").is_empty());
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn unsubscribe_all(&self, identity: &Identity, channel: &Channel) -> Result<usize, Error> {
        self.engine.unsubscribe_all(identity, channel)
    }

    /// Delivers an action once to every connection with a binding on the channel (rule B1).
    ///
    /// # Errors
    /// A name beyond the limits; nothing is delivered.
    ///
    /// # Complexity
    /// O(n).
    ///
    /// # Progress
    /// Lock-free; waits neither for a receiver nor for a change of the subscriptions (rule B3). Under
    /// [`Overflow::Close`](crate::Overflow::Close) it also ends the connections whose queue was full, as
    /// [`Realtime::disconnect`] does.
    ///
    /// # Panics
    /// If a receiver's waker panics: with its panic, after everybody else has got the action and was woken
    /// ([more](Realtime#panics-of-your-code)).
    ///
    /// # Ordering
    /// Per receiver, in the order of this thread's broadcasts (rule B4).
    ///
    /// ```
    /// use holocast::{Client, Identity, Realtime, channel};
    ///
    /// let realtime = Realtime::new();
    /// let _tab = realtime.connect(&Client::new("tab-1"))?;
    /// realtime.subscribe(&Identity::instance("tab-1"), &channel!("news"), "page")?;
    /// assert_eq!(realtime.broadcast_action(&channel!("news"), "add", "hello")?.reached, 1);
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn broadcast_action(
        &self,
        channel: &Channel,
        action: impl Into<Text>,
        params: P,
    ) -> Result<Reach, Error> {
        self.broadcast_action_except(&[], channel, action, params)
    }

    /// As [`Realtime::broadcast_action`], to all but the connections that match any of the excluded identities (rule B2).
    ///
    /// # Errors
    /// A name beyond the limits; nothing is delivered.
    ///
    /// ```
    /// use holocast::{Client, Identity, Realtime, channel};
    ///
    /// let realtime = Realtime::new();
    /// let _tab = realtime.connect(&Client::new("tab-1").with_user(7))?;
    /// realtime.subscribe(&Identity::user(7), &channel!("news"), "page")?;
    /// let reach = realtime.broadcast_action_except(&[Identity::user(7)], &channel!("news"), "add", "hello")?;
    /// assert_eq!(reach.reached, 0);
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn broadcast_action_except(
        &self,
        excluded: &[Identity],
        channel: &Channel,
        action: impl Into<Text>,
        params: P,
    ) -> Result<Reach, Error> {
        excluded.iter().try_for_each(|identity| self.engine.check_identity(identity))?;
        let message = self.engine.message(channel, action.into(), params)?;
        Ok(self.engine.broadcast(channel, excluded, message))
    }

    /// As [`Realtime::broadcast_action_except`], in slices: for a publisher that must not be held up by very many receivers, such as a
    /// task on a shared runtime. See [`SlicedBroadcast`].
    ///
    /// # Errors
    /// A name beyond the limits; nothing is delivered.
    ///
    /// # Complexity
    /// O(1), and a step for each lane.
    pub fn broadcast_sliced(
        &self,
        excluded: &[Identity],
        channel: &Channel,
        action: impl Into<Text>,
        params: P,
    ) -> Result<SlicedBroadcast<P>, Error> {
        excluded.iter().try_for_each(|identity| self.engine.check_identity(identity))?;
        let message = self.engine.message(channel, action.into(), params)?;
        Ok(SlicedBroadcast::new(&self.engine, channel, excluded, message))
    }

    /// A handle for broadcasts to one channel that skips hashing and look-up.
    ///
    /// # Errors
    /// A name beyond the limits.
    pub fn channel(&self, channel: &Channel) -> Result<HotChannel<P>, Error> {
        channel.check(&self.engine.limits)?;
        Ok(HotChannel::new(Arc::clone(&self.engine), channel))
    }

    /// Binds a component of the client's own instance, authorized by its current user (rule S7). Returns the fresh receipt, or
    /// nothing if it was bound already.
    ///
    /// # Errors
    /// A name beyond the limits; nothing is changed.
    ///
    /// ```
    /// use holocast::{Channel, Client, Realtime};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let tab = Client::new("tab-1");
    /// let _connected = realtime.connect(&tab)?;
    /// assert!(realtime.put_subscription(&tab, &Channel::atom("news"), "page")?.is_some());
    /// assert!(realtime.put_subscription(&tab, &Channel::atom("news"), "page")?.is_none());
    /// assert!(realtime.delete_subscription(&tab, &Channel::atom("news"), "page")?);
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn put_subscription(
        &self,
        client: &Client,
        channel: &Channel,
        cid: impl Into<Cid>,
    ) -> Result<Option<Receipt>, Error> {
        Ok(self.apply(client, &[(channel.clone(), cid.into())], &[])?.receipts.pop())
    }

    /// Unbinds a component of the client's own instance and remembers the revocation (rule S7). Returns whether it was bound.
    ///
    /// # Errors
    /// A name beyond the limits; nothing is changed.
    ///
    /// See [`Realtime::put_subscription`] for an example.
    pub fn delete_subscription(
        &self,
        client: &Client,
        channel: &Channel,
        cid: impl Into<Cid>,
    ) -> Result<bool, Error> {
        Ok(!self.apply(client, &[], &[(channel.clone(), cid.into())])?.dropped.is_empty())
    }

    /// Many puts and deletes at once (rule S7); a key in both is dropped. Each channel changes at one instant. With no live connection
    /// receipts are issued for all adds, under the client's session and user, and revocations recorded for all drops.
    ///
    /// # Errors
    /// A name beyond the limits; nothing is changed.
    ///
    /// See [`Applied`] for an example.
    pub fn apply(&self, client: &Client, adds: &[Key], drops: &[Key]) -> Result<Applied, Error> {
        self.engine.apply(client, adds, drops)
    }

    /// Page navigation: replaces all bindings of the client's own instance (rule S8). `claimed` is what the client holds.
    ///
    /// # Errors
    /// A name beyond the limits; nothing is changed.
    ///
    /// See [`Transition`] for an example.
    pub fn transition(
        &self,
        client: &Client,
        bindings: &[Key],
        claimed: &[Receipt],
    ) -> Result<Transition, Error> {
        self.engine.transition(client, bindings, claimed)
    }

    /// Collects what a request of the client's wants, to be committed at once (rule S9).
    ///
    /// See [`Handler`] for an example.
    #[must_use]
    pub fn handler(&self, client: &Client) -> Handler<'_, P> {
        Handler::new(&self.engine, client.clone())
    }

    /// A receipt as a token to give to the client (rule R5).
    ///
    /// # Errors
    /// [`ReceiptError::NoKey`].
    ///
    /// ```
    /// use holocast::{Channel, Client, Realtime, SigningKey};
    ///
    /// let realtime = Realtime::<String>::builder().signing_keys([SigningKey::new([7; 32])?]).build()?;
    /// let receipt = realtime.put_subscription(&Client::new("tab-1"), &Channel::atom("news"), "page")?.expect("a receipt");
    /// let token = realtime.sign(&receipt)?;
    /// assert_eq!(realtime.verify(&token)?, receipt);
    /// assert!(realtime.verify(&token[1..]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sign(&self, receipt: &Receipt) -> Result<String, ReceiptError> {
        self.engine.keys.load().sign(receipt)
    }

    /// The receipt in a token (rule R5). That it was signed here says nothing about revocations: [`Realtime::reconnect`] does.
    ///
    /// # Errors
    /// The token is forged, cut, of an unknown key or version, or expired.
    pub fn verify(&self, token: &str) -> Result<Receipt, ReceiptError> {
        let (now_ms, lifetime_ms) = (self.engine.index.clock().now_ms(), self.engine.index.lifetime_ms());
        self.engine.keys.load().verify(token, now_ms, lifetime_ms, &self.engine.limits)
    }

    /// Replaces the keys of tokens: the first signs, all verify. To rotate, put a new one in front and take the last one away once
    /// its receipts have expired.
    pub fn set_signing_keys(&self, keys: Vec<SigningKey>) {
        self.engine.keys.swap(Arc::new(KeyRing::new(keys)));
    }

    /// The bindings of an instance's live connection, by channel and cid.
    #[must_use]
    pub fn bindings_of(&self, instance: &str) -> Vec<Binding> {
        self.engine.bindings_of(instance)
    }

    /// The identities of an instance's live connection.
    #[must_use]
    pub fn identities_of(&self, instance: &str) -> Option<Client> {
        self.engine.identities_of(instance)
    }

    /// The live connections that match an identity, by instance.
    #[must_use]
    pub fn connections_of(&self, identity: &Identity) -> Vec<Client> {
        self.engine.connections_of(identity)
    }

    /// Who is there: the connections bound to a channel, by instance, from one snapshot. O(n log n).
    ///
    /// ```
    /// use holocast::{Client, Identity, Realtime, channel};
    ///
    /// let realtime = Realtime::<String>::new();
    /// let _tab = realtime.connect(&Client::new("tab-1").with_user(7))?;
    /// realtime.subscribe(&Identity::user(7), &channel!("room", 42), "page")?;
    /// let members = realtime.members_of(&channel!("room", 42));
    /// assert_eq!(members[0].client.user(), Some(&7.into()));
    /// # Ok::<(), holocast::Error>(())
    /// ```
    #[must_use]
    pub fn members_of(&self, channel: &Channel) -> Vec<Member> {
        self.engine.members_of(channel)
    }

    /// What the engine holds and has done. Walks over all channels and connections.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// Gives back every revocation that has expired (rule R4); returns how many. Never needed: every change gives back a few.
    pub fn sweep(&self) -> usize {
        self.engine.index.sweep()
    }
}
