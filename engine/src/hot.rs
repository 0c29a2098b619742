//! A handle for a channel that is broadcast to often: it keeps the channel's cell, so that it need not look for it.

use std::fmt;
use std::sync::Arc;

use crate::channel::Channel;
use crate::engine::Engine;
use crate::error::Error;
use crate::event::Reach;
use crate::identity::Identity;
use crate::index::Cell;
use crate::sync::epoch;
use crate::text::Text;

/// Broadcasts to one channel without hashing and look-up. Made by [`Realtime::channel`](crate::Realtime::channel).
///
/// While the handle is there the channel keeps its place in the index, some hundred bytes, even with nobody on it.
///
/// ```
/// use holocast::{Client, Identity, Realtime, channel};
///
/// let realtime = Realtime::new();
/// let news = realtime.channel(&channel!("news"))?;
/// assert_eq!(news.broadcast_action("add", 1)?.reached, 0);
///
/// let _tab = realtime.connect(&Client::new("tab-1"))?;
/// realtime.subscribe(&Identity::instance("tab-1"), news.channel(), "page")?;
/// assert_eq!(news.broadcast_action("add", 2)?.reached, 1);
/// # Ok::<(), holocast::Error>(())
/// ```
pub struct HotChannel<P: Send + Sync + 'static> {
    engine: Arc<Engine<P>>,
    /// Not retired as long as the handle is there.
    cell: Arc<Cell>,
}

impl<P: Send + Sync + 'static> fmt::Debug for HotChannel<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotChannel").field("channel", self.channel()).finish_non_exhaustive()
    }
}

impl<P: Send + Sync + 'static> HotChannel<P> {
    pub(crate) fn new(engine: Arc<Engine<P>>, channel: &Channel) -> Self {
        let cell = engine.index.hold(channel);
        Self { engine, cell }
    }

    /// The channel it is for.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.cell.channel
    }

    /// See [`Realtime::broadcast_action`](crate::Realtime::broadcast_action).
    ///
    /// # Errors
    /// The action's name is too long.
    pub fn broadcast_action(&self, action: impl Into<Text>, params: P) -> Result<Reach, Error> {
        self.broadcast_action_except(&[], action, params)
    }

    /// See [`Realtime::broadcast_action_except`](crate::Realtime::broadcast_action_except).
    ///
    /// # Errors
    /// A name is too long.
    pub fn broadcast_action_except(
        &self,
        excluded: &[Identity],
        action: impl Into<Text>,
        params: P,
    ) -> Result<Reach, Error> {
        excluded.iter().try_for_each(|identity| self.engine.check_identity(identity))?;
        let message = self.engine.message(self.channel(), action.into(), params)?;
        // Pinned before the snapshot is loaded (I7).
        let _pin = epoch::pin();
        Ok(self.engine.fan_out(&self.cell, excluded, message))
    }
}

impl<P: Send + Sync + 'static> Drop for HotChannel<P> {
    fn drop(&mut self) {
        self.engine.index.let_go(&self.cell);
    }
}
