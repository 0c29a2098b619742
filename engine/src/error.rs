//! What calls refuse: one small enum per family of operations, each message a sentence with the value, the limit and what to do.
//!
//! A refused call changed nothing (rule V1).

use std::fmt;
use std::time::Duration;

use crate::text::Text;

/// A value that is no channel (rule V1) or exceeds the limits (rule V3).
///
/// Positions count from 0, the tag; the values found are cut to 64 bytes.
///
/// # Examples
///
/// ```
/// use holocast::{Channel, ChannelError};
///
/// let error = "{:room, 1.5}".parse::<Channel>().unwrap_err();
/// assert!(matches!(error, ChannelError::BadElement { index: 1, .. }));
/// assert_eq!(
///     error.to_string(),
///     "element 1 of the channel is `1.5`, expected an atom, a 64-bit integer or a string"
/// );
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChannelError {
    /// Neither an atom nor a tuple.
    NotAChannel {
        /// What was there instead.
        found: Text,
    },
    /// A tuple of a tag alone.
    NoElements {
        /// The tag.
        tag: Text,
    },
    /// A tuple whose first element is no atom.
    BadTag {
        /// What was there instead.
        found: Text,
    },
    /// An element that is no atom, 64-bit integer or string.
    BadElement {
        /// Its position; the tag is 0.
        index: usize,
        /// What was there instead.
        found: Text,
    },
    /// An atom beyond [`Limits::atom_bytes`](crate::Limits::atom_bytes).
    AtomTooLong {
        /// Its position; the tag and a bare atom are 0.
        index: usize,
        /// Its length.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
    /// A string element beyond [`Limits::string_bytes`](crate::Limits::string_bytes).
    StringTooLong {
        /// Its position; the tag is 0.
        index: usize,
        /// Its length.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
    /// A tuple beyond [`Limits::tuple_elements`](crate::Limits::tuple_elements).
    TooManyElements {
        /// How many it has, the tag included.
        elements: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The text form breaks off or goes on where it should not.
    Syntax {
        /// Where, in bytes.
        offset: usize,
        /// What was expected there.
        expected: &'static str,
    },
}

/// The element at `index` as a message names it.
struct Place(usize);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("the tag of the channel"),
            index => write!(f, "element {index} of the channel"),
        }
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAChannel { found } => {
                write!(f, "`{found}` is no channel, expected an atom or a tuple that starts with one")
            }
            Self::NoElements { tag } => {
                write!(
                    f,
                    "the tuple with the tag `{tag}` has no elements, expected at least one after the tag"
                )
            }
            Self::BadTag { found } => write!(f, "the tag of the channel is `{found}`, expected an atom"),
            Self::BadElement { index, found } => {
                write!(f, "{} is `{found}`, expected an atom, a 64-bit integer or a string", Place(*index))
            }
            Self::AtomTooLong { index, bytes, limit } => {
                write!(
                    f,
                    "{} is an atom of {bytes} bytes, the limit is {limit}: shorten it, or raise `Limits::atom_bytes`",
                    Place(*index)
                )
            }
            Self::StringTooLong { index, bytes, limit } => {
                write!(
                    f,
                    "{} is a string of {bytes} bytes, the limit is {limit}: shorten it, or raise `Limits::string_bytes`",
                    Place(*index)
                )
            }
            Self::TooManyElements { elements, limit } => {
                write!(
                    f,
                    "the channel is a tuple of {elements} elements, the limit is {limit}: join some, or raise `Limits::tuple_elements`"
                )
            }
            Self::Syntax { offset, expected } => {
                write!(f, "the text of the channel is wrong at byte {offset}, expected {expected}")
            }
        }
    }
}

impl std::error::Error for ChannelError {}

/// A name that exceeds the limits (rule V3).
///
/// # Examples
///
/// ```
/// use holocast::{Identity, Limits};
///
/// let error = Identity::user("u".repeat(2000)).check(&Limits::default()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the user id is 2000 bytes long, the limit is 1024: shorten it, or raise `Limits::string_bytes`"
/// );
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NameError {
    /// A name beyond [`Limits::string_bytes`](crate::Limits::string_bytes).
    TooLong {
        /// What the name is of, such as `cid` or `user id`.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { what, bytes, limit } => {
                write!(
                    f,
                    "the {what} is {bytes} bytes long, the limit is {limit}: shorten it, or raise `Limits::string_bytes`"
                )
            }
        }
    }
}

impl std::error::Error for NameError {}

/// Why an engine call was refused. Nothing changed.
///
/// # Examples
///
/// ```
/// use holocast::{Channel, Error, Limits};
///
/// fn check(channel: &Channel) -> Result<(), Error> {
///     channel.check(&Limits::default())?;
///     Ok(())
/// }
///
/// let error = check(&Channel::atom("a".repeat(256))).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the tag of the channel is an atom of 256 bytes, the limit is 255: shorten it, or raise `Limits::atom_bytes`"
/// );
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The channel is beyond the limits.
    Channel(ChannelError),
    /// A name is beyond the limits.
    Name(NameError),
    /// No further connection can be held.
    TooManyConnections {
        /// The most that one engine holds.
        limit: usize,
    },
    /// [`Realtime::shutdown`](crate::Realtime::shutdown) was called: nothing is connected, bound or broadcast any more.
    ShutDown,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(error) => error.fmt(f),
            Self::Name(error) => error.fmt(f),
            Self::TooManyConnections { limit } => {
                write!(
                    f,
                    "there is no room for another connection, the limit is {limit}: end some, or make a second engine"
                )
            }
            Self::ShutDown => f.write_str("the engine was shut down, make a new one to go on"),
        }
    }
}

impl std::error::Error for Error {}

impl From<ChannelError> for Error {
    fn from(error: ChannelError) -> Self {
        Error::Channel(error)
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Error::Name(error)
    }
}

/// Why a receipt could not be signed or a token was refused (rule R5). It binds nothing.
///
/// # Examples
///
/// ```
/// use holocast::{Realtime, ReceiptError, SigningKey};
///
/// let realtime = Realtime::<()>::builder().signing_keys([SigningKey::new([7; 32])?]).build()?;
/// assert_eq!(realtime.verify("no token"), Err(ReceiptError::Malformed));
/// # Ok::<(), holocast::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not the shape of a token, or its receipt exceeds the limits of rule V3.
    Malformed,
    /// A token of a version that this engine does not read.
    UnsupportedVersion {
        /// The version it claims.
        version: u8,
    },
    /// Signed by none of the keys: forged, changed, or of a key that was rotated out.
    BadSignature,
    /// Genuine, and older than the receipts' lifetime.
    Expired {
        /// How long ago it was issued.
        age: Duration,
        /// The longest age accepted.
        lifetime: Duration,
    },
    /// The engine has no signing key.
    NoKey,
}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the token is malformed: the client should drop it"),
            Self::UnsupportedVersion { version } => {
                write!(
                    f,
                    "the token is of version {version}, the only version read is 1: the client should drop it"
                )
            }
            Self::BadSignature => {
                f.write_str("the token is signed by none of the keys: the client should drop it")
            }
            Self::Expired { age, lifetime } => {
                write!(f, "the receipt is {age:?} old, the limit is {lifetime:?}: the client should drop it")
            }
            Self::NoKey => f.write_str(
                "there is no signing key: give one to `Builder::signing_keys` or `set_signing_keys`",
            ),
        }
    }
}

impl std::error::Error for ReceiptError {}

/// Why an engine or a part of its configuration could not be built.
///
/// # Examples
///
/// ```
/// let error = holocast::SigningKey::new("secret").unwrap_err();
/// assert_eq!(error.to_string(), "the signing key is 6 bytes long, the least is 32: take that many random ones");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// A signing key too short to be safe.
    KeyTooShort {
        /// Its length.
        bytes: usize,
        /// The least accepted.
        minimum: usize,
    },
    /// A queue's bound in messages out of range.
    QueueCapacity {
        /// The bound asked for.
        messages: usize,
        /// The greatest accepted; the least is 1.
        maximum: usize,
    },
    /// A queue's bound in bytes is zero.
    QueueBytes,
    /// A lifetime of receipts out of range.
    ReceiptLifetime {
        /// The lifetime asked for.
        lifetime: Duration,
        /// The greatest accepted; the least is one millisecond.
        maximum: Duration,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyTooShort { bytes, minimum } => {
                write!(
                    f,
                    "the signing key is {bytes} bytes long, the least is {minimum}: take that many random ones"
                )
            }
            Self::QueueCapacity { messages, maximum } => {
                write!(f, "the queue capacity is {messages} messages, expected 1 to {maximum}")
            }
            Self::QueueBytes => f.write_str("the queue capacity is 0 bytes, the least is 1"),
            Self::ReceiptLifetime { lifetime, maximum } => {
                write!(f, "the receipt lifetime is {lifetime:?}, expected 1ms to {maximum:?}")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_a_message_names_the_offending_element() {
        let tag = ChannelError::BadTag { found: "42".into() };
        assert_eq!(tag.to_string(), "the tag of the channel is `42`, expected an atom");
        let long = ChannelError::StringTooLong { index: 3, bytes: 1025, limit: 1024 };
        let said = "element 3 of the channel is a string of 1025 bytes, the limit is 1024: shorten it, or raise `Limits::string_bytes`";
        assert_eq!(long.to_string(), said);
    }

    #[test]
    fn r5_an_expired_token_names_age_and_lifetime() {
        let expired =
            ReceiptError::Expired { age: Duration::from_secs(11), lifetime: Duration::from_secs(10) };
        assert_eq!(
            expired.to_string(),
            "the receipt is 11s old, the limit is 10s: the client should drop it"
        );
    }

    #[test]
    fn every_error_can_cross_threads() {
        fn crosses<E: std::error::Error + Send + Sync + 'static>() {}
        crosses::<ChannelError>();
        crosses::<NameError>();
        crosses::<Error>();
        crosses::<ReceiptError>();
        crosses::<ConfigError>();
    }
}
