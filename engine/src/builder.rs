//! How an engine is set up.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::{Limits, Overflow};
use crate::engine::{Engine, Weigher};
use crate::error::ConfigError;
use crate::index::{ChannelIndex, Clock};
use crate::lane::Lanes;
use crate::observer::{Observer, Observers};
use crate::queue::MAX_MESSAGES;
use crate::realtime::Realtime;
use crate::registry::Registry;
use crate::shutdown::Latch;
use crate::stats::Counters;
use crate::sync::Swap;
use crate::token::{KeyRing, SigningKey};

/// How long a receipt is valid, and a revocation kept, unless told otherwise (rule R2).
const RECEIPT_LIFETIME: Duration = Duration::from_secs(72 * 60 * 60);
/// No bound in weight is above this one: publishers add before they look, and so many do not come together that the sum could overflow.
/// `u64::MAX` means that nothing is weighed.
const MAX_WEIGHT: u64 = 1 << 48;
const MAX_RECEIPT_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Sets up a [`Realtime`]; made by [`Realtime::builder`].
///
/// ```
/// use holocast::{Overflow, Realtime};
/// use std::time::Duration;
///
/// let realtime = Realtime::<String>::builder()
///     .queue_capacity(256)
///     .overflow(Overflow::Reset)
///     .weigh(1 << 20, |text| text.len() as u64)
///     .receipt_lifetime(Duration::from_secs(3600))
///     .build()?;
/// # let _: Realtime<String> = realtime;
/// # Ok::<(), holocast::ConfigError>(())
/// ```
pub struct Builder<P> {
    capacity: usize,
    lane_capacity: usize,
    overflow: Overflow,
    weigher: Option<(u64, Weigher<P>)>,
    limits: Limits,
    lifetime: Duration,
    keys: Vec<SigningKey>,
    clock: Clock,
    connections: usize,
    channels: usize,
    observers: Vec<Box<dyn Observer>>,
}

impl<P> fmt::Debug for Builder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("capacity", &self.capacity)
            .field("overflow", &self.overflow)
            .field("limits", &self.limits)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

fn system_ms() -> u64 {
    // A clock before 1970 counts as 1970: stamps grow all the same (I1).
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

impl<P: Send + Sync + 'static> Builder<P> {
    pub(crate) fn new() -> Self {
        Self {
            capacity: 1024,
            lane_capacity: 1024,
            overflow: Overflow::default(),
            weigher: None,
            limits: Limits::default(),
            lifetime: RECEIPT_LIFETIME,
            keys: Vec::new(),
            clock: Clock(Arc::new(system_ms)),
            connections: 0,
            channels: 0,
            observers: Vec::new(),
        }
    }

    /// How many messages a queue holds at most (rule Q1): 1 to 32,767, by default 1,024. Control events don't count.
    #[must_use]
    pub fn queue_capacity(mut self, messages: usize) -> Self {
        self.capacity = messages;
        self
    }

    /// How many broadcasts a [`Lane`](crate::Lane) holds at most, whatever the number of their receivers: 1 to 32,767, by default 1,024.
    /// Control events don't count, and weights don't either.
    #[must_use]
    pub fn lane_capacity(mut self, broadcasts: usize) -> Self {
        self.lane_capacity = broadcasts;
        self
    }

    /// What happens when a queue is full (rule Q2). A full [`Lane`](crate::Lane) refuses the new broadcast under
    /// [`Overflow::DropNewest`] and is reset under the others: it ends no connection.
    #[must_use]
    pub fn overflow(mut self, policy: Overflow) -> Self {
        self.overflow = policy;
        self
    }

    /// Bounds queues by the weight of their messages too, in the weigher's unit, usually bytes (rule Q1): 1 to 2⁴⁸, more counts as that. Each
    /// broadcast's params are weighed once.
    #[must_use]
    pub fn weigh(mut self, max_weight: u64, weigher: impl Fn(&P) -> u64 + Send + Sync + 'static) -> Self {
        self.weigher = Some((max_weight, Box::new(weigher)));
        self
    }

    /// How long names may be (rule V3).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long a receipt is valid and a revocation kept (rules R2 and R4): 1 ms to 100 years, by default 72 hours.
    #[must_use]
    pub fn receipt_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The keys of receipt tokens (rule R5): the first signs, all verify. Without one, receipts can't be signed.
    #[must_use]
    pub fn signing_keys(mut self, keys: impl IntoIterator<Item = SigningKey>) -> Self {
        self.keys = keys.into_iter().collect();
        self
    }

    /// The time in milliseconds since the Unix epoch, for stamps and expiry; by default the system's. It may stand still or go back. For a
    /// panic in it see [`Realtime`](Realtime#panics-of-your-code).
    #[must_use]
    pub fn clock(mut self, now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.clock = Clock(Arc::new(now_ms));
        self
    }

    /// Makes room for so many connections at once, so that no connect has to wait for a table to grow.
    #[must_use]
    pub fn expected_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Makes room for so many channels at once, so that no subscribe has to wait for a table to grow.
    #[must_use]
    pub fn expected_channels(mut self, channels: usize) -> Self {
        self.channels = channels;
        self
    }

    /// Somebody to be told of connections, channels and overflows while they happen. May be called several times: all are told, in this order.
    ///
    /// See [`Observer`] for an example.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// # Errors
    /// A setting out of its range.
    pub fn build(self) -> Result<Realtime<P>, ConfigError> {
        for messages in [self.capacity, self.lane_capacity] {
            if !(1..=MAX_MESSAGES).contains(&messages) {
                return Err(ConfigError::QueueCapacity { messages, maximum: MAX_MESSAGES });
            }
        }
        if matches!(self.weigher, Some((0, _))) {
            return Err(ConfigError::QueueBytes);
        }
        if !(Duration::from_millis(1)..=MAX_RECEIPT_LIFETIME).contains(&self.lifetime) {
            return Err(ConfigError::ReceiptLifetime {
                lifetime: self.lifetime,
                maximum: MAX_RECEIPT_LIFETIME,
            });
        }
        let observers = Observers::new(self.observers);
        Ok(Realtime::from_engine(Engine {
            registry: Registry::new(self.connections),
            index: ChannelIndex::new(
                self.channels,
                self.clock,
                self.lifetime.as_millis() as u64,
                observers.clone(),
            ),
            counters: Counters::new(),
            lanes: Lanes::new(),
            limits: self.limits,
            overflow: self.overflow,
            capacity: self.capacity as u32,
            lane_capacity: self.lane_capacity as u32,
            weigher: self.weigher.map(|(bound, weigh)| (bound.min(MAX_WEIGHT), weigh)),
            keys: Swap::new(Arc::new(KeyRing::new(self.keys))),
            latch: Latch::new(),
            observers,
        }))
    }
}
