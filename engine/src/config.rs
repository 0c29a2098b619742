//! What an engine is configured with: [`Limits`] of names and the [`Overflow`] policy of queues.
//!
//! The builder takes both; nothing here changes while an engine runs.

use crate::error::NameError;
use crate::text::Id;

/// The longest names that the engine takes (rule V3).
///
/// # Examples
///
/// ```
/// use holocast::{Limits, channel};
///
/// let limits = Limits { string_bytes: 64, ..Limits::default() };
/// assert!(channel!("doc", "a".repeat(65)).check(&limits).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Limits {
    /// Bytes of an atom. Default 255, as in Erlang.
    pub atom_bytes: usize,
    /// Bytes of any other name: ids, cids, actions and the string elements of channels. Default 1,024.
    pub string_bytes: usize,
    /// Elements of a tuple, its tag included. Default 16.
    pub tuple_elements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { atom_bytes: 255, string_bytes: 1024, tuple_elements: 16 }
    }
}

impl Limits {
    /// Whether a name is short enough; `what` is what the error calls it.
    pub(crate) fn check_name(&self, what: &'static str, name: &str) -> Result<(), NameError> {
        if name.len() <= self.string_bytes {
            Ok(())
        } else {
            Err(NameError::TooLong { what, bytes: name.len(), limit: self.string_bytes })
        }
    }

    /// As [`Limits::check_name`]; integers always pass.
    pub(crate) fn check_id(&self, what: &'static str, id: &Id) -> Result<(), NameError> {
        match id {
            Id::Int(_) => Ok(()),
            Id::Str(name) => self.check_name(what, name),
        }
    }
}

/// What happens to a receiver whose queue is full (rule Q2).
///
/// # Examples
///
/// ```
/// assert_eq!(holocast::Overflow::default(), holocast::Overflow::Close);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Overflow {
    /// The connection ends after what was queued before.
    #[default]
    Close,
    /// The new message is refused and counted; the receiver is told how many it lost.
    DropNewest,
    /// What is queued is released and the new message queued; the receiver is told how many it lost.
    Reset,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v3_the_default_limits_are_those_of_the_rule() {
        assert_eq!(Limits::default(), Limits { atom_bytes: 255, string_bytes: 1024, tuple_elements: 16 });
    }

    #[test]
    fn v3_a_name_at_the_limit_passes_and_one_byte_more_does_not() {
        let limits = Limits::default();
        assert_eq!(limits.check_name("cid", &"x".repeat(1024)), Ok(()));
        let error = Err(NameError::TooLong { what: "cid", bytes: 1025, limit: 1024 });
        assert_eq!(limits.check_name("cid", &"x".repeat(1025)), error);
        assert_eq!(limits.check_id("user id", &Id::Int(i64::MAX)), Ok(()));
    }
}
