//! [`Channel`], what is broadcast to, its elements and its text form.
//!
//! Every index of the engine is keyed by it, so it is cloned and hashed in O(1). Atoms are plain strings: nothing is
//! interned, so channels named from outside leave nothing behind (rule V3).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use smallvec::SmallVec;

use crate::config::Limits;
use crate::error::ChannelError;
use crate::text::{Id, Text, cut};

/// The same in all of a process, because channels are hashed once, when they are made; another in the next process, so that
/// nobody outside can find names that collide.
fn hasher() -> SeedableRandomState {
    SeedableRandomState::with_seed(0, SharedSeed::global_random())
}

/// One element of a channel after its tag.
///
/// # Examples
///
/// ```
/// use holocast::Element;
///
/// assert_eq!(Element::from(42), Element::Int(42));
/// assert_ne!(Element::from("v2"), Element::atom("v2"));
/// assert_eq!(Element::atom("v2").to_string(), ":v2");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Element {
    /// A symbol; differs from the string of the same text.
    Atom(Text),
    /// A 64-bit integer.
    Int(i64),
    /// A string.
    Str(Text),
}

impl Element {
    /// The atom of this name.
    ///
    /// # Examples
    ///
    /// ```
    /// use holocast::{Element, channel};
    ///
    /// assert_eq!(channel!("doc", Element::atom("v2")).to_string(), "{:doc, :v2}");
    /// ```
    pub fn atom(name: impl Into<Text>) -> Self {
        Element::Atom(name.into())
    }
}

impl From<i64> for Element {
    fn from(number: i64) -> Self {
        Element::Int(number)
    }
}

impl From<i32> for Element {
    fn from(number: i32) -> Self {
        Element::Int(number.into())
    }
}

impl From<u32> for Element {
    fn from(number: u32) -> Self {
        Element::Int(number.into())
    }
}

impl From<&str> for Element {
    fn from(text: &str) -> Self {
        Element::Str(text.into())
    }
}

impl From<String> for Element {
    fn from(text: String) -> Self {
        Element::Str(text.into())
    }
}

impl From<&String> for Element {
    fn from(text: &String) -> Self {
        Element::Str(text.into())
    }
}

impl From<Text> for Element {
    fn from(text: Text) -> Self {
        Element::Str(text)
    }
}

impl From<Id> for Element {
    fn from(id: Id) -> Self {
        match id {
            Id::Int(number) => Element::Int(number),
            Id::Str(text) => Element::Str(text),
        }
    }
}

impl From<&Element> for Element {
    fn from(element: &Element) -> Self {
        element.clone()
    }
}

/// What is broadcast to: a bare atom, or a tuple of a tag and one or more elements (rule V1).
///
/// Equality is typed and structural (rule V2). Cloning and hashing are O(1).
///
/// # Examples
///
/// ```
/// use holocast::{Channel, channel};
///
/// let room = channel!("room", 42);
/// assert_ne!(room, channel!("room", "42"));
/// assert_ne!(room, Channel::atom("room:42"));
/// assert_eq!("{:room, 42}".parse(), Ok(room));
/// ```
#[derive(Clone)]
pub struct Channel(Arc<Parts>);

struct Parts {
    hash: u64,
    /// The longest atom, the tag included.
    atom_bytes: usize,
    /// The longest string element.
    string_bytes: usize,
    tag: Text,
    /// Empty for a bare atom. Most tuples have one or two.
    elements: SmallVec<[Element; 2]>,
}

impl Channel {
    /// The bare atom of this name.
    ///
    /// Any name is taken; its length is checked by the call that the channel is given to (rule V3).
    ///
    /// # Examples
    ///
    /// ```
    /// let lobby = holocast::Channel::atom("lobby");
    /// assert_eq!(lobby.tag(), "lobby");
    /// assert!(lobby.elements().is_empty());
    /// ```
    pub fn atom(name: impl Into<Text>) -> Channel {
        Channel::from_parts(name.into(), SmallVec::new())
    }

    /// The tuple of this tag and these elements.
    ///
    /// # Errors
    ///
    /// [`ChannelError::NoElements`] if there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// use holocast::{Channel, channel};
    ///
    /// assert_eq!(Channel::tagged("room", [42, 43]), Ok(channel!("room", 42, 43)));
    /// assert!(Channel::tagged("room", Vec::<i64>::new()).is_err());
    /// ```
    pub fn tagged<E: Into<Element>>(
        tag: impl Into<Text>,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<Channel, ChannelError> {
        let tag = tag.into();
        let elements: SmallVec<_> = elements.into_iter().map(Into::into).collect();
        if elements.is_empty() {
            return Err(ChannelError::NoElements { tag: cut(&tag) });
        }
        Ok(Channel::from_parts(tag, elements))
    }

    /// The tuple of this tag, a first element and the others; what [`channel!`](crate::channel!) stands for.
    ///
    /// # Examples
    ///
    /// ```
    /// use holocast::{Channel, Element, channel};
    ///
    /// assert_eq!(Channel::tuple("doc", "abc", [Element::from(2)]), channel!("doc", "abc", 2));
    /// ```
    pub fn tuple(
        tag: impl Into<Text>,
        first: impl Into<Element>,
        others: impl IntoIterator<Item = Element>,
    ) -> Channel {
        let mut elements = SmallVec::new();
        elements.push(first.into());
        elements.extend(others);
        Channel::from_parts(tag.into(), elements)
    }

    fn from_parts(tag: Text, elements: SmallVec<[Element; 2]>) -> Channel {
        let hash = hasher().hash_one((&tag, &elements[..]));
        let mut atom_bytes = tag.len();
        let mut string_bytes = 0;
        for element in &elements {
            match element {
                Element::Atom(name) => atom_bytes = atom_bytes.max(name.len()),
                Element::Str(text) => string_bytes = string_bytes.max(text.len()),
                Element::Int(_) => {}
            }
        }
        Channel(Arc::new(Parts { hash, atom_bytes, string_bytes, tag, elements }))
    }

    /// The tag of a tuple, or the name of a bare atom.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::channel!("room", 42).tag(), "room");
    /// ```
    pub fn tag(&self) -> &Text {
        &self.0.tag
    }

    /// The elements after the tag; none for a bare atom.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::channel!("room", 42).elements(), [42.into()]);
    /// ```
    pub fn elements(&self) -> &[Element] {
        &self.0.elements
    }

    /// Whether the channel is within the limits of rule V3.
    ///
    /// # Errors
    ///
    /// [`ChannelError::TooManyElements`], [`ChannelError::AtomTooLong`] or [`ChannelError::StringTooLong`], for the
    /// first offending element.
    ///
    /// # Complexity
    ///
    /// O(1) if it is: lengths are measured when the channel is made.
    ///
    /// # Examples
    ///
    /// ```
    /// use holocast::{ChannelError, Limits, channel};
    ///
    /// let long = channel!("doc", 1, "a".repeat(2000));
    /// assert_eq!(
    ///     long.check(&Limits::default()),
    ///     Err(ChannelError::StringTooLong { index: 2, bytes: 2000, limit: 1024 })
    /// );
    /// ```
    pub fn check(&self, limits: &Limits) -> Result<(), ChannelError> {
        let parts = &*self.0;
        let tuple_fits = parts.elements.is_empty() || parts.elements.len() < limits.tuple_elements;
        if tuple_fits && parts.atom_bytes <= limits.atom_bytes && parts.string_bytes <= limits.string_bytes {
            return Ok(());
        }
        self.check_each(limits)
    }

    #[cold]
    fn check_each(&self, limits: &Limits) -> Result<(), ChannelError> {
        let arity = self.elements().len() + 1;
        if arity > 1 && arity > limits.tuple_elements {
            return Err(ChannelError::TooManyElements { elements: arity, limit: limits.tuple_elements });
        }
        let atom = |index, name: &Text| {
            let (bytes, limit) = (name.len(), limits.atom_bytes);
            if bytes > limit { Err(ChannelError::AtomTooLong { index, bytes, limit }) } else { Ok(()) }
        };
        atom(0, self.tag())?;
        for (index, element) in self.elements().iter().enumerate().map(|(i, e)| (i + 1, e)) {
            match element {
                Element::Atom(name) => atom(index, name)?,
                Element::Str(text) if text.len() > limits.string_bytes => {
                    let (bytes, limit) = (text.len(), limits.string_bytes);
                    return Err(ChannelError::StringTooLong { index, bytes, limit });
                }
                Element::Str(_) | Element::Int(_) => {}
            }
        }
        Ok(())
    }
}

/// Makes a [`Channel`]: a bare atom of one name, or a tuple of a tag and at least one element.
///
/// Strings become string elements; an atom among them is an [`Element::atom`]. Integers beyond 32 bits need their type
/// written (`5_000_000_000_i64`).
///
/// # Examples
///
/// ```
/// use holocast::{Channel, Element, channel};
///
/// assert_eq!(channel!("lobby"), Channel::atom("lobby"));
/// assert_eq!(channel!("doc", "abc", 7, Element::atom("v2")).to_string(), r#"{:doc, "abc", 7, :v2}"#);
/// ```
#[macro_export]
macro_rules! channel {
    ($name:expr $(,)?) => {
        $crate::Channel::atom($name)
    };
    ($tag:expr, $first:expr $(, $other:expr)* $(,)?) => {
        $crate::Channel::tuple($tag, $first, [$($crate::Element::from($other)),*])
    };
}

impl PartialEq for Channel {
    fn eq(&self, other: &Self) -> bool {
        let (left, right) = (&self.0, &other.0);
        Arc::ptr_eq(left, right)
            || (left.hash == right.hash && left.tag == right.tag && left.elements == right.elements)
    }
}

impl Eq for Channel {}

impl PartialOrd for Channel {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Channel {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.tag().cmp(other.tag()).then_with(|| self.elements().cmp(other.elements()))
    }
}

impl Hash for Channel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Collects a tuple from outside; holds no more elements than the limit, however many come.
pub(crate) struct TupleParts {
    tag: Text,
    elements: SmallVec<[Element; 2]>,
    /// The tag and all elements that came.
    arity: usize,
    limit: usize,
}

impl TupleParts {
    pub(crate) fn new(tag: Text, limits: &Limits) -> Self {
        TupleParts { tag, elements: SmallVec::new(), arity: 1, limit: limits.tuple_elements }
    }

    /// The position of the next element.
    pub(crate) fn index(&self) -> usize {
        self.arity
    }

    pub(crate) fn push(&mut self, element: Element) {
        self.arity += 1;
        if self.arity <= self.limit {
            self.elements.push(element);
        }
    }

    pub(crate) fn finish(self) -> Result<Channel, ChannelError> {
        if self.arity == 1 {
            return Err(ChannelError::NoElements { tag: cut(&self.tag) });
        }
        if self.arity > self.limit {
            return Err(ChannelError::TooManyElements { elements: self.arity, limit: self.limit });
        }
        Ok(Channel::from_parts(self.tag, self.elements))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(channel: &Channel) -> u64 {
        hasher().hash_one(channel)
    }

    #[test]
    fn v2_channels_that_look_alike_differ() {
        let all = [
            channel!("room", 42),
            channel!("room", "42"),
            channel!("room", Element::atom("42")),
            channel!("room:42"),
            channel!("room", 42, 42),
            channel!("room"),
        ];
        for (i, left) in all.iter().enumerate() {
            for (j, right) in all.iter().enumerate() {
                assert_eq!(left == right, i == j, "{left} and {right}");
                assert_eq!(left.cmp(right) == Ordering::Equal, i == j, "{left} and {right}");
                assert_eq!(hash_of(left) == hash_of(right), i == j, "{left} and {right}");
                assert_eq!(left.to_string() == right.to_string(), i == j, "{left} and {right}");
            }
        }
    }

    #[test]
    fn v2_channels_made_apart_are_equal_and_hash_alike() {
        let (left, right) = (channel!("room", 42, "x"), "{:room, 42, \"x\"}".parse().unwrap());
        assert_eq!(left, right);
        assert_eq!(hash_of(&left), hash_of(&right));
        assert_eq!(left, left.clone());
    }

    #[test]
    fn v1_a_tuple_needs_an_element() {
        let error = ChannelError::NoElements { tag: "room".into() };
        assert_eq!(Channel::tagged("room", Vec::<Element>::new()), Err(error.clone()));
        assert_eq!("{:room}".parse::<Channel>(), Err(error));
    }

    #[test]
    fn v3_a_channel_at_the_limits_passes_and_one_beyond_names_the_element() {
        let limits = Limits { atom_bytes: 4, string_bytes: 6, tuple_elements: 3 };
        assert_eq!(channel!("aaaa", "ssssss", Element::atom("bbbb")).check(&limits), Ok(()));
        let atom = |index| ChannelError::AtomTooLong { index, bytes: 5, limit: 4 };
        assert_eq!(channel!("aaaaa").check(&limits), Err(atom(0)));
        assert_eq!(channel!("aaaa", 1, Element::atom("bbbbb")).check(&limits), Err(atom(2)));
        let string = Err(ChannelError::StringTooLong { index: 1, bytes: 7, limit: 6 });
        assert_eq!(channel!("aaaa", "sssssss").check(&limits), string);
        let many = ChannelError::TooManyElements { elements: 4, limit: 3 };
        assert_eq!(channel!("a", 1, 2, 3).check(&limits), Err(many.clone()));
        assert_eq!(Channel::parse("{:a, 1, 2, 3}", &limits), Err(many));
        assert_eq!(Channel::parse(":aaaaa", &limits), Err(atom(0)));
    }

    #[test]
    fn v3_a_bare_atom_is_no_tuple() {
        let limits = Limits { tuple_elements: 0, ..Limits::default() };
        assert_eq!(channel!("lobby").check(&limits), Ok(()));
        let error = ChannelError::TooManyElements { elements: 2, limit: 0 };
        assert_eq!(channel!("room", 1).check(&limits), Err(error));
    }
}
