#![doc = include_str!("../guide/overview.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]
#![forbid(clippy::todo, clippy::unimplemented)]
// Under a model checker tables have one place.
#![cfg_attr(
    any(holocast_loom, holocast_shuttle),
    allow(clippy::modulo_one, clippy::absurd_extreme_comparisons)
)]

mod builder;
#[cfg(all(test, not(holocast_loom)))]
mod busy_tests;
mod caught;
mod channel;
mod channel_text;
mod config;
mod connection;
mod deltas;
mod engine;
mod error;
mod event;
mod fanout;
#[cfg(doc)]
pub mod guide;
mod handler;
mod hot;
mod identity;
mod index;
mod inspect;
#[cfg(feature = "serde")]
mod json;
mod lane;
mod lifecycle;
#[cfg(all(test, holocast_loom))]
mod loom_tests;
#[cfg(feature = "metrics")]
mod measured;
mod observer;
#[expect(unsafe_code, reason = "the only home of unsafe")]
mod queue;
mod realtime;
mod receipt;
mod registry;
mod shutdown;
mod sliced;
#[cfg(feature = "sse")]
pub mod sse;
mod stats;
mod subscriptions;
mod sync;
mod text;
mod token;
#[cfg(feature = "tracing")]
mod traced;

pub use builder::Builder;
pub use channel::{Channel, Element};
pub use config::{Limits, Overflow};
pub use connection::{Connection, RecvTimeoutError, TryRecvError};
pub use deltas::{Applied, Transition};
pub use error::{ChannelError, ConfigError, Error, NameError, ReceiptError};
pub use event::{CloseReason, Echo, Event, Key, Reach};
pub use handler::{Committed, Handler};
pub use hot::HotChannel;
pub use identity::{Client, Identity};
pub use inspect::{Binding, Member};
pub use lane::{Batch, Lane, LaneConnected, LaneEvent, LaneKey, Receivers};
pub use lifecycle::Connected;
pub use observer::Observer;
pub use queue::{Cids, Delivery};
pub use realtime::Realtime;
pub use receipt::{Receipt, Stamp};
pub use sliced::SlicedBroadcast;
pub use stats::Stats;
pub use text::{Cid, Id, Text};
pub use token::SigningKey;
#[cfg(feature = "tracing")]
pub use traced::Tracing;

/// The snippets of the page that people see first are tested too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
