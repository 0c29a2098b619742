//! The trace format (semantics, section 8): where lines come from, what they say, how events are written.
//!
//! Nothing here knows the engine beyond its vocabulary: channels, identities, receipts.

mod fields;
mod json;
mod op;
mod output;
mod source;

pub use fields::BadLine;
pub use json::Params;
pub use op::Op;
pub use output::EventWriter;
pub use source::{Lines, MAX_LINE_BYTES, Source};
