//! Transactional handlers (rule S9): collect, then commit everything or, dropped, nothing.

use std::fmt;
use std::sync::Arc;

use crate::caught::Caught;
use crate::channel::Channel;
use crate::engine::Engine;
use crate::error::Error;
use crate::event::{Echo, Key, Message, Reach};
use crate::identity::{Client, Identity};
use crate::receipt::Receipt;
use crate::sync::epoch;
use crate::text::{Cid, Text};

/// What one request of an instance wants to change and to broadcast. Made by [`Realtime::handler`](crate::Realtime::handler).
///
/// Nothing happens before [`commit`](Handler::commit); dropped without it, nothing happened.
///
/// ```
/// use holocast::{Channel, Client, Realtime};
///
/// let realtime = Realtime::new();
/// let tab = Client::new("tab-1").with_user(7);
/// let _connected = realtime.connect(&tab)?;
/// let news = Channel::atom("news");
///
/// let mut handler = realtime.handler(&tab);
/// handler.put_subscription(&news, "page")?;
/// handler.broadcast_action(&news, "add", "hello")?;
/// let committed = handler.commit()?;
/// // The tab applies its own action at once, instead of waiting for the broadcast that excludes it.
/// assert_eq!((committed.echoes.len(), *committed.echoes[0].params()), (1, "hello"));
/// # Ok::<(), holocast::Error>(())
/// ```
pub struct Handler<'a, P: Send + Sync + 'static> {
    engine: &'a Engine<P>,
    client: Client,
    adds: Vec<Key>,
    drops: Vec<Key>,
    broadcasts: Vec<(Vec<Identity>, Arc<Message<P>>)>,
}

/// What a commit did.
///
/// See [`Handler`].
#[derive(Debug)]
pub struct Committed<P> {
    /// Fresh receipts of what was really added.
    pub receipts: Vec<Receipt>,
    /// What was really dropped.
    pub dropped: Vec<Key>,
    /// The handler's own broadcasts as the originating instance is to see them, in call order, then by cid.
    pub echoes: Vec<Echo<P>>,
    /// Of all broadcasts together.
    pub reach: Reach,
}

impl<P: Send + Sync + 'static> fmt::Debug for Handler<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler")
            .field("client", &self.client)
            .field("adds", &self.adds)
            .field("drops", &self.drops)
            .field("broadcasts", &self.broadcasts.len())
            .finish()
    }
}

impl<'a, P: Send + Sync + 'static> Handler<'a, P> {
    pub(crate) fn new(engine: &'a Engine<P>, client: Client) -> Self {
        Self { engine, client, adds: Vec::new(), drops: Vec::new(), broadcasts: Vec::new() }
    }

    /// Binds a component at commit; takes back an earlier delete of the same handler.
    ///
    /// # Errors
    /// A name beyond the limits; nothing is collected.
    pub fn put_subscription(&mut self, channel: &Channel, cid: impl Into<Cid>) -> Result<(), Error> {
        let key = (channel.clone(), cid.into());
        self.engine.check_key(&key.0, &key.1)?;
        self.drops.retain(|drop| *drop != key);
        self.adds.push(key);
        Ok(())
    }

    /// Unbinds a component at commit; takes back an earlier put of the same handler.
    ///
    /// # Errors
    /// A name beyond the limits; nothing is collected.
    pub fn delete_subscription(&mut self, channel: &Channel, cid: impl Into<Cid>) -> Result<(), Error> {
        let key = (channel.clone(), cid.into());
        self.engine.check_key(&key.0, &key.1)?;
        self.adds.retain(|add| *add != key);
        self.drops.push(key);
        Ok(())
    }

    /// Broadcasts at commit, to all but the handler's own instance.
    ///
    /// # Errors
    /// A name beyond the limits; nothing is collected.
    pub fn broadcast_action(
        &mut self,
        channel: &Channel,
        action: impl Into<Text>,
        params: P,
    ) -> Result<(), Error> {
        self.broadcast_action_except(&[], channel, action, params)
    }

    /// Broadcasts at commit, to all but the handler's own instance and whoever matches an excluded identity.
    ///
    /// # Errors
    /// A name beyond the limits; nothing is collected.
    pub fn broadcast_action_except(
        &mut self,
        excluded: &[Identity],
        channel: &Channel,
        action: impl Into<Text>,
        params: P,
    ) -> Result<(), Error> {
        let message = self.engine.message(channel, action.into(), params)?;
        excluded.iter().try_for_each(|identity| self.engine.check_identity(identity))?;
        self.broadcasts.push((excluded.to_vec(), message));
        Ok(())
    }

    /// Applies the subscriptions, then sends the broadcasts in call order.
    ///
    /// # Errors
    /// A name of the handler's client beyond the limits; the engine was shut down meanwhile. Nothing happened.
    pub fn commit(self) -> Result<Committed<P>, Error> {
        if !self.broadcasts.is_empty() {
            self.engine.latch.check()?;
        }
        let applied = self.engine.apply(&self.client, &self.adds, &self.drops)?;
        let _pin = epoch::pin();
        let originator = self.engine.registry.live(self.client.instance());
        let originator = originator.map_or_else(|| self.client.clone(), |found| found.tenant.client.clone());
        let mut committed = Committed {
            receipts: applied.receipts,
            dropped: applied.dropped,
            echoes: Vec::new(),
            reach: Reach::default(),
        };
        let mut caught = Caught::default();
        for (mut excluded, message) in self.broadcasts {
            if !excluded.iter().any(|identity| originator.matches(identity)) {
                let cids = self.engine.cids_of(self.client.instance(), &message.channel);
                committed
                    .echoes
                    .extend(cids.into_iter().map(|cid| Echo { message: Arc::clone(&message), cid }));
            }
            excluded.push(Identity::Instance(self.client.instance().clone()));
            caught.attempt(|| {
                let reach = self.engine.broadcast(&message.channel.clone(), &excluded, message);
                committed.reach.reached += reach.reached;
                committed.reach.refused += reach.refused;
            });
        }
        caught.go_on();
        Ok(committed)
    }
}
