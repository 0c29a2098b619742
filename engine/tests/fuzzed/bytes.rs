//! An input taken apart, piece by piece. Nothing here can fail: what is missing is zero or empty.

use std::borrow::Cow;

use holocast::Id;

/// What is left of an input.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Bytes(input)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Two bytes, for a place in something longer than 256 bytes.
    pub(crate) fn place(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// The text up to the next `|`: seeds and dictionaries can be read and written by hand.
    pub(crate) fn field(&mut self) -> Cow<'a, str> {
        let end = self.0.iter().position(|byte| *byte == b'|').unwrap_or(self.0.len());
        let (field, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        String::from_utf8_lossy(field)
    }

    /// A field as an id: none if it is empty, an integer if it is one, otherwise a string, whose leading quote says that it is no integer.
    pub(crate) fn id(&mut self) -> Option<Id> {
        let field = self.field();
        match field.parse::<i64>() {
            _ if field.is_empty() => None,
            Ok(number) => Some(Id::from(number)),
            Err(_) => Some(Id::from(field.strip_prefix('"').unwrap_or(&field))),
        }
    }

    /// All the rest as text.
    pub(crate) fn rest(&mut self) -> Cow<'a, str> {
        String::from_utf8_lossy(std::mem::take(&mut self.0))
    }
}
