//! [`Channel`], what is broadcast to, its elements and its text form.
//!
//! Every index of the engine is keyed by it, so it is cloned and hashed in O(1). Atoms are plain strings: nothing is
//! interned, so channels named from outside leave nothing behind (rule V3).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use foldhash::quality::FixedState;
use smallvec::SmallVec;

use crate::config::Limits;
use crate::error::ChannelError;
use crate::text::{Id, Text, cut, quote};

/// The same in every process, so that a channel always hashes alike.
const HASH_SEED: u64 = 0x686f_6c6f_6361_7374;

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

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Atom(name) => write_atom(f, name),
            Element::Int(number) => fmt::Display::fmt(number, f),
            Element::Str(text) => quote(f, text),
        }
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
        let hash = FixedState::with_seed(HASH_SEED).hash_one((&tag, &elements[..]));
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

    /// Reads the text form, as [`FromStr`] does, under limits other than the default.
    ///
    /// # Errors
    ///
    /// [`ChannelError`], naming the offending element or byte.
    ///
    /// # Examples
    ///
    /// ```
    /// use holocast::{Channel, Limits, channel};
    ///
    /// let limits = Limits { tuple_elements: 2, ..Limits::default() };
    /// assert_eq!(Channel::parse("{:room, 42}", &limits), Ok(channel!("room", 42)));
    /// assert!(Channel::parse("{:room, 42, 43}", &limits).is_err());
    /// ```
    pub fn parse(text: &str, limits: &Limits) -> Result<Channel, ChannelError> {
        let mut scan = Scan { rest: text, bytes: text.len() };
        scan.skip_spaces();
        let channel = if scan.eat('{') { scan.tuple(limits)? } else { scan.bare_atom()? };
        scan.skip_spaces();
        if !scan.rest.is_empty() {
            return Err(scan.wrong("the end"));
        }
        channel.check(limits)?;
        Ok(channel)
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

impl fmt::Display for Channel {
    /// The text form: `:lobby`, `{:doc, "abc", :v2}`. It reads back as the same channel.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.elements().is_empty() {
            return write_atom(f, self.tag());
        }
        f.write_str("{")?;
        write_atom(f, self.tag())?;
        for element in self.elements() {
            write!(f, ", {element}")?;
        }
        f.write_str("}")
    }
}

impl FromStr for Channel {
    type Err = ChannelError;

    /// Reads the text form under the default limits.
    fn from_str(text: &str) -> Result<Self, ChannelError> {
        Channel::parse(text, &Limits::default())
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

/// Whether an atom is written without quotes, as in Elixir (ASCII only).
fn is_plain_atom(name: &str) -> bool {
    let stem = name.strip_suffix(['?', '!']).unwrap_or(name);
    stem.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && stem.chars().all(is_atom_char)
}

fn is_atom_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '@'
}

fn write_atom(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    f.write_str(":")?;
    if is_plain_atom(name) { f.write_str(name) } else { quote(f, name) }
}

/// What stands at one place of the text form.
enum Term<'a> {
    Element(Element),
    /// Something that no channel holds.
    Other(&'a str),
}

/// What is left of the text form of a channel.
struct Scan<'a> {
    rest: &'a str,
    /// Length of the whole text.
    bytes: usize,
}

impl<'a> Scan<'a> {
    fn wrong(&self, expected: &'static str) -> ChannelError {
        ChannelError::Syntax { offset: self.bytes - self.rest.len(), expected }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn eat(&mut self, char: char) -> bool {
        let eaten = self.rest.strip_prefix(char);
        self.rest = eaten.unwrap_or(self.rest);
        eaten.is_some()
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn bare_atom(&mut self) -> Result<Channel, ChannelError> {
        match self.term("an atom or a tuple")? {
            Term::Element(Element::Atom(name)) => Ok(Channel::atom(name)),
            Term::Element(other) => Err(ChannelError::NotAChannel { found: cut(&other.to_string()) }),
            Term::Other(found) => Err(ChannelError::NotAChannel { found: cut(found) }),
        }
    }

    /// The rest of a tuple, behind its opening brace.
    fn tuple(&mut self, limits: &Limits) -> Result<Channel, ChannelError> {
        self.skip_spaces();
        if self.eat('}') {
            return Err(ChannelError::NotAChannel { found: "{}".into() });
        }
        let tag = match self.term("an atom")? {
            Term::Element(Element::Atom(name)) => name,
            Term::Element(other) => return Err(ChannelError::BadTag { found: cut(&other.to_string()) }),
            Term::Other(found) => return Err(ChannelError::BadTag { found: cut(found) }),
        };
        let mut parts = TupleParts::new(tag, limits);
        loop {
            self.skip_spaces();
            if self.eat('}') {
                return parts.finish();
            }
            if !self.eat(',') {
                return Err(self.wrong("`,` or `}`"));
            }
            self.skip_spaces();
            match self.term("an atom, an integer or a string")? {
                Term::Element(element) => parts.push(element),
                Term::Other(found) => {
                    return Err(ChannelError::BadElement { index: parts.index(), found: cut(found) });
                }
            }
        }
    }

    fn term(&mut self, expected: &'static str) -> Result<Term<'a>, ChannelError> {
        if self.eat(':') {
            return Ok(Term::Element(Element::Atom(self.atom_name()?)));
        }
        if self.eat('"') {
            return Ok(Term::Element(Element::Str(self.quoted()?)));
        }
        if self.rest.starts_with(['{', '[']) {
            return Ok(Term::Other(self.rest));
        }
        let word = self.take_while(|c| !matches!(c, ',' | '}' | ']') && !c.is_ascii_whitespace());
        if word.is_empty() {
            return Err(self.wrong(expected));
        }
        Ok(word.parse().map_or(Term::Other(word), |number| Term::Element(Element::Int(number))))
    }

    /// The rest of an atom, behind its colon.
    fn atom_name(&mut self) -> Result<Text, ChannelError> {
        if self.eat('"') {
            return self.quoted();
        }
        let whole = self.rest;
        let stem = self.take_while(is_atom_char);
        let name = if self.eat('?') || self.eat('!') { &whole[..stem.len() + 1] } else { stem };
        if is_plain_atom(name) {
            Ok(name.into())
        } else {
            self.rest = whole;
            Err(self.wrong("the name of an atom"))
        }
    }

    /// The rest of a string, behind its opening quote.
    fn quoted(&mut self) -> Result<Text, ChannelError> {
        let mut text = String::new();
        loop {
            let plain = self.take_while(|c| c != '"' && c != '\\');
            text.push_str(plain);
            if self.eat('"') {
                return Ok(text.into());
            }
            if !self.eat('\\') {
                return Err(self.wrong("a closing quote"));
            }
            text.push(self.escaped()?);
        }
    }

    /// The rest of an escape, behind its backslash.
    fn escaped(&mut self) -> Result<char, ChannelError> {
        for (letter, char) in [('"', '"'), ('\\', '\\'), ('#', '#'), ('n', '\n'), ('r', '\r'), ('t', '\t')] {
            if self.eat(letter) {
                return Ok(char);
            }
        }
        let start = self.rest;
        if self.eat('u') && self.eat('{') {
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            let char = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
            if let (Some(char), true) = (char, self.eat('}')) {
                return Ok(char);
            }
        }
        self.rest = start;
        Err(self.wrong("one of the escapes \\\" \\\\ \\# \\n \\r \\t \\u{…}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash_of(channel: &Channel) -> u64 {
        FixedState::with_seed(1).hash_one(channel)
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
    fn v1_a_refused_text_names_the_offending_element() {
        let refused = |text: &str| text.parse::<Channel>().unwrap_err();
        let not_a_channel = |found: &str| ChannelError::NotAChannel { found: found.into() };
        assert_eq!(refused("42"), not_a_channel("42"));
        assert_eq!(refused("\"lobby\""), not_a_channel("\"lobby\""));
        assert_eq!(refused("lobby"), not_a_channel("lobby"));
        assert_eq!(refused("{}"), not_a_channel("{}"));
        assert_eq!(refused("[:room, 42]"), not_a_channel("[:room, 42]"));
        assert_eq!(refused("{\"room\", 42}"), ChannelError::BadTag { found: "\"room\"".into() });
        assert_eq!(refused("{42, 42}"), ChannelError::BadTag { found: "42".into() });
        let bad = |index, found: &str| ChannelError::BadElement { index, found: found.into() };
        assert_eq!(refused("{:room, 1, 1.5}"), bad(2, "1.5"));
        assert_eq!(refused("{:room, nil}"), bad(1, "nil"));
        assert_eq!(refused("{:room, {:a, 1}}"), bad(1, "{:a, 1}}"));
        assert_eq!(refused("{:room, 9223372036854775808}"), bad(1, "9223372036854775808"));
    }

    #[test]
    fn v1_a_broken_text_names_the_byte() {
        let offset = |text: &str| match text.parse::<Channel>().unwrap_err() {
            ChannelError::Syntax { offset, .. } => offset,
            other => panic!("{other:?} for {text}"),
        };
        assert_eq!(offset(""), 0);
        assert_eq!(offset(":"), 1);
        assert_eq!(offset(":1a"), 1);
        assert_eq!(offset(":a b"), 3);
        assert_eq!(offset(":a-b"), 2);
        assert_eq!(offset(":\"a"), 3);
        assert_eq!(offset("{:room, 1"), 9);
        assert_eq!(offset("{:room, 1,}"), 10);
        assert_eq!(offset("{:room 1}"), 7);
        assert_eq!(offset("{:room, \"\\x\"}"), 10);
        assert_eq!(offset("{:room, \"\\u{D800}\"}"), 10);
        assert_eq!(offset("{:room, 1} 2"), 11);
    }

    #[test]
    fn the_text_form_allows_spaces_and_any_name() {
        let odd = channel!("odd name", Element::atom(""), "a\"b\\c\n\u{0}#{x}", -7, Element::atom("ok?"));
        assert_eq!(odd.to_string(), r#"{:"odd name", :"", "a\"b\\c\n\u{0}\#{x}", -7, :ok?}"#);
        assert_eq!(odd.to_string().parse(), Ok(odd));
        assert_eq!(" { :room ,42 } ".parse(), Ok(channel!("room", 42)));
        assert_eq!(":notifications".parse(), Ok(channel!("notifications")));
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

    #[test]
    fn v3_a_text_of_many_elements_is_counted_and_not_kept() {
        let text = format!("{{:a{}}}", ",1".repeat(100_000));
        let error = ChannelError::TooManyElements { elements: 100_001, limit: 16 };
        assert_eq!(text.parse::<Channel>(), Err(error));
    }

    fn any_element() -> impl Strategy<Value = Element> {
        prop_oneof![
            any::<i64>().prop_map(Element::Int),
            "\\PC{0,8}|[a-z_@?!\"#{}\\\\\n]{0,8}".prop_map(Element::atom),
            any::<String>().prop_map(|text| Element::Str(text.into())),
        ]
    }

    proptest! {
        #[test]
        fn every_channel_reads_back_from_its_text(
            tag in any::<String>(),
            elements in proptest::collection::vec(any_element(), 0..6),
        ) {
            let limits = Limits { atom_bytes: usize::MAX, string_bytes: usize::MAX, tuple_elements: usize::MAX };
            let channel =
                if elements.is_empty() { Channel::atom(tag) } else { Channel::tagged(tag, elements).unwrap() };
            let read = Channel::parse(&channel.to_string(), &limits);
            prop_assert_eq!(read, Ok(channel));
        }

        #[test]
        fn v1_any_text_is_read_or_refused(text in "[{}:,\"\\\\u#a1. \\PC-]{0,24}") {
            if let Ok(channel) = text.parse::<Channel>() {
                prop_assert_eq!(channel.to_string().parse(), Ok(channel));
            }
        }
    }
}
