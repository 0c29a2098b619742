//! Names: [`Text`], [`Cid`] and [`Id`], the strings and numbers that everything else is addressed by.
//!
//! Every other module stores them; none of them checks a length (rule V3): the engine call that takes a name does.

use std::borrow::Borrow;
use std::fmt::{self, Write as _};
use std::ops::Deref;

use smol_str::SmolStr;

/// The bytes of a foreign value that an error repeats; what is longer is cut.
const SHOWN_BYTES: usize = 64;

/// An immutable string that is cloned in O(1).
///
/// Up to 23 bytes are held inline, longer strings are shared; those of the program itself are referred to.
///
/// # Examples
///
/// ```
/// use holocast::Text;
///
/// let action = Text::from("item_added");
/// assert_eq!(action, "item_added");
/// assert!(action.starts_with("item"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(SmolStr);

impl Text {
    /// A string of the program's own, whatever its length, without a copy: for names that are used over and over.
    ///
    /// # Examples
    ///
    /// ```
    /// use holocast::{Realtime, Text, channel};
    ///
    /// const ADD: Text = Text::from_static("add");
    ///
    /// let realtime = Realtime::new();
    /// realtime.broadcast_action(&channel!("news"), ADD, "hello")?;
    /// # Ok::<(), holocast::Error>(())
    /// ```
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(SmolStr::new_static(text))
    }

    /// The string itself.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::Text::from("add").as_str(), "add");
    /// ```
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A component's id: which component of a page wants the channel.
///
/// # Examples
///
/// ```
/// use holocast::Cid;
///
/// let mut cids = [Cid::from("page"), Cid::from("layout")];
/// cids.sort();
/// assert_eq!(cids[0], "layout");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid(Text);

impl Cid {
    /// The string itself.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::Cid::from("page").as_str(), "page");
    /// ```
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

macro_rules! string_like {
    ($name:ident, $wrap:expr) => {
        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.as_str(), f)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $wrap(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $wrap(text.into())
            }
        }

        impl From<&String> for $name {
            fn from(text: &String) -> Self {
                $wrap(text.as_str().into())
            }
        }

        impl From<&$name> for $name {
            fn from(text: &$name) -> Self {
                text.clone()
            }
        }
    };
}

string_like!(Text, Text);
string_like!(Cid, Cid);

impl From<Text> for Cid {
    fn from(text: Text) -> Self {
        Cid(text)
    }
}

impl From<&Text> for Cid {
    fn from(text: &Text) -> Self {
        Cid(text.clone())
    }
}

impl From<Cid> for Text {
    fn from(cid: Cid) -> Self {
        cid.0
    }
}

/// A session's or a user's id: an integer or a string. `7` and `"7"` differ (rule V2).
///
/// # Examples
///
/// ```
/// use holocast::Id;
///
/// assert_ne!(Id::from(7), Id::from("7"));
/// assert_eq!(Id::from(7).to_string(), "7");
/// assert_eq!(Id::from("7").to_string(), "\"7\"");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Id {
    /// A number, such as a row's primary key.
    Int(i64),
    /// A string, such as a UUID.
    Str(Text),
}

impl fmt::Display for Id {
    /// Strings are quoted, so that no two ids look the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Int(number) => fmt::Display::fmt(number, f),
            Id::Str(text) => quote(f, text),
        }
    }
}

impl From<i64> for Id {
    fn from(number: i64) -> Self {
        Id::Int(number)
    }
}

impl From<i32> for Id {
    fn from(number: i32) -> Self {
        Id::Int(number.into())
    }
}

impl From<u32> for Id {
    fn from(number: u32) -> Self {
        Id::Int(number.into())
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Id::Str(text.into())
    }
}

impl From<String> for Id {
    fn from(text: String) -> Self {
        Id::Str(text.into())
    }
}

impl From<&String> for Id {
    fn from(text: &String) -> Self {
        Id::Str(text.into())
    }
}

impl From<Text> for Id {
    fn from(text: Text) -> Self {
        Id::Str(text)
    }
}

impl From<&Text> for Id {
    fn from(text: &Text) -> Self {
        Id::Str(text.clone())
    }
}

impl From<&Id> for Id {
    fn from(id: &Id) -> Self {
        id.clone()
    }
}

/// Writes `text` between quotes, escaped so that the parser of channels reads the same string again.
pub(crate) fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            // Elixir would read an interpolation.
            '#' if rest.as_str().starts_with('{') => f.write_str("\\#")?,
            control if control.is_control() => write!(f, "\\u{{{:X}}}", u32::from(control))?,
            plain => f.write_char(plain)?,
        }
    }
    f.write_char('"')
}

/// A foreign value as an error repeats it: at most 64 bytes of it.
pub(crate) fn cut(found: &str) -> Text {
    if found.len() <= SHOWN_BYTES {
        return found.into();
    }
    let end = found.floor_char_boundary(SHOWN_BYTES);
    format!("{}…", &found[..end]).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn v2_the_user_7_is_not_the_user_with_the_string_7() {
        assert_ne!(Id::from(7), Id::from("7"));
        assert_eq!(Id::from(7), Id::from(7_u32));
        assert_eq!(Id::from(7), Id::from(7_i64));
        assert_ne!(Id::from(7).to_string(), Id::from("7").to_string());
    }

    #[test]
    fn a_map_by_text_is_asked_with_a_str() {
        let long = "x".repeat(100);
        let map = HashMap::from([(Text::from("short"), 1), (Text::from(&long), 2)]);
        assert_eq!(map.get("short"), Some(&1));
        assert_eq!(map.get(long.as_str()), Some(&2));
        assert_eq!(map.get("absent"), None);
    }

    #[test]
    fn a_long_text_is_shared_by_its_clones() {
        let text = Text::from("x".repeat(100));
        assert_eq!(text.as_ptr(), text.clone().as_ptr());
    }

    #[test]
    fn a_text_shows_like_a_str() {
        assert_eq!(format!("{:>5}|{:?}", Text::from("abc"), Cid::from("a\"b")), "  abc|\"a\\\"b\"");
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let shown = cut(&"ä€".repeat(100));
        assert!(shown.len() <= SHOWN_BYTES + '…'.len_utf8());
        assert!(shown.ends_with('…'));
    }
}
