//! The text form of channels: reading never panics, and what was read or made is written so that it reads back the same.
#![no_main]

use arbitrary::Arbitrary;
use holocast::{Channel, Element, Limits};
use libfuzzer_sys::fuzz_target;

/// One element of a made channel.
#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Atom(&'a str),
    Int(i64),
    Str(&'a str),
}

impl From<Part<'_>> for Element {
    fn from(part: Part<'_>) -> Self {
        match part {
            Part::Atom(name) => Element::atom(name),
            Part::Int(number) => Element::from(number),
            Part::Str(text) => Element::from(text),
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Read(&'a str),
    Make(&'a str, Vec<Part<'a>>),
}

fn round_trips(channel: &Channel) {
    let text = channel.to_string();
    let back: Channel =
        text.parse().unwrap_or_else(|error| panic!("{text:?} was written and does not read: {error}"));
    assert_eq!(back, *channel, "{text:?} reads as another channel");
    assert_eq!(back.to_string(), text, "one channel, one text");
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Read(text) => match text.parse::<Channel>() {
        Ok(channel) => {
            assert_eq!(channel.check(&Limits::default()), Ok(()), "{text:?} was read beyond the limits");
            round_trips(&channel);
        }
        Err(error) => assert!(error.to_string().len() < 1_000, "messages cut what they quote"),
    },
    Input::Make(tag, parts) => {
        let channel = if parts.is_empty() {
            Channel::atom(tag)
        } else {
            Channel::tagged(tag, parts).expect("it has elements")
        };
        if channel.check(&Limits::default()).is_ok() {
            round_trips(&channel);
        } else {
            assert!(channel.to_string().parse::<Channel>().is_err(), "reading enforces the limits");
        }
    }
});
