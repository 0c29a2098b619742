//! A line as named fields, each still the text that stood there, taken one by one in the types that an operation needs.
//!
//! What is missing, unknown, there twice or of another type is an error that names the field.

use std::borrow::Cow;
use std::fmt;

use holocast::{Channel, Cid, Client, Id, Identity, Key, Limits, Text};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{Params, compact};

/// Every field of any operation but `op` itself.
const NAMES: [&str; 13] = [
    "op", "instance", "session", "user", "identity", "channel", "cid", "excluded", "action", "params",
    "bindings", "adds", "drops",
];

/// Why a line is no operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    field: Option<String>,
    problem: String,
}

impl BadLine {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        BadLine { field: Some(field.into()), problem: problem.into() }
    }

    /// The field at fault; `None` if the line is not even an object of fields.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "field `{field}`: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

/// A piece of JSON as an error shows it: on one line, cut to 60 characters.
pub(super) fn shown(json: &str) -> String {
    let mut text: String = json.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() < json.len() && json.chars().nth(60).is_some() {
        text.push('…');
    }
    text
}

/// The fields of one line that nobody has asked for yet.
pub(super) struct Fields<'a>(Vec<(&'static str, &'a RawValue)>);

impl<'a> Fields<'a> {
    pub(super) fn read(line: &'a str) -> Result<Self, BadLine> {
        let mut reading = Reading { fields: Vec::with_capacity(6), at: None, refused: None };
        let mut json = serde_json::Deserializer::from_str(line);
        let read = reading.deserialize(&mut json).and_then(|()| json.end());
        let bad = |error: serde_json::Error| {
            let kind = if error.is_data() { "" } else { "bad JSON: " };
            BadLine {
                field: reading.at.as_deref().map(shown),
                problem: format!("{kind}{}", at_column(&error)),
            }
        };
        match (reading.refused, read) {
            (_, Err(error)) if !error.is_data() => Err(bad(error)),
            (Some(refused), _) => Err(refused),
            (None, Err(error)) => Err(bad(error)),
            (None, Ok(())) => Ok(Fields(reading.fields)),
        }
    }

    /// The text of a field that may be absent.
    fn optional(&mut self, name: &'static str) -> Option<&'a str> {
        let position = self.0.iter().position(|(field, _)| *field == name)?;
        Some(self.0.swap_remove(position).1.get())
    }

    fn required(&mut self, name: &'static str) -> Result<&'a str, BadLine> {
        self.optional(name).ok_or_else(|| BadLine::new(name, "missing"))
    }

    /// Refuses what no one has asked for.
    pub(super) fn end(self) -> Result<(), BadLine> {
        match self.0.first() {
            Some((name, _)) => Err(BadLine::new(*name, "unknown in this operation")),
            None => Ok(()),
        }
    }

    pub(super) fn op(&mut self) -> Result<Cow<'a, str>, BadLine> {
        typed("op", self.required("op")?, "a string").map(|Name(op)| op)
    }

    /// A name of at most the default length of rule V3.
    pub(super) fn name(&mut self, field: &'static str) -> Result<Text, BadLine> {
        let text: Text = typed(field, self.required(field)?, "a string")?;
        bounded(field, &text)?;
        Ok(text)
    }

    pub(super) fn cid(&mut self) -> Result<Cid, BadLine> {
        Ok(self.name("cid")?.into())
    }

    /// An integer or a string, or `null` for none.
    fn id(&mut self, field: &'static str) -> Result<Option<Id>, BadLine> {
        let json = self.required(field)?;
        let id: Option<Id> = typed(field, json, "an integer of 64 bits, a string or null")?;
        if let Some(Id::Str(text)) = &id {
            bounded(field, text)?;
        }
        Ok(id)
    }

    pub(super) fn client(&mut self) -> Result<Client, BadLine> {
        let instance = self.name("instance")?;
        Ok(Client::from_parts(instance, self.id("session")?, self.id("user")?))
    }

    pub(super) fn identity(&mut self) -> Result<Identity, BadLine> {
        identity("identity", self.required("identity")?)
    }

    pub(super) fn excluded(&mut self) -> Result<Vec<Identity>, BadLine> {
        list("excluded", self.required("excluded")?)?
            .into_iter()
            .enumerate()
            .map(|(index, json)| identity(&format!("excluded[{index}]"), json.get()))
            .collect()
    }

    /// `None`: not a channel, or one beyond the limits.
    pub(super) fn channel(&mut self) -> Result<Option<Channel>, BadLine> {
        channel("channel", self.required("channel")?)
    }

    /// Pairs of channel and cid. `None`: one of the channels is none.
    pub(super) fn keys(&mut self, field: &'static str) -> Result<Option<Vec<Key>>, BadLine> {
        let mut keys = Some(Vec::new());
        for (index, json) in list(field, self.required(field)?)?.into_iter().enumerate() {
            let field = format!("{field}[{index}]");
            let pair = list(&field, json.get())?;
            let [first, second] = pair[..] else {
                return Err(BadLine::new(
                    field,
                    format!("expected [channel, cid], found {}", shown(json.get())),
                ));
            };
            let cid: Text = typed(&format!("{field}[1]"), second.get(), "a string")?;
            bounded(&format!("{field}[1]"), &cid)?;
            match (channel(&format!("{field}[0]"), first.get())?, &mut keys) {
                (Some(channel), Some(keys)) => keys.push((channel, cid.into())),
                (Some(_), None) => {}
                (None, _) => keys = None,
            }
        }
        Ok(keys)
    }

    pub(super) fn params(&mut self) -> Result<Params, BadLine> {
        match self.optional("params") {
            Some(json) => Params::from_json(json).map_err(|problem| BadLine::new("params", problem)),
            None => Ok(Params::empty()),
        }
    }
}

fn at_column(error: &serde_json::Error) -> String {
    // Every line is a document of its own: "line 1" would only mislead.
    error.to_string().replace(" at line 1 column ", " at column ")
}

fn typed<'a, T: Deserialize<'a>>(field: &str, json: &'a str, expected: &str) -> Result<T, BadLine> {
    serde_json::from_str(json).map_err(|error| {
        let problem = if error.is_data() {
            format!("expected {expected}, found {}", shown(json))
        } else {
            format!("expected {expected}, found {} ({})", shown(json), at_column(&error))
        };
        BadLine::new(field, problem)
    })
}

fn bounded(field: &str, text: &str) -> Result<(), BadLine> {
    let limit = Limits::default().string_bytes;
    if text.len() > limit {
        return Err(BadLine::new(field, format!("{} bytes long, the limit is {limit}", text.len())));
    }
    Ok(())
}

fn list<'a>(field: &str, json: &'a str) -> Result<Vec<&'a RawValue>, BadLine> {
    typed(field, json, "a list")
}

fn identity(field: &str, json: &str) -> Result<Identity, BadLine> {
    // The engine's own words: they tell a wrong kind from a name that is too long.
    serde_json::from_str(json).map_err(|error| BadLine::new(field, at_column(&error)))
}

fn channel(field: &str, json: &str) -> Result<Option<Channel>, BadLine> {
    match serde_json::from_str(json) {
        Ok(channel) => Ok(Some(channel)),
        Err(error) if error.is_data() => Ok(None),
        // Well-formed, but more than the parser holds (a number beyond every float), or a string that is no text.
        Err(_) => {
            compact(json).map(|_| None).map_err(|problem| BadLine::new(field, format!("bad JSON: {problem}")))
        }
    }
}

/// The reading of one line: what was found, and where it stands.
struct Reading<'a> {
    fields: Vec<(&'static str, &'a RawValue)>,
    /// The field being read, for errors of the JSON itself.
    at: Option<Cow<'a, str>>,
    /// The first field that no operation has, or that is there twice. Reported only if the line is JSON at all.
    refused: Option<BadLine>,
}

impl<'de> DeserializeSeed<'de> for &mut Reading<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reading<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let known = NAMES.iter().find(|known| **known == name.0);
            self.at = Some(name.0);
            let value: &RawValue = map.next_value()?;
            let refused = match known {
                None => BadLine::new(shown(&self.at.take().unwrap_or_default()), "unknown"),
                Some(known) if self.fields.iter().any(|(field, _)| field == known) => {
                    BadLine::new(*known, "there twice")
                }
                Some(known) => {
                    self.fields.push((known, value));
                    continue;
                }
            };
            self.refused.get_or_insert(refused);
        }
        self.at = None;
        Ok(())
    }
}

/// A field's name, borrowed from the line if it holds no escape.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}
