//! How an engine is set up.

use std::time::Duration;

use holocast::{Limits, Overflow, Realtime, SigningKey};

use crate::Params;
use crate::raw::{Bytes, List};
use crate::status::Failure;

/// What happens to a receiver whose queue is full.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub enum OverflowPolicy {
    /// The connection ends after what was queued before.
    Close = 0,
    /// The new broadcast is refused and counted; the receiver is told how many it lost.
    DropNewest = 1,
    /// What is queued is released and the new broadcast queued; the receiver is told how many it lost.
    Reset = 2,
}

impl OverflowPolicy {
    const CLOSE: u32 = Self::Close as u32;
    const DROP_NEWEST: u32 = Self::DropNewest as u32;
    const RESET: u32 = Self::Reset as u32;
}

/// How an engine is set up. Begin with holocast_config_default and change what should be different.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Broadcasts that a connection's queue holds at most: 1 to 32767, by default 1024.
    pub(crate) queue_capacity: usize,
    /// Broadcasts that a lane holds at most: 1 to 32767, by default 1024.
    pub(crate) lane_capacity: usize,
    /// Bytes of params that a connection's queue holds at most; 0, the default: no such bound.
    pub(crate) queue_bytes: u64,
    /// One of holocast_overflow_policy; by default HOLOCAST_OVERFLOW_POLICY_CLOSE.
    pub(crate) overflow: u32,
    /// Bytes of an atom, at most; by default 255.
    pub(crate) atom_bytes: usize,
    /// Bytes of any other name, at most: ids, cids, actions, strings in channels; by default 1024.
    pub(crate) string_bytes: usize,
    /// Elements of a channel's tuple, its tag included, at most; by default 16.
    pub(crate) tuple_elements: usize,
    /// Milliseconds for which a receipt is valid and a revocation kept: 1 to 100 years, by default 72 hours.
    pub(crate) receipt_lifetime_ms: u64,
    /// Room for so many connections from the start, so that none waits for a table to grow: at most 8388608.
    pub(crate) expected_connections: usize,
    /// The same for channels: at most 134217728.
    pub(crate) expected_channels: usize,
    /// Keys of receipt tokens, each of 32 random bytes or more: the first signs, all verify. Copied.
    pub(crate) signing_keys: List<Bytes>,
}

/// An engine holds no more connections.
const MAX_EXPECTED_CONNECTIONS: usize = 1 << 23;
/// A table of so many takes gigabytes; what is beyond is taken for a mistake.
const MAX_EXPECTED_CHANNELS: usize = 1 << 27;

impl Default for Config {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            queue_capacity: 1024,
            lane_capacity: 1024,
            queue_bytes: 0,
            overflow: OverflowPolicy::CLOSE,
            atom_bytes: limits.atom_bytes,
            string_bytes: limits.string_bytes,
            tuple_elements: limits.tuple_elements,
            receipt_lifetime_ms: 72 * 60 * 60 * 1000,
            expected_connections: 0,
            expected_channels: 0,
            signing_keys: List::lend(&[]),
        }
    }
}

impl Config {
    pub(crate) fn limits(&self) -> Limits {
        let Self { atom_bytes, string_bytes, tuple_elements, .. } = *self;
        Limits { atom_bytes, string_bytes, tuple_elements }
    }

    pub(crate) fn build(&self) -> Result<Realtime<Params>, Failure> {
        let overflow = match self.overflow {
            OverflowPolicy::CLOSE => Overflow::Close,
            OverflowPolicy::DROP_NEWEST => Overflow::DropNewest,
            OverflowPolicy::RESET => Overflow::Reset,
            other => return Err(Failure::argument(format!("there is no overflow policy {other}"))),
        };
        for (what, expected, limit) in [
            ("connections", self.expected_connections, MAX_EXPECTED_CONNECTIONS),
            ("channels", self.expected_channels, MAX_EXPECTED_CHANNELS),
        ] {
            if expected > limit {
                return Err(Failure::argument(format!(
                    "{expected} {what} are expected, the limit is {limit}"
                )));
            }
        }
        let builder = Realtime::builder()
            .queue_capacity(self.queue_capacity)
            .lane_capacity(self.lane_capacity)
            .overflow(overflow)
            .limits(self.limits())
            .receipt_lifetime(Duration::from_millis(self.receipt_lifetime_ms))
            .expected_connections(self.expected_connections)
            .expected_channels(self.expected_channels)
            .signing_keys(signing_keys(&self.signing_keys)?);
        let builder = match self.queue_bytes {
            0 => builder,
            bytes => builder.weigh(bytes, |params: &Params| params.len() as u64),
        };
        Ok(builder.build()?)
    }
}

pub(crate) fn signing_keys(keys: &List<Bytes>) -> Result<Vec<SigningKey>, Failure> {
    let keys = keys.read("the signing keys")?.iter();
    keys.map(|key| Ok(SigningKey::new(key.read("a signing key")?)?)).collect()
}

/// The default settings.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_config_default() -> Config {
    Config::default()
}
