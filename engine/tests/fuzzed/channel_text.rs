//! Channels from text, from JSON and from parts: the first byte says which (`0`, `2`, `1`), the rest is that.
//!
//! Reading never panics, and what was read or made is written, in both forms, so that it reads back the same (rules V1 to V3).

use holocast::{Channel, Element, Id, Identity, Limits};
use serde_json::Value;

use super::bytes::Bytes;

/// Messages cut what they quote.
const LONGEST_MESSAGE: usize = 1_000;

pub(crate) fn run(input: &[u8]) {
    let mut input = Bytes::new(input);
    match input.byte() % 3 {
        0 => read_text(&input.rest()),
        1 => made(&mut input),
        _ => read_json(&input.rest()),
    }
}

fn read_text(text: &str) {
    match text.parse::<Channel>() {
        Ok(channel) => {
            assert_eq!(channel.check(&Limits::default()), Ok(()), "{text:?} was read beyond the limits");
            reads_back(&channel);
        }
        Err(error) => assert!(error.to_string().len() < LONGEST_MESSAGE, "{error}"),
    }
}

/// Each vocabulary's reader meets any JSON, of text and of a tree of values.
fn read_json(json: &str) {
    let tree: Option<Value> = serde_json::from_str(json).ok();
    match serde_json::from_str::<Channel>(json) {
        Ok(channel) => {
            assert_eq!(channel.check(&Limits::default()), Ok(()), "{json:?} was read beyond the limits");
            reads_back(&channel);
            let tree = tree.clone().expect("what reads as a channel is JSON");
            assert!(says(&tree, &channel), "{json:?} was read as {channel}");
            assert_eq!(serde_json::from_value::<Channel>(tree).ok(), Some(channel), "{json:?} as a tree");
        }
        Err(error) => assert!(error.to_string().len() < LONGEST_MESSAGE, "{error}"),
    }
    if let Ok(identity) = serde_json::from_str::<Identity>(json) {
        assert_eq!(identity.check(&Limits::default()), Ok(()), "{json:?} was read beyond the limits");
        let written = serde_json::to_string(&identity).expect("an identity has a JSON form");
        assert_eq!(serde_json::from_str::<Identity>(&written).ok(), Some(identity), "{written}");
    }
    if let Ok(id) = serde_json::from_str::<Id>(json) {
        // The value itself, read without the engine: no number is rounded, no text cut.
        let tree = tree.expect("what reads as an id is JSON");
        let same = match &id {
            Id::Int(number) => tree.as_i64() == Some(*number),
            Id::Str(text) => tree.as_str() == Some(text.as_str()),
        };
        assert!(same, "{json:?} was read as {id:?}");
    }
}

/// Whether the value, read without the engine, is this channel: no number is rounded, nothing is left out.
fn says(tree: &Value, channel: &Channel) -> bool {
    let Value::Array(parts) = tree else {
        return channel.elements().is_empty() && tree.as_str() == Some(channel.tag());
    };
    let same = |(part, element): (&Value, &Element)| match element {
        Element::Int(number) => part.as_i64() == Some(*number),
        Element::Str(text) => part.as_str() == Some(text),
        Element::Atom(name) => *part == serde_json::json!({ "atom": name }),
    };
    let elements = channel.elements();
    parts.len() == elements.len() + 1
        && parts[0].as_str() == Some(channel.tag())
        && parts[1..].iter().zip(elements).all(same)
}

/// A tag, then any number of elements: a letter for the kind, then the field.
fn made(input: &mut Bytes<'_>) {
    let tag = input.field();
    let mut elements = Vec::new();
    while !input.is_empty() {
        elements.push(match input.byte() % 3 {
            0 => Element::atom(&*input.field()),
            1 => Element::from(&*input.field()),
            _ => input.id().map_or_else(|| Element::Int(i64::MIN), Element::from),
        });
    }
    let (longest_atom, longest_string) = lengths(&tag, &elements);
    let arity = elements.len() + 1;
    let channel = match elements.is_empty() {
        true => Channel::atom(&*tag),
        false => Channel::tagged(&*tag, elements).expect("it has elements"),
    };
    let limits = Limits::default();
    let within = longest_atom <= limits.atom_bytes
        && longest_string <= limits.string_bytes
        && arity <= limits.tuple_elements;
    assert_eq!(channel.check(&limits).is_ok(), within, "{channel} against the limits");
    if within {
        reads_back(&channel);
    } else {
        assert!(channel.to_string().parse::<Channel>().is_err(), "reading the text enforces the limits");
        let json = serde_json::to_string(&channel).expect("a channel has a JSON form");
        assert!(serde_json::from_str::<Channel>(&json).is_err(), "reading the JSON enforces the limits");
    }
}

/// Of the longest atom, the tag included, and of the longest string.
fn lengths(tag: &str, elements: &[Element]) -> (usize, usize) {
    elements.iter().fold((tag.len(), 0), |(atom, string), element| match element {
        Element::Atom(name) => (atom.max(name.len()), string),
        Element::Str(text) => (atom, string.max(text.len())),
        Element::Int(_) => (atom, string),
    })
}

fn reads_back(channel: &Channel) {
    let text = channel.to_string();
    let back: Channel =
        text.parse().unwrap_or_else(|error| panic!("{text:?} was written and does not read: {error}"));
    assert_eq!(back, *channel, "{text:?} reads as another channel");
    assert_eq!(back.to_string(), text, "one channel, one text");
    let json = serde_json::to_string(channel).expect("a channel has a JSON form");
    let back: Channel = serde_json::from_str(&json)
        .unwrap_or_else(|error| panic!("{json} was written and does not read: {error}"));
    assert_eq!(back, *channel, "{json} reads as another channel");
}
