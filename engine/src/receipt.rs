//! [`Receipt`], the proof of a binding that a client keeps, and its [`Stamp`].
//!
//! The engine issues receipts and judges them; here they are only made and read. Their signed form is in `token.rs`.

use std::fmt;
use std::sync::Arc;

use crate::channel::Channel;
use crate::identity::Client;
use crate::text::{Cid, Id, Text};

/// A point in the order of the changes to one channel: hybrid logical time.
///
/// The milliseconds since the Unix epoch in the upper 48 bits, a logical counter in the lower 16. Stamps of different
/// nodes compare as far as their clocks agree.
///
/// # Examples
///
/// ```
/// use holocast::Stamp;
///
/// let stamp = Stamp::from_u64(1_700_000_000_000 << 16 | 3);
/// assert_eq!(stamp.millis(), 1_700_000_000_000);
/// assert_eq!(stamp.to_string(), "1700000000000.3");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// Bits of the logical counter.
    const COUNTER_BITS: u32 = 16;

    /// The last millisecond that a stamp tells: in the year 10,889.
    pub(crate) const LAST_MS: u64 = u64::MAX >> Self::COUNTER_BITS;

    /// The stamp of this number, as [`Stamp::as_u64`] gave it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(holocast::Stamp::from_u64(1) < holocast::Stamp::from_u64(2));
    /// ```
    pub fn from_u64(number: u64) -> Self {
        Stamp(number)
    }

    /// The stamp as one number; it orders like the stamp.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::Stamp::from_u64(7).as_u64(), 7);
    /// ```
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// The milliseconds since the Unix epoch.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::Stamp::from_u64(5 << 16).millis(), 5);
    /// ```
    pub fn millis(self) -> u64 {
        self.0 >> Self::COUNTER_BITS
    }

    /// The stamp of the change after `previous`: the clock's if that is later, the least later one otherwise.
    ///
    /// Only at the end of time (year 10,889) it does not grow.
    pub(crate) fn next(previous: Stamp, now_ms: u64) -> Stamp {
        let clock = now_ms.saturating_mul(1 << Self::COUNTER_BITS);
        Stamp(clock.max(previous.0.saturating_add(1)))
    }
}

impl fmt::Display for Stamp {
    /// Milliseconds and counter, with a dot between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.0 & ((1 << Self::COUNTER_BITS) - 1))
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The proof of a binding, which the client keeps and presents when it reconnects (rule R1).
///
/// Cloning is O(1).
///
/// # Examples
///
/// ```
/// use holocast::{Client, Realtime, channel};
///
/// let realtime = Realtime::<()>::new();
/// let client = Client::new("tab-1").with_session("s1").with_user(7);
/// let receipt = realtime.put_subscription(&client, &channel!("room", 42), "page")?.unwrap();
/// assert_eq!(receipt.instance(), "tab-1");
/// assert_eq!(receipt.channel(), &channel!("room", 42));
/// assert_eq!(receipt.cid(), "page");
/// assert_eq!(receipt.user(), Some(&7.into()));
/// assert_eq!(receipt.session(), Some(&"s1".into()));
/// # Ok::<(), holocast::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt(Arc<Claim>);

#[derive(PartialEq, Eq)]
struct Claim {
    instance: Text,
    channel: Channel,
    cid: Cid,
    user: Option<Id>,
    session: Option<Id>,
    stamp: Stamp,
}

impl Receipt {
    /// Of a binding of this client's, made or confirmed by the change with the stamp; `by_user`: its user authorized it.
    pub(crate) fn of(client: &Client, channel: &Channel, cid: &Cid, by_user: bool, stamp: Stamp) -> Self {
        Self::new(
            client.instance().clone(),
            channel.clone(),
            cid.clone(),
            client.user().filter(|_| by_user).cloned(),
            client.session().cloned(),
            stamp,
        )
    }

    pub(crate) fn new(
        instance: Text,
        channel: Channel,
        cid: Cid,
        user: Option<Id>,
        session: Option<Id>,
        stamp: Stamp,
    ) -> Self {
        Receipt(Arc::new(Claim { instance, channel, cid, user, session, stamp }))
    }

    /// The instance whose binding it proves; no other can use it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use holocast::{Client, Realtime, channel};
    /// let realtime = Realtime::<()>::new();
    /// let receipt = realtime.put_subscription(&Client::new("tab-1"), &channel!("lobby"), "page")?.unwrap();
    /// assert_eq!(receipt.instance(), "tab-1");
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn instance(&self) -> &Text {
        &self.0.instance
    }

    /// The channel that is bound.
    ///
    /// # Examples
    ///
    /// ```
    /// # use holocast::{Client, Realtime, channel};
    /// let realtime = Realtime::<()>::new();
    /// let receipt = realtime.put_subscription(&Client::new("tab-1"), &channel!("lobby"), "page")?.unwrap();
    /// assert_eq!(receipt.channel(), &channel!("lobby"));
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn channel(&self) -> &Channel {
        &self.0.channel
    }

    /// The component that is bound.
    ///
    /// # Examples
    ///
    /// ```
    /// # use holocast::{Client, Realtime, channel};
    /// let realtime = Realtime::<()>::new();
    /// let receipt = realtime.put_subscription(&Client::new("tab-1"), &channel!("lobby"), "page")?.unwrap();
    /// assert_eq!(receipt.cid(), "page");
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn cid(&self) -> &Cid {
        &self.0.cid
    }

    /// The user that authorized the binding; nobody for an anonymous visitor's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use holocast::{Client, Realtime, channel};
    /// let realtime = Realtime::<()>::new();
    /// let receipt = realtime.put_subscription(&Client::new("tab-1"), &channel!("lobby"), "page")?.unwrap();
    /// assert_eq!(receipt.user(), None);
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn user(&self) -> Option<&Id> {
        self.0.user.as_ref()
    }

    /// The session it was issued in, if there was one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use holocast::{Client, Realtime, channel};
    /// let realtime = Realtime::<()>::new();
    /// let client = Client::new("tab-1").with_session("s1");
    /// let receipt = realtime.put_subscription(&client, &channel!("lobby"), "page")?.unwrap();
    /// assert_eq!(receipt.session(), Some(&"s1".into()));
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub fn session(&self) -> Option<&Id> {
        self.0.session.as_ref()
    }

    /// When it was issued, in the order of the channel's changes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use holocast::{Client, Realtime, channel};
    /// let realtime = Realtime::<()>::builder().clock(|| 1_700_000_000_000).build()?;
    /// let receipt = realtime.put_subscription(&Client::new("tab-1"), &channel!("lobby"), "page")?.unwrap();
    /// assert_eq!(receipt.stamp().millis(), 1_700_000_000_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stamp(&self) -> Stamp {
        self.0.stamp
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("instance", self.instance())
            .field("channel", self.channel())
            .field("cid", self.cid())
            .field("user", &self.user())
            .field("session", &self.session())
            .field("stamp", &self.stamp())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Element, channel};

    const NOW_MS: u64 = 1_700_000_000_000;

    fn receipt() -> Receipt {
        let channel = channel!("doc", "abc", -7, Element::atom("v2"));
        let stamp = Stamp::next(Stamp::default(), NOW_MS);
        Receipt::new("tab".into(), channel, "page".into(), Some(7.into()), Some("s1".into()), stamp)
    }

    #[test]
    fn r1_a_receipt_is_one_word_and_keeps_its_claim() {
        let receipt = receipt();
        assert_eq!(size_of::<Receipt>(), size_of::<usize>());
        assert_eq!(receipt.clone(), receipt);
        assert_eq!(receipt.user(), Some(&Id::Int(7)));
        assert_eq!(receipt.session(), Some(&Id::from("s1")));
        assert_eq!(receipt.stamp().millis(), NOW_MS);
    }

    #[test]
    fn r3_stamps_grow_even_when_the_clock_stands_or_goes_back() {
        let first = Stamp::next(Stamp::default(), NOW_MS);
        let second = Stamp::next(first, NOW_MS);
        let third = Stamp::next(second, NOW_MS - 10);
        let later = Stamp::next(third, NOW_MS + 1);
        assert_eq!(first.as_u64(), NOW_MS << 16);
        assert_eq!(second.as_u64(), first.as_u64() + 1);
        assert_eq!(third.as_u64(), first.as_u64() + 2);
        assert_eq!(later.as_u64(), (NOW_MS + 1) << 16);
    }

    #[test]
    fn stamps_saturate_at_the_end_of_time() {
        assert_eq!(Stamp::next(Stamp::default(), u64::MAX).as_u64(), u64::MAX);
        assert_eq!(Stamp::next(Stamp(u64::MAX), 0).as_u64(), u64::MAX);
    }
}
