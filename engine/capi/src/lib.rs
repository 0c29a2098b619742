//! The C interface of holocast: opaque handles, status codes, delivery by polling, by blocking or by a callback.
//!
//! For C the header, `include/holocast.h`, is all there is; it is made of this package's comments. How to build, link and use it:
//! `README.md` beside it.
//!
//! * [`status`]: how a call ends; the place where every panic stops.
//! * [`raw`]: what passes by value, pointers with lengths; the only place that reads memory of the caller's.
//! * [`engine`], [`config`], [`channel`]: the operations.
//! * [`connection`], [`lane`], [`waker`]: receiving. [`event`], [`receipts`]: what is received.
//!
//! Handles come as `Option<&T>`, `Option<&mut T>` or `Option<Box<T>>`, which are pointers that may be null: so null is a case like any
//! other. That a pointer which is not null is one that the library gave out, has not been freed, and is used by as many threads as the header
//! allows, is the caller's part. Kinds and policies come as integers, as no value of a Rust enum may be out of place.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod channel;
mod config;
mod connection;
mod engine;
mod event;
mod lane;
mod raw;
mod receipts;
mod status;
#[cfg(test)]
mod tests;
mod waker;

/// Params are bytes: copied once, when they are broadcast.
pub(crate) type Params = Box<[u8]>;

pub use channel::*;
pub use config::*;
pub use connection::*;
pub use engine::*;
pub use event::*;
pub use lane::*;
pub use raw::{Bytes, Client, Identity, IdentityKind, Key, List, Text, Value, ValueKind};
pub use receipts::*;
pub use status::{Status, holocast_last_error, holocast_status_text, holocast_version};
pub use waker::*;
