//! Receipts as tokens: verifying never panics, and nothing but a token signed with the key verifies.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use holocast::{Channel, Client, Element, Id, Realtime, Receipt, SigningKey};
use libfuzzer_sys::fuzz_target;

const NOW_MS: u64 = 1_750_000_000_000;

fn engine(seed: u8) -> Realtime<()> {
    let key = SigningKey::new([seed; 32]).expect("32 bytes are enough");
    Realtime::builder()
        .clock(|| NOW_MS)
        .receipt_lifetime(Duration::from_secs(3_600))
        .signing_keys([key])
        .build()
        .expect("the settings are valid")
}

static OURS: LazyLock<Realtime<()>> = LazyLock::new(|| engine(1));
static THEIRS: LazyLock<Realtime<()>> = LazyLock::new(|| engine(2));

#[derive(Arbitrary, Debug)]
enum Number<'a> {
    Int(i64),
    Str(&'a str),
}

impl From<Number<'_>> for Id {
    fn from(id: Number<'_>) -> Self {
        match id {
            Number::Int(number) => Id::from(number),
            Number::Str(text) => Id::from(text),
        }
    }
}

/// What is done to a signed token.
#[derive(Arbitrary, Debug)]
enum Change<'a> {
    Nothing,
    Flip { at: usize, bit: u8 },
    Cut { at: usize },
    Insert { at: usize, text: &'a str },
}

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// Somebody's idea of a token.
    Text(&'a str),
    /// The same, with the right beginning.
    Prefixed(&'a str),
    Signed {
        instance: &'a str,
        session: Option<Number<'a>>,
        user: Option<Number<'a>>,
        tag: &'a str,
        element: Number<'a>,
        cid: &'a str,
        change: Change<'a>,
    },
}

/// A receipt by way of the engine, unless a name is beyond the limits. Nobody is live, so nothing is bound and kept.
fn receipt(client: &Client, channel: &Channel, cid: &str) -> Option<Receipt> {
    OURS.put_subscription(client, channel, cid).ok().flatten()
}

fn changed(token: &str, change: &Change<'_>) -> Option<String> {
    let mut bytes = token.as_bytes().to_vec();
    match change {
        Change::Nothing => {}
        Change::Flip { at, bit } => {
            let at = at % bytes.len();
            bytes[at] ^= 1 << (bit % 8);
        }
        Change::Cut { at } => bytes.truncate(at % bytes.len()),
        Change::Insert { at, text } => {
            let at = at % (bytes.len() + 1);
            bytes.splice(at..at, text.bytes());
        }
    }
    String::from_utf8(bytes).ok()
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Text(text) => assert!(OURS.verify(text).is_err(), "{text:?} was never signed"),
    Input::Prefixed(text) =>
        assert!(OURS.verify(&format!("hc1.{text}")).is_err(), "{text:?} was never signed"),
    Input::Signed { instance, session, user, tag, element, cid, change } => {
        let client = Client::from_parts(instance, session.map(Id::from), user.map(Id::from));
        let element = match element {
            Number::Int(number) => Element::from(number),
            Number::Str(text) => Element::from(text),
        };
        let Ok(channel) = Channel::tagged(tag, [element]) else { return };
        let Some(receipt) = receipt(&client, &channel, cid) else { return };
        let Ok(token) = OURS.sign(&receipt) else { panic!("there is a key") };
        assert!(THEIRS.verify(&token).is_err(), "of another key");
        let Some(shown) = changed(&token, &change) else { return };
        if shown == token {
            assert_eq!(OURS.verify(&shown).as_ref(), Ok(&receipt));
        } else {
            assert!(OURS.verify(&shown).is_err(), "{shown:?} differs from the signed {token:?}");
        }
    }
});
