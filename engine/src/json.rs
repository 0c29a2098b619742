//! The JSON form of names, identities and channels (feature `serde`).
//!
//! Channels are a string (a bare atom) or an array of the tag and its elements; an atom among these is `{"atom": "x"}`.
//! Identities are `["user", 7]`. Whatever is read is checked against rule V1 and the default limits of rule V3.

use std::fmt::{self, Display};

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::channel::{Channel, Element, TupleParts};
use crate::config::Limits;
use crate::error::{ChannelError, NameError};
use crate::identity::Identity;
use crate::text::{Cid, Id, Text, cut};

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

/// Reads any string into a [`Text`].
struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(text.into())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

impl Serialize for Cid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Cid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Limits::default().check_name("cid", &text).map_err(de::Error::custom)?;
        Ok(text.into())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Id::Int(number) => serializer.serialize_i64(*number),
            Id::Str(text) => serializer.serialize_str(text),
        }
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id: a 64-bit integer or a string")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Id, E> {
        Ok(Id::Int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Id, E> {
        i64::try_from(number)
            .map(Id::Int)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        let id = Id::from(text);
        Limits::default().check_id("id", &id).map_err(E::custom)?;
        Ok(id)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Identity::Instance(instance) => ("instance", instance).serialize(serializer),
            Identity::Session(session) => ("session", session).serialize(serializer),
            Identity::User(user) => ("user", user).serialize(serializer),
        }
    }
}

struct IdentityVisitor;

impl<'de> Visitor<'de> for IdentityVisitor {
    type Value = Identity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an identity: [\"instance\", string], [\"session\", id] or [\"user\", id]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Identity, A::Error> {
        fn second<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A) -> Result<T, A::Error> {
            seq.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &IdentityVisitor))
        }
        let kind: Text = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let identity = match kind.as_str() {
            "instance" => Identity::Instance(second(&mut seq)?),
            "session" => Identity::Session(second(&mut seq)?),
            "user" => Identity::User(second(&mut seq)?),
            _ => {
                let found = cut(&kind);
                return Err(de::Error::invalid_value(de::Unexpected::Str(&found), &self));
            }
        };
        if seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(de::Error::invalid_length(3, &self));
        }
        identity.check(&Limits::default()).map_err(de::Error::custom)?;
        Ok(identity)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdentityVisitor)
    }
}

impl Serialize for Element {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Element::Int(number) => serializer.serialize_i64(*number),
            Element::Str(text) => serializer.serialize_str(text),
            Element::Atom(name) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("atom", name)?;
                map.end()
            }
        }
    }
}

/// Any JSON value in an element's place.
enum Term {
    Element(Element),
    /// Something that no channel holds, as an error shows it.
    Other(Text),
}

impl Term {
    fn other<E>(found: impl Display) -> Result<Term, E> {
        Ok(Term::Other(cut(&found.to_string())))
    }

    /// As the error names it when it stands where something else should.
    fn shown(&self) -> Text {
        match self {
            Term::Element(Element::Str(text)) => cut(&format!("{text:?}")),
            Term::Element(Element::Int(number)) => number.to_string().into(),
            Term::Element(Element::Atom(name)) => cut(&format!("{{\"atom\":{name:?}}}")),
            Term::Other(found) => found.clone(),
        }
    }
}

struct TermVisitor;

impl<'de> Visitor<'de> for TermVisitor {
    type Value = Term;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer, a string or {\"atom\": string}")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Term, E> {
        Ok(Term::Element(Element::Int(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Term, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Term::other(number),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Term, E> {
        Ok(Term::Element(Element::Str(text.into())))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Term, E> {
        Term::other(value)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Term, E> {
        Term::other(format_args!("{number:?}"))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Term, E> {
        Term::other("null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Term, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Term::other("an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Term, A::Error> {
        let mut atom = None;
        let mut entries = 0;
        while let Some(key) = map.next_key::<Text>()? {
            entries += 1;
            if entries == 1 && key == "atom" {
                if let Term::Element(Element::Str(name)) = map.next_value()? {
                    atom = Some(name);
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        match atom {
            Some(name) if entries == 1 => Ok(Term::Element(Element::Atom(name))),
            _ => Term::other("an object"),
        }
    }
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TermVisitor)
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limits = Limits::default();
        let element = match Term::deserialize(deserializer)? {
            Term::Element(element) => element,
            Term::Other(found) => {
                return Err(de::Error::custom(format_args!(
                    "`{found}` is no element of a channel, expected an atom, a 64-bit integer or a string"
                )));
            }
        };
        let (what, bytes, limit) = match &element {
            Element::Int(_) => return Ok(element),
            Element::Atom(name) => ("atom", name.len(), limits.atom_bytes),
            Element::Str(text) => ("string", text.len(), limits.string_bytes),
        };
        if bytes > limit {
            return Err(de::Error::custom(NameError::TooLong { what, bytes, limit }));
        }
        Ok(element)
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.elements().is_empty() {
            return serializer.serialize_str(self.tag());
        }
        let mut seq = serializer.serialize_seq(Some(self.elements().len() + 1))?;
        seq.serialize_element(self.tag())?;
        for element in self.elements() {
            seq.serialize_element(element)?;
        }
        seq.end()
    }
}

struct ChannelVisitor;

impl ChannelVisitor {
    fn refuse<E: de::Error>(found: &Term) -> Result<Channel, E> {
        Err(E::custom(ChannelError::NotAChannel { found: found.shown() }))
    }
}

impl<'de> Visitor<'de> for ChannelVisitor {
    type Value = Channel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a channel: a string, or an array of a tag and its elements")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Channel, E> {
        let channel = Channel::atom(name);
        channel.check(&Limits::default()).map_err(E::custom)?;
        Ok(channel)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Channel, A::Error> {
        let limits = Limits::default();
        let tag = match seq.next_element()? {
            Some(Term::Element(Element::Str(tag))) => tag,
            Some(term) => return Err(de::Error::custom(ChannelError::BadTag { found: term.shown() })),
            None => return Self::refuse(&Term::Other("[]".into())),
        };
        let mut parts = TupleParts::new(tag, &limits);
        while let Some(term) = seq.next_element()? {
            match term {
                Term::Element(element) => parts.push(element),
                Term::Other(found) => {
                    let index = parts.index();
                    return Err(de::Error::custom(ChannelError::BadElement { index, found }));
                }
            }
        }
        let channel = parts.finish().map_err(de::Error::custom)?;
        channel.check(&limits).map_err(de::Error::custom)?;
        Ok(channel)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Channel, E> {
        Self::refuse(&TermVisitor.visit_i64(number)?)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Channel, E> {
        Self::refuse(&TermVisitor.visit_u64(number)?)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Channel, E> {
        Self::refuse(&TermVisitor.visit_bool(value)?)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Channel, E> {
        Self::refuse(&TermVisitor.visit_f64(number)?)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Channel, E> {
        Self::refuse(&TermVisitor.visit_unit()?)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Channel, A::Error> {
        Self::refuse(&TermVisitor.visit_map(map)?)
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChannelVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel;

    fn both_ways<T>(value: T, json: &str)
    where
        T: Serialize + for<'de> Deserialize<'de> + PartialEq + fmt::Debug,
    {
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
        assert_eq!(serde_json::from_str::<T>(json).unwrap(), value);
        // A tree of values is read like a text.
        assert_eq!(serde_json::from_value::<T>(serde_json::from_str(json).unwrap()).unwrap(), value);
    }

    fn refused<T: for<'de> Deserialize<'de> + fmt::Debug>(json: &str) -> String {
        let message = serde_json::from_str::<T>(json).unwrap_err().to_string();
        assert!(serde_json::from_value::<T>(serde_json::from_str(json).unwrap()).is_err());
        message
    }

    #[test]
    fn v2_the_json_form_keeps_types_apart() {
        both_ways(channel!("lobby"), r#""lobby""#);
        both_ways(channel!("room", 42), r#"["room",42]"#);
        both_ways(channel!("room", "42"), r#"["room","42"]"#);
        both_ways(channel!("room", 42, Element::atom("x")), r#"["room",42,{"atom":"x"}]"#);
        both_ways(
            channel!("room", i64::MIN, i64::MAX),
            r#"["room",-9223372036854775808,9223372036854775807]"#,
        );
        both_ways(Identity::user(7), r#"["user",7]"#);
        both_ways(Identity::user("7"), r#"["user","7"]"#);
        both_ways(Identity::session("s"), r#"["session","s"]"#);
        both_ways(Identity::instance("i\n"), r#"["instance","i\n"]"#);
        both_ways(Text::from("t"), r#""t""#);
        both_ways(Cid::from("page"), r#""page""#);
        both_ways(Element::atom("x"), r#"{"atom":"x"}"#);
    }

    #[test]
    fn v1_a_refused_value_names_the_offending_element() {
        for (json, message) in [
            ("42", "`42` is no channel"),
            ("1.0", "`1.0` is no channel"),
            ("null", "`null` is no channel"),
            ("true", "`true` is no channel"),
            ("[]", "`[]` is no channel"),
            ("18446744073709551615", "`18446744073709551615` is no channel"),
            (r#"{"atom":"x"}"#, r#"`{"atom":"x"}` is no channel"#),
            (r#"["room"]"#, "the tuple with the tag `room` has no elements"),
            (r#"[{"atom":"room"},1]"#, r#"the tag of the channel is `{"atom":"room"}`"#),
            ("[42,1]", "the tag of the channel is `42`"),
            (r#"["room",1,1.5]"#, "element 2 of the channel is `1.5`"),
            (r#"["room",null]"#, "element 1 of the channel is `null`"),
            (r#"["room",["a",1]]"#, "element 1 of the channel is `an array`"),
            (r#"["room",{"atom":1}]"#, "element 1 of the channel is `an object`"),
            (r#"["room",{"atom":"x","b":1}]"#, "element 1 of the channel is `an object`"),
            (r#"["room",{}]"#, "element 1 of the channel is `an object`"),
            (r#"["room",9223372036854775808]"#, "element 1 of the channel is `9223372036854775808`"),
        ] {
            let error = refused::<Channel>(json);
            assert!(error.starts_with(message), "{json}: {error}");
        }
        assert!(refused::<Element>("1.5").starts_with("`1.5` is no element of a channel"));
    }

    #[test]
    fn v1_a_repeated_key_is_no_atom() {
        let error = serde_json::from_str::<Channel>(r#"["room",{"atom":"x","atom":"y"}]"#).unwrap_err();
        assert!(error.to_string().starts_with("element 1 of the channel is `an object`"), "{error}");
    }

    #[test]
    fn v3_the_default_limits_hold_for_what_is_read() {
        let atom = |bytes| "a".repeat(bytes);
        assert!(serde_json::from_str::<Channel>(&format!("\"{}\"", atom(255))).is_ok());
        let error = refused::<Channel>(&format!("\"{}\"", atom(256)));
        assert!(
            error.starts_with("the tag of the channel is an atom of 256 bytes, the limit is 255"),
            "{error}"
        );
        let error = refused::<Channel>(&format!("[\"a\",1,\"{}\"]", atom(1025)));
        assert!(error.starts_with("element 2 of the channel is a string of 1025 bytes"), "{error}");
        let error = refused::<Channel>(&format!("[\"a\"{}]", ",1".repeat(16)));
        assert!(error.starts_with("the channel is a tuple of 17 elements, the limit is 16"), "{error}");
        assert!(refused::<Cid>(&format!("\"{}\"", atom(1025))).starts_with("the cid is 1025 bytes long"));
        assert!(refused::<Id>(&format!("\"{}\"", atom(1025))).starts_with("the id is 1025 bytes long"));
        let error = refused::<Identity>(&format!("[\"instance\",\"{}\"]", atom(1025)));
        assert!(error.starts_with("the instance id is 1025 bytes long"), "{error}");
        let error = refused::<Element>(&format!("{{\"atom\":\"{}\"}}", atom(256)));
        assert!(error.starts_with("the atom is 256 bytes long"), "{error}");
    }

    #[test]
    fn v2_anything_else_is_no_identity_and_no_id() {
        for json in [
            "[]",
            r#"["user"]"#,
            r#"["user",7,7]"#,
            r#"["instance",7]"#,
            r#"["tab","x"]"#,
            r#"["user",null]"#,
            r#"["user",1.5]"#,
            r#"{"user":7}"#,
            "\"user\"",
        ] {
            refused::<Identity>(json);
        }
        for json in ["1.0", "null", "9223372036854775808", "[]", "true"] {
            refused::<Id>(json);
        }
    }
}
