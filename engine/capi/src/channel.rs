//! Channels as handles: checked once, then named by pointer.

use std::mem::MaybeUninit;

use holocast::{Channel as EngineChannel, ChannelError, Element};

use crate::engine::Engine;
use crate::raw::{List, Text, Value, place, there};
use crate::status::{Failure, Status, guard};

/// What is broadcast to: an atom, or a tuple of a tag and elements. It belongs to no engine. Many threads may use it at once.
#[derive(Debug)]
pub struct Channel {
    pub(crate) channel: EngineChannel,
    text: String,
}

impl Channel {
    fn new(channel: EngineChannel) -> Box<Self> {
        let text = channel.to_string();
        Box::new(Self { channel, text })
    }
}

fn tuple(elements: &[Value]) -> Result<EngineChannel, Failure> {
    let Some((first, others)) = elements.split_first() else {
        return Err(Failure::new(Status::InvalidChannel, "a channel has at least one element, its tag"));
    };
    let tag = match first.element(0)? {
        Element::Atom(tag) => tag,
        other => return Err(ChannelError::BadTag { found: other.to_string().into() }.into()),
    };
    if others.is_empty() {
        return Ok(EngineChannel::atom(tag));
    }
    let others = others.iter().enumerate().map(|(index, value)| value.element(index + 1));
    Ok(EngineChannel::tagged(tag, others.collect::<Result<Vec<Element>, Failure>>()?)?)
}

/// A channel of its text form, as Elixir writes it: ":news", "{:room, 42}", "{:doc, \"abc\", :v2}". Checked by the engine's limits. For
/// parts that come from outside use holocast_channel_new, which needs no quoting.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_channel_parse(
    engine: Option<&Engine>,
    text: Text,
    channel: Option<&mut MaybeUninit<Option<Box<Channel>>>>,
) -> Status {
    guard(|| {
        let out = place(channel, "channel")?;
        let limits = &there(engine, "engine")?.limits;
        *out = Some(Channel::new(EngineChannel::parse(text.read("the channel")?, limits)?));
        Ok(())
    })
}

/// A channel of its parts: an atom alone, or an atom and what follows it. Checked by the engine's limits.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_channel_new(
    engine: Option<&Engine>,
    elements: List<Value>,
    channel: Option<&mut MaybeUninit<Option<Box<Channel>>>>,
) -> Status {
    guard(|| {
        let out = place(channel, "channel")?;
        let limits = &there(engine, "engine")?.limits;
        let channel = tuple(elements.read("the elements")?)?;
        channel.check(limits)?;
        *out = Some(Channel::new(channel));
        Ok(())
    })
}

/// The text form of a channel, as holocast_channel_parse reads it; empty for null. Valid until the channel is freed.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_channel_text(channel: Option<&Channel>) -> Text {
    Text::lend(channel.map_or("", |channel| &channel.text))
}

/// Frees a channel; null is fine.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_channel_free(channel: Option<Box<Channel>>) {
    guard(|| {
        drop(channel);
        Ok(())
    });
}
