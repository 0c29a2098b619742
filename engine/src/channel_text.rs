//! The text form of channels and their elements, as Elixir writes them: `:lobby`, `{:doc, "abc", 7, :v2}`.

use std::fmt;
use std::str::FromStr;

use crate::channel::{Channel, Element, TupleParts};
use crate::config::Limits;
use crate::error::ChannelError;
use crate::text::{Text, cut, quote};

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Atom(name) => write_atom(f, name),
            Element::Int(number) => fmt::Display::fmt(number, f),
            Element::Str(text) => quote(f, text),
        }
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

impl Channel {
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
    use crate::channel;
    use proptest::prelude::*;

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
