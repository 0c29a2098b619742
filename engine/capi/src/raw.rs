//! What C hands over and gets by value: texts, bytes and lists as pointer and length. Read here, and nowhere else.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;

use holocast::{Client as EngineClient, Element, Id, Identity as EngineIdentity};

use crate::Params;
use crate::status::{Failure, Status};

/// UTF-8: len bytes at data. No NUL ends it. An empty text may have a null pointer. What a call is given has to stay as it is until the
/// call returns; what a call gives out lives as long as it says.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Text {
    data: *const c_char,
    len: usize,
}

/// Bytes of any value: len of them at data. None may have a null pointer.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    data: *const c_void,
    len: usize,
}

/// A list: len items, one behind the other. An empty one may have a null pointer.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct List<T> {
    items: *const T,
    len: usize,
}

// SAFETY: memory that is only read, and that whoever made the text keeps as it is.
unsafe impl Send for Text {}
// SAFETY: as above.
unsafe impl Sync for Text {}
// SAFETY: as for a text; the items are read where the list is.
unsafe impl<T: Sync> Send for List<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for List<T> {}

fn read<'a, T>(data: *const T, len: usize, what: &str) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::new(Status::NullPointer, format!("{what} is null, and its length {len}")));
    }
    if !data.is_aligned() {
        return Err(Failure::argument(format!("{what} is not aligned")));
    }
    if len > isize::MAX as usize / size_of::<T>() {
        return Err(Failure::argument(format!("{what} is longer than memory can be: {len}")));
    }
    // SAFETY: checked above is what can be. That so much is there, is initialized and stays as it is, the caller in C promises by making
    // the call, and Rust by lending a slice: there is no other way to make one of the types above.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

impl Text {
    /// For C to read, as long as the text that is lent is there.
    pub(crate) fn lend(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), len: text.len() }
    }

    pub(crate) fn read(&self, what: &str) -> Result<&str, Failure> {
        let bytes = read(self.data.cast::<u8>(), self.len, what)?;
        std::str::from_utf8(bytes).map_err(|error| {
            Failure::new(Status::NotUtf8, format!("{what} is not UTF-8 from byte {}", error.valid_up_to()))
        })
    }
}

impl Bytes {
    /// As [`Text::lend`].
    pub(crate) fn lend(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr().cast(), len: bytes.len() }
    }

    pub(crate) fn read(&self, what: &str) -> Result<&[u8], Failure> {
        read(self.data.cast(), self.len, what)
    }

    /// The copy that all receivers share.
    pub(crate) fn params(&self) -> Result<Params, Failure> {
        Ok(self.read("params")?.into())
    }
}

impl<T> List<T> {
    /// As [`Text::lend`].
    pub(crate) fn lend(items: &[T]) -> Self {
        Self { items: items.as_ptr(), len: items.len() }
    }

    pub(crate) fn read(&self, what: &str) -> Result<&[T], Failure> {
        read(self.items, self.len, what)
    }
}

/// What a value is.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub enum ValueKind {
    /// Nothing: no session, or nobody.
    None = 0,
    /// A 64-bit integer.
    Int = 1,
    /// A string.
    String = 2,
    /// An atom, in channels only.
    Atom = 3,
}

/// The id of a session or user, or an element of a channel. Integer 7 and string "7" are two.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Value {
    /// One of holocast_value_kind.
    kind: u32,
    /// Of an integer.
    number: i64,
    /// Of a string or an atom.
    text: Text,
}

impl Value {
    const NONE: u32 = ValueKind::None as u32;
    const INT: u32 = ValueKind::Int as u32;
    const STRING: u32 = ValueKind::String as u32;
    const ATOM: u32 = ValueKind::Atom as u32;

    fn id(&self, what: &str) -> Result<Option<Id>, Failure> {
        match self.kind {
            Self::NONE => Ok(None),
            Self::INT => Ok(Some(self.number.into())),
            Self::STRING => Ok(Some(self.text.read(what)?.into())),
            kind => Err(Failure::argument(format!(
                "{what} is of kind {kind}, expected none, an integer or a string"
            ))),
        }
    }

    pub(crate) fn element(&self, index: usize) -> Result<Element, Failure> {
        let what = format!("element {index} of the channel");
        match self.kind {
            Self::INT => Ok(self.number.into()),
            Self::STRING => Ok(self.text.read(&what)?.into()),
            Self::ATOM => Ok(Element::atom(self.text.read(&what)?)),
            kind => Err(Failure::argument(format!(
                "{what} is of kind {kind}, expected an atom, an integer or a string"
            ))),
        }
    }
}

/// What an identity is of.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub enum IdentityKind {
    /// One tab; its id is a string.
    Instance = 1,
    /// A browser session, with all its tabs.
    Session = 2,
    /// A user, with all sessions and tabs.
    User = 3,
}

/// An address of zero or more live connections.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// One of holocast_identity_kind.
    kind: u32,
    /// Not none.
    id: Value,
}

impl Identity {
    const INSTANCE: u32 = IdentityKind::Instance as u32;
    const SESSION: u32 = IdentityKind::Session as u32;
    const USER: u32 = IdentityKind::User as u32;

    pub(crate) fn read(&self) -> Result<EngineIdentity, Failure> {
        let id = self.id.id("the id of an identity")?;
        match (self.kind, id) {
            (Self::INSTANCE, Some(Id::Str(instance))) => Ok(EngineIdentity::instance(instance)),
            (Self::INSTANCE, Some(Id::Int(_))) => Err(Failure::argument("the id of an instance is a string")),
            (Self::SESSION, Some(id)) => Ok(EngineIdentity::session(id)),
            (Self::USER, Some(id)) => Ok(EngineIdentity::user(id)),
            (Self::INSTANCE | Self::SESSION | Self::USER, None) => {
                Err(Failure::argument("an identity has no id"))
            }
            (kind, _) => Err(Failure::argument(format!("there is no identity of kind {kind}"))),
        }
    }
}

/// One browser tab with its session and its user.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Names the tab; it keeps the name when it reconnects.
    instance: Text,
    /// Or none.
    session: Value,
    /// Or none while nobody is logged in.
    user: Value,
}

impl Client {
    pub(crate) fn read(&self) -> Result<EngineClient, Failure> {
        let (session, user) = (self.session.id("the session")?, self.user.id("the user")?);
        Ok(EngineClient::from_parts(self.instance.read("the instance")?, session, user))
    }
}

/// A channel, in its text form, and a component of the page.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The channel's text.
    pub(crate) channel: Text,
    /// The component's id.
    pub(crate) cid: Text,
}

/// What a call can't do without.
pub(crate) fn there<T>(argument: Option<T>, what: &str) -> Result<T, Failure> {
    argument.ok_or_else(|| Failure::null(what))
}

/// Where a handle is to go: null until the call has succeeded.
pub(crate) fn place<'a, T>(
    out: Option<&'a mut MaybeUninit<Option<Box<T>>>>,
    what: &str,
) -> Result<&'a mut Option<Box<T>>, Failure> {
    Ok(there(out, what)?.write(None))
}

/// Tells a result to whoever wants to know.
pub(crate) fn tell<T>(out: Option<&mut MaybeUninit<T>>, value: T) {
    if let Some(out) = out {
        out.write(value);
    }
}

/// What a caller in C could hand over, right or wrong.
#[cfg(test)]
pub(crate) mod handed {
    use super::*;

    /// With these fields. What they point to must be there, unless reading refuses them.
    pub(crate) fn text(data: *const c_char, len: usize) -> Text {
        Text { data, len }
    }

    /// As [`text`].
    pub(crate) fn bytes(data: *const c_void, len: usize) -> Bytes {
        Bytes { data, len }
    }

    /// As [`text`].
    pub(crate) fn list<T>(items: *const T, len: usize) -> List<T> {
        List { items, len }
    }

    pub(crate) fn value(kind: u32, number: i64, text: Text) -> Value {
        Value { kind, number, text }
    }

    pub(crate) fn identity(kind: u32, id: Value) -> Identity {
        Identity { kind, id }
    }

    pub(crate) fn client(instance: Text, session: Value, user: Value) -> Client {
        Client { instance, session, user }
    }
}
