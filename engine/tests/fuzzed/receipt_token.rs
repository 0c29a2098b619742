//! Receipts as tokens (rule R5): nothing verifies but what was signed with the key, unchanged and young enough.
//!
//! The first byte says what the rest is: somebody's idea of a token (`0`; `1`: without its beginning), or (`2`) a receipt that is signed,
//! then changed, then shown after a while.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holocast::{Channel, Client, Element, Realtime, Receipt, ReceiptError, SigningKey};

use super::bytes::Bytes;

const ISSUED_MS: u64 = 1_750_000_000_000;
const LIFETIME_MS: u64 = 3_600_000;

/// Changes that double a token end here.
const LONGEST_TOKEN: usize = 8_192;

thread_local! {
    /// Every engine's clock, for this thread.
    static NOW_MS: AtomicU64 = const { AtomicU64::new(ISSUED_MS) };
}

fn set_clock(now_ms: u64) {
    NOW_MS.with(|now| now.store(now_ms, Ordering::Relaxed));
}

fn engine(seeds: &[u8]) -> Realtime<()> {
    let key = |seed: &u8| SigningKey::new([*seed; 32]).expect("32 bytes are enough");
    Realtime::builder()
        .clock(|| NOW_MS.with(|now| now.load(Ordering::Relaxed)))
        .receipt_lifetime(Duration::from_millis(LIFETIME_MS))
        .signing_keys(seeds.iter().map(key).collect::<Vec<_>>())
        .build()
        .expect("the settings are valid")
}

static OURS: LazyLock<Realtime<()>> = LazyLock::new(|| engine(&[1]));
static THEIRS: LazyLock<Realtime<()>> = LazyLock::new(|| engine(&[2]));
/// Ours, after the key was rotated.
static ROTATED: LazyLock<Realtime<()>> = LazyLock::new(|| engine(&[2, 1]));

pub(crate) fn run(input: &[u8]) {
    set_clock(ISSUED_MS);
    let mut input = Bytes::new(input);
    match input.byte() % 3 {
        0 => shown(&input.rest()),
        1 => shown(&format!("hc1.{}", input.rest())),
        _ => signed(&mut input),
    }
}

/// A token from outside. One that verifies is the one that signing gives: seeds may be genuine, nothing else can be.
fn shown(token: &str) {
    match OURS.verify(token) {
        Ok(receipt) => assert_eq!(OURS.sign(&receipt).as_deref(), Ok(token), "was never signed"),
        Err(error) => assert!(error.to_string().len() < 200, "{error}"),
    }
}

fn signed(input: &mut Bytes<'_>) {
    let client = Client::from_parts(&*input.field(), input.id(), input.id());
    let (cid, tag) = (input.field(), input.field());
    let channel = match input.id() {
        Some(id) => Channel::tagged(&*tag, [Element::from(id)]).expect("there is an element"),
        None => Channel::atom(&*tag),
    };
    let Some(receipt) = receipt(&client, &channel, &cid) else { return };
    let Ok(token) = OURS.sign(&receipt) else { panic!("there is a key") };
    assert_eq!(OURS.verify(&token).as_ref(), Ok(&receipt));
    assert_eq!(ROTATED.verify(&token).as_ref(), Ok(&receipt), "an older key verifies");
    assert_eq!(THEIRS.verify(&token), Err(ReceiptError::BadSignature), "of another key");
    of_another_version(&token, input.byte());
    expires(&token, &receipt, input.byte(), input.place());
    let mut changed = token.clone().into_bytes();
    while !input.is_empty() && changed.len() < LONGEST_TOKEN {
        change(&mut changed, input);
    }
    let Ok(changed) = String::from_utf8(changed) else { return };
    if changed != token {
        for engine in [&OURS, &ROTATED, &THEIRS] {
            assert!(engine.verify(&changed).is_err(), "{changed:?} differs from the signed {token:?}");
        }
        // Also one that would be too old: nothing is said of a claim whose signature does not hold.
        set_clock(u64::MAX);
        let late = OURS.verify(&changed);
        assert!(!matches!(late, Ok(_) | Err(ReceiptError::Expired { .. })), "{late:?}");
    }
}

/// A receipt by way of the engine, unless a name is beyond the limits. Nobody is live, so nothing is bound and kept.
fn receipt(client: &Client, channel: &Channel, cid: &str) -> Option<Receipt> {
    OURS.put_subscription(client, channel, cid).ok().flatten()
}

fn of_another_version(token: &str, version: u8) {
    let other = token.replacen("hc1.", &format!("hc{version}."), 1);
    let expected = if version == 1 { None } else { Some(ReceiptError::UnsupportedVersion { version }) };
    assert_eq!(OURS.verify(&other).err(), expected);
}

/// Shown at any age, also before it was issued: another node's clock may be ahead.
fn expires(token: &str, receipt: &Receipt, kind: u8, by: usize) {
    let by = by as u64;
    let now_ms = match kind % 6 {
        0 => ISSUED_MS + by,
        1 => ISSUED_MS - by,
        2 => ISSUED_MS + LIFETIME_MS + by,
        3 => ISSUED_MS + LIFETIME_MS - by,
        4 => by,
        _ => u64::MAX - by,
    };
    set_clock(now_ms);
    match (OURS.verify(token), now_ms <= ISSUED_MS + LIFETIME_MS) {
        (Ok(verified), true) => assert_eq!(verified, *receipt),
        (Err(ReceiptError::Expired { age, lifetime }), false) => {
            assert!(age > lifetime && lifetime == Duration::from_millis(LIFETIME_MS), "{age:?}");
        }
        (verified, young) => panic!("at {now_ms} {verified:?}, young enough: {young}"),
    }
    set_clock(ISSUED_MS);
}

/// One change of a token: a bit, an end, an insertion, a piece of it twice, two bytes swapped.
fn change(token: &mut Vec<u8>, input: &mut Bytes<'_>) {
    let kind = input.byte() % 5;
    let at = input.place() % token.len().max(1);
    match kind {
        _ if token.is_empty() => token.extend(input.field().bytes()),
        0 => token[at] ^= 1 << (input.byte() % 8),
        1 => token.truncate(at),
        2 => drop(token.splice(at..at, input.field().bytes())),
        3 => {
            let piece = token[at..].to_vec();
            token.extend(piece);
        }
        _ => {
            let other = input.place() % token.len();
            token.swap(at, other);
        }
    }
}
