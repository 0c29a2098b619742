//! Receipts as signed tokens, to travel through browsers (rule R5): [`SigningKey`] and the key ring.
//!
//! A verified token proves that this engine issued the receipt, not that it is still valid: revocations are judged when it is
//! presented (rule R2).

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::channel::{Channel, Element};
use crate::config::Limits;
use crate::error::{ConfigError, ReceiptError};
use crate::receipt::{Receipt, Stamp};
use crate::text::Id;

/// A secret that signs receipts. Its `Debug` form never shows it.
///
/// # Examples
///
/// ```
/// use holocast::SigningKey;
///
/// let key = SigningKey::new([7; 32])?;
/// assert_eq!(format!("{key:?}"), "SigningKey(..)");
/// # Ok::<(), holocast::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// The least length in bytes: that of the hash's output (RFC 2104, section 3).
    const MINIMUM_BYTES: usize = 32;

    /// The key of these secret bytes; they should come from a cryptographic random generator.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeyTooShort`] for fewer than 32 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(holocast::SigningKey::new([7; 32]).is_ok());
    /// assert!(holocast::SigningKey::new([7; 31]).is_err());
    /// ```
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let bytes = bytes.as_ref();
        let too_short = ConfigError::KeyTooShort { bytes: bytes.len(), minimum: Self::MINIMUM_BYTES };
        if bytes.len() < Self::MINIMUM_BYTES {
            return Err(too_short);
        }
        // HMAC takes keys of any length.
        Hmac::new_from_slice(bytes).map(SigningKey).map_err(|_| too_short)
    }

    fn tag(&self, text: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update(text)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// The version that is signed and read.
const VERSION: u8 = 1;
/// Bytes of an HMAC-SHA256.
const TAG_BYTES: usize = 32;

/// The keys of one engine: the first signs, all verify (rule R5).
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyRing(Vec<SigningKey>);

impl KeyRing {
    pub(crate) fn new(keys: Vec<SigningKey>) -> Self {
        KeyRing(keys)
    }

    /// The receipt as a token: `hc1.<claim>.<tag>`, both parts in unpadded base64url, the tag over all before its dot.
    pub(crate) fn sign(&self, receipt: &Receipt) -> Result<String, ReceiptError> {
        let key = self.0.first().ok_or(ReceiptError::NoKey)?;
        let mut token = format!("hc{VERSION}.");
        URL_SAFE_NO_PAD.encode_string(encode(receipt), &mut token);
        let tag = key.tag(&token).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut token);
        Ok(token)
    }

    /// The receipt of a token that one of the keys signed and that is no older than `lifetime_ms`.
    ///
    /// Nothing of the claim is decoded before its signature holds, and tags are compared in constant time. A stamp ahead of
    /// `now_ms` is no error: another node's clock may be ahead.
    pub(crate) fn verify(
        &self,
        token: &str,
        now_ms: u64,
        lifetime_ms: u64,
        limits: &Limits,
    ) -> Result<Receipt, ReceiptError> {
        let Token { version, signed, claim, tag } = Token::split(token).ok_or(ReceiptError::Malformed)?;
        if version != VERSION {
            return Err(ReceiptError::UnsupportedVersion { version });
        }
        let tag = decode_tag(tag).ok_or(ReceiptError::Malformed)?;
        if self.0.is_empty() {
            return Err(ReceiptError::NoKey);
        }
        // Every key is tried, so that the time does not tell which one signed.
        let signs = |key: &SigningKey| key.tag(signed).verify_slice(&tag).is_ok();
        if !self.0.iter().fold(false, |found, key| found | signs(key)) {
            return Err(ReceiptError::BadSignature);
        }
        let claim = URL_SAFE_NO_PAD.decode(claim).map_err(|_| ReceiptError::Malformed)?;
        let receipt = decode(&claim, limits).ok_or(ReceiptError::Malformed)?;
        let age_ms = now_ms.saturating_sub(receipt.stamp().millis());
        if age_ms > lifetime_ms {
            let (age, lifetime) = (Duration::from_millis(age_ms), Duration::from_millis(lifetime_ms));
            return Err(ReceiptError::Expired { age, lifetime });
        }
        Ok(receipt)
    }
}

/// The parts of a token, by shape alone.
struct Token<'a> {
    version: u8,
    /// Version and claim: what the tag is over.
    signed: &'a str,
    claim: &'a str,
    tag: &'a str,
}

impl<'a> Token<'a> {
    fn split(token: &'a str) -> Option<Self> {
        let (signed, tag) = token.rsplit_once('.')?;
        let (head, claim) = signed.split_once('.')?;
        let version = head.strip_prefix("hc")?;
        let canonical =
            version.bytes().all(|b| b.is_ascii_digit()) && (version == "0" || !version.starts_with('0'));
        let base64url = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !(canonical && base64url(claim) && base64url(tag)) {
            return None;
        }
        Some(Token { version: version.parse().ok()?, signed, claim, tag })
    }
}

fn decode_tag(text: &str) -> Option<[u8; TAG_BYTES]> {
    // The decoder asks for room by a rounded-up estimate.
    let mut buffer = [0; TAG_BYTES + 4];
    let bytes = URL_SAFE_NO_PAD.decode_slice(text, &mut buffer).ok()?;
    buffer.get(..bytes)?.try_into().ok()
}

// The claim: stamp (8 bytes, big endian), instance, cid, user, session, tag, number of elements, elements. Texts are
// their length and UTF-8; lengths and counts are LEB128 in the fewest bytes; a value is its kind and, if an integer,
// its zigzag LEB128. So one receipt has exactly one encoding.
const NOTHING: u8 = 0;
const INT: u8 = 1;
const STR: u8 = 2;
const ATOM: u8 = 3;

fn encode(receipt: &Receipt) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    out.extend(receipt.stamp().as_u64().to_be_bytes());
    put_text(&mut out, receipt.instance());
    put_text(&mut out, receipt.cid());
    for id in [receipt.user(), receipt.session()] {
        match id {
            None => out.push(NOTHING),
            Some(Id::Int(number)) => put_int(&mut out, *number),
            Some(Id::Str(text)) => {
                out.push(STR);
                put_text(&mut out, text);
            }
        }
    }
    let channel = receipt.channel();
    put_text(&mut out, channel.tag());
    put_number(&mut out, channel.elements().len() as u64);
    for element in channel.elements() {
        match element {
            Element::Int(number) => put_int(&mut out, *number),
            Element::Str(text) => {
                out.push(STR);
                put_text(&mut out, text);
            }
            Element::Atom(name) => {
                out.push(ATOM);
                put_text(&mut out, name);
            }
        }
    }
    out
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_int(out: &mut Vec<u8>, number: i64) {
    out.push(INT);
    put_number(out, ((number << 1) ^ (number >> 63)) as u64);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend(text.as_bytes());
}

/// The receipt of an encoded claim; none for anything that [`encode`] does not make or that exceeds the limits.
fn decode(claim: &[u8], limits: &Limits) -> Option<Receipt> {
    let mut input = Input(claim);
    let stamp = Stamp::from_u64(u64::from_be_bytes(*input.take(8)?.first_chunk()?));
    let instance = input.name(limits)?;
    let cid = input.name(limits)?;
    let user = input.id(limits)?;
    let session = input.id(limits)?;
    let channel = input.channel(limits)?;
    if !input.0.is_empty() {
        return None;
    }
    Some(Receipt::new(instance.into(), channel, cid.into(), user, session, stamp))
}

/// What is left of an encoded claim.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                let fewest_bytes = byte != 0 || shift == 0;
                return fewest_bytes.then_some(number);
            }
        }
        None
    }

    fn int(&mut self) -> Option<i64> {
        let zigzag = self.number()?;
        Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    fn text(&mut self) -> Option<&'a str> {
        let bytes = usize::try_from(self.number()?).ok()?;
        str::from_utf8(self.take(bytes)?).ok()
    }

    fn name(&mut self, limits: &Limits) -> Option<&'a str> {
        self.text().filter(|name| name.len() <= limits.string_bytes)
    }

    fn id(&mut self, limits: &Limits) -> Option<Option<Id>> {
        match self.byte()? {
            NOTHING => Some(None),
            INT => Some(Some(Id::Int(self.int()?))),
            STR => Some(Some(Id::from(self.name(limits)?))),
            _ => None,
        }
    }

    fn channel(&mut self, limits: &Limits) -> Option<Channel> {
        let tag = self.text()?;
        let count = usize::try_from(self.number()?).ok()?;
        let mut elements = Vec::new();
        // Each takes a byte at least, so however many are promised, no more are made than the token is long.
        for _ in 0..count {
            elements.push(match self.byte()? {
                INT => Element::Int(self.int()?),
                STR => Element::from(self.text()?),
                ATOM => Element::atom(self.text()?),
                _ => return None,
            });
        }
        let channel = if count == 0 { Channel::atom(tag) } else { Channel::tagged(tag, elements).ok()? };
        channel.check(limits).ok()?;
        Some(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel;
    use proptest::prelude::*;

    const NOW_MS: u64 = 1_700_000_000_000;
    const LIFETIME_MS: u64 = 72 * 3_600_000;

    fn ring(seeds: &[u8]) -> KeyRing {
        KeyRing::new(seeds.iter().map(|seed| SigningKey::new([*seed; 32]).unwrap()).collect())
    }

    fn verify(ring: &KeyRing, token: &str) -> Result<Receipt, ReceiptError> {
        ring.verify(token, NOW_MS, LIFETIME_MS, &Limits::default())
    }

    fn receipt() -> Receipt {
        let channel = channel!("doc", "abc", -7, Element::atom("v2"));
        let stamp = Stamp::next(Stamp::default(), NOW_MS);
        Receipt::new("tab".into(), channel, "page".into(), Some(7.into()), Some("s1".into()), stamp)
    }

    /// A token of any claim under the first key, as a holder of the key could make it.
    fn signed(ring: &KeyRing, head: &str, claim: &[u8]) -> String {
        let mut token = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claim));
        let tag = ring.0[0].tag(&token).finalize().into_bytes();
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(tag));
        token
    }

    #[test]
    fn r5_a_signed_receipt_is_verified_as_the_same_receipt() {
        let ring = ring(&[1]);
        let token = ring.sign(&receipt()).unwrap();
        assert!(token.starts_with("hc1."));
        assert_eq!(verify(&ring, &token), Ok(receipt()));
    }

    #[test]
    fn r5_a_token_is_the_hmac_of_its_text() {
        // Computed apart, with Python's hmac module.
        let expected = "hc1.AYvP5WgAAAADdGFiBHBhZ2UBDgICczEDZG9jAwIDYWJjAQ0DAnYy\
                        .E4sAd6S4TXwxqBKbQgyxfKswweuNYkCRyso6L_Z50-k";
        assert_eq!(ring(&[1]).sign(&receipt()).unwrap(), expected);
    }

    #[test]
    fn r5_a_rotated_key_still_verifies_and_a_removed_one_does_not() {
        let token = ring(&[1]).sign(&receipt()).unwrap();
        let rotated = ring(&[2, 1]);
        assert_eq!(verify(&rotated, &token), Ok(receipt()));
        assert_ne!(rotated.sign(&receipt()).unwrap(), token);
        assert_eq!(verify(&ring(&[2]), &token), Err(ReceiptError::BadSignature));
        assert_eq!(verify(&ring(&[1]), &rotated.sign(&receipt()).unwrap()), Err(ReceiptError::BadSignature));
    }

    #[test]
    fn r5_a_key_that_is_listed_twice_still_verifies() {
        let token = ring(&[1]).sign(&receipt()).unwrap();
        assert_eq!(verify(&ring(&[1, 1]), &token), Ok(receipt()));
    }

    #[test]
    fn r5_what_is_no_token_by_its_shape_is_malformed_whatever_its_signature() {
        let ring = ring(&[1]);
        let token = ring.sign(&receipt()).unwrap();
        let (signed, tag) = token.rsplit_once('.').unwrap();
        for malformed in [
            format!("{signed}!.{tag}"),
            format!("{signed}.{tag}="),
            format!("{signed}."),
            format!("hc1..{tag}"),
        ] {
            assert_eq!(verify(&ring, &malformed), Err(ReceiptError::Malformed), "{malformed}");
        }
    }

    #[test]
    fn r5_without_a_key_nothing_is_signed_or_verified() {
        let empty = KeyRing::default();
        assert_eq!(empty.sign(&receipt()), Err(ReceiptError::NoKey));
        let token = ring(&[1]).sign(&receipt()).unwrap();
        assert_eq!(verify(&empty, &token), Err(ReceiptError::NoKey));
    }

    #[test]
    fn r5_a_key_of_less_than_32_bytes_is_refused() {
        let error = SigningKey::new([0; 31]).unwrap_err();
        assert_eq!(error, ConfigError::KeyTooShort { bytes: 31, minimum: 32 });
        assert!(SigningKey::new([0; 200]).is_ok());
    }

    #[test]
    fn r5_a_token_with_any_character_changed_binds_nothing() {
        let ring = ring(&[1]);
        let token = ring.sign(&receipt()).unwrap();
        for at in 0..token.len() {
            for other in ["A", "B", "_", ".", "=", "\n", "é"] {
                let mut forged = token.clone();
                forged.replace_range(at..=at, other);
                if forged != token {
                    assert!(verify(&ring, &forged).is_err(), "{forged}");
                }
            }
        }
    }

    /// The error does not tell how much of a forgery was right. That the time does not either is the work of `Mac::verify_slice`.
    #[test]
    fn r5_any_one_bit_flipped_in_claim_or_tag_is_the_same_error() {
        let ring = ring(&[2, 1]);
        let token = ring.sign(&receipt()).unwrap();
        let parts = Token::split(&token).unwrap();
        let [claim, tag] = [parts.claim, parts.tag].map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
        let text = |claim: &[u8], tag: &[u8]| {
            format!("hc1.{}.{}", URL_SAFE_NO_PAD.encode(claim), URL_SAFE_NO_PAD.encode(tag))
        };
        assert_eq!(text(&claim, &tag), token);
        for bit in 0..8 * (claim.len() + tag.len()) {
            let mut flipped = [&claim[..], &tag].concat();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let forged = text(&flipped[..claim.len()], &flipped[claim.len()..]);
            assert_eq!(verify(&ring, &forged), Err(ReceiptError::BadSignature), "bit {bit}");
        }
    }

    #[test]
    fn r5_a_cut_or_extended_token_binds_nothing() {
        let ring = ring(&[1]);
        let token = ring.sign(&receipt()).unwrap();
        for end in 0..token.len() {
            assert!(verify(&ring, &token[..end]).is_err(), "{end}");
        }
        for tail in ["A", "=", ".", " ", ".AAAA"] {
            assert!(verify(&ring, &format!("{token}{tail}")).is_err(), "{tail}");
        }
    }

    #[test]
    fn r5_a_token_of_another_version_is_named() {
        let ring = ring(&[1]);
        let claim = encode(&receipt());
        for (head, error) in [
            ("hc2", ReceiptError::UnsupportedVersion { version: 2 }),
            ("hc0", ReceiptError::UnsupportedVersion { version: 0 }),
            ("hc255", ReceiptError::UnsupportedVersion { version: 255 }),
            ("hc256", ReceiptError::Malformed),
            ("hc01", ReceiptError::Malformed),
            ("hc+1", ReceiptError::Malformed),
            ("hc", ReceiptError::Malformed),
            ("hd1", ReceiptError::Malformed),
        ] {
            assert_eq!(verify(&ring, &signed(&ring, head, &claim)), Err(error), "{head}");
        }
        assert_eq!(verify(&ring, &signed(&ring, "hc1", &claim)), Ok(receipt()));
    }

    #[test]
    fn r5_a_signed_claim_that_is_not_canonical_is_malformed() {
        let ring = ring(&[1]);
        let claim = encode(&receipt());
        for end in 1..claim.len() {
            let token = signed(&ring, "hc1", &claim[..end]);
            assert_eq!(verify(&ring, &token), Err(ReceiptError::Malformed), "{end}");
        }
        let extended = [&claim[..], &[0]].concat();
        assert_eq!(verify(&ring, &signed(&ring, "hc1", &extended)), Err(ReceiptError::Malformed));
        // The length of the instance, 3, in two bytes instead of one.
        let padded = [&claim[..8], &[0x83, 0x00], &claim[9..]].concat();
        assert_eq!(verify(&ring, &signed(&ring, "hc1", &padded)), Err(ReceiptError::Malformed));
    }

    #[test]
    fn r5_a_receipt_lives_to_its_lifetime_and_no_millisecond_longer() {
        let ring = ring(&[1]);
        let token = ring.sign(&receipt()).unwrap();
        let at = |now_ms| ring.verify(&token, now_ms, LIFETIME_MS, &Limits::default());
        assert_eq!(at(NOW_MS + LIFETIME_MS), Ok(receipt()));
        let expired = ReceiptError::Expired {
            age: Duration::from_millis(LIFETIME_MS + 1),
            lifetime: Duration::from_millis(LIFETIME_MS),
        };
        assert_eq!(at(NOW_MS + LIFETIME_MS + 1), Err(expired));
        assert_eq!(at(0), Ok(receipt()), "a stamp from the future is another node's");
    }

    #[test]
    fn v3_a_token_beyond_the_limits_is_malformed() {
        let ring = ring(&[1]);
        let token = ring.sign(&receipt()).unwrap();
        let with = |limits| ring.verify(&token, NOW_MS, LIFETIME_MS, &limits);
        let fits = Limits { atom_bytes: 3, string_bytes: 4, tuple_elements: 4 };
        assert_eq!(with(fits), Ok(receipt()));
        for tight in [
            Limits { atom_bytes: 2, ..fits },
            Limits { string_bytes: 3, ..fits },
            Limits { tuple_elements: 3, ..fits },
        ] {
            assert_eq!(with(tight), Err(ReceiptError::Malformed), "{tight:?}");
        }
    }

    #[test]
    fn numbers_have_one_encoding_up_to_the_greatest() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            assert_eq!(Input(&out).number(), Some(number));
        }
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Input(&beyond).number(), None);
        assert_eq!(Input(&[0x80; 11]).number(), None);
        assert_eq!(Input(&[0x80, 0x00]).number(), None);
    }

    fn any_id() -> impl Strategy<Value = Option<Id>> {
        proptest::option::of(prop_oneof![any::<i64>().prop_map(Id::Int), any::<String>().prop_map(Id::from)])
    }

    fn any_channel() -> impl Strategy<Value = Channel> {
        let element = prop_oneof![
            any::<i64>().prop_map(Element::Int),
            any::<String>().prop_map(Element::from),
            any::<String>().prop_map(Element::atom),
        ];
        (any::<String>(), proptest::collection::vec(element, 0..5)).prop_map(|(tag, elements)| {
            if elements.is_empty() { Channel::atom(tag) } else { Channel::tagged(tag, elements).unwrap() }
        })
    }

    proptest! {
        #[test]
        fn r5_every_receipt_survives_its_token(
            instance in any::<String>(),
            cid in any::<String>(),
            channel in any_channel(),
            user in any_id(),
            session in any_id(),
            stamp in any::<u64>(),
        ) {
            let limits = Limits { atom_bytes: usize::MAX, string_bytes: usize::MAX, tuple_elements: usize::MAX };
            let receipt = Receipt::new(instance.into(), channel, cid.into(), user, session, Stamp::from_u64(stamp));
            let ring = ring(&[1]);
            let token = ring.sign(&receipt).unwrap();
            prop_assert_eq!(ring.verify(&token, 0, 0, &limits), Ok(receipt));
        }

        #[test]
        fn r5_any_signed_bytes_are_read_as_written_or_refused(
            claim in proptest::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..64),
        ) {
            if let Some(receipt) = decode(&claim, &Limits::default()) {
                prop_assert_eq!(encode(&receipt), claim);
            }
        }

        #[test]
        fn r5_any_text_is_refused(text in "(hc1\\.)?[A-Za-z0-9_.=\\PC-]{0,80}") {
            prop_assert!(verify(&ring(&[1]), &text).is_err());
        }
    }
}
