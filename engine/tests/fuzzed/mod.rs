//! The bodies of the fuzz targets (`fuzz/`), one function each that takes the input as bytes and panics at what must not be.
//!
//! Called by the targets and by `regressions.rs`, so that an input means the same to both. Every sequence of bytes is an input.

#![allow(dead_code, reason = "each of the programs that include this module uses a part of it")]

mod bytes;
pub(crate) mod channel_text;
pub(crate) mod operations;
pub(crate) mod queue;
pub(crate) mod receipt_token;
