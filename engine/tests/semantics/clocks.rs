//! Clocks that stand at their ends, jump and go back: no stamp goes backwards, and rules R2 to R4 hold.

use holocast::{Channel, Client, Identity, Realtime, Receipt, SigningKey, Stamp, channel};

use crate::support::{Clock, HOUR_MS, lobby, room, tab, tab_of};

const LIFETIME_MS: u64 = 72 * HOUR_MS;
/// 2025.
const NOW_MS: u64 = 1_750_000_000_000;
/// The last millisecond that a stamp tells.
const LAST_MS: u64 = u64::MAX >> 16;

/// The ends of the clock, of stamps and of a lifetime.
const EDGES: [u64; 14] = [
    0,
    1,
    LIFETIME_MS - 1,
    LIFETIME_MS,
    LIFETIME_MS + 1,
    NOW_MS,
    NOW_MS + LIFETIME_MS + 1,
    LAST_MS - LIFETIME_MS - 1,
    LAST_MS - 1,
    LAST_MS,
    LAST_MS + 1,
    LAST_MS + LIFETIME_MS + 2,
    u64::MAX - 1,
    u64::MAX,
];

fn engine(clock: &Clock) -> Realtime<u64> {
    let key = SigningKey::new([1; 32]).expect("32 bytes are enough");
    Realtime::builder().clock(clock.read()).signing_keys([key]).build().expect("the settings are valid")
}

/// A receipt for the page, of an instance that is not live.
fn issued(realtime: &Realtime<u64>, client: &Client, channel: &Channel) -> Receipt {
    realtime.put_subscription(client, channel, "page").expect("names are short").expect("it was not held")
}

/// Whether the receipt restores its binding now.
fn restores(realtime: &Realtime<u64>, receipt: &Receipt) -> bool {
    let back = Client::from_parts(receipt.instance().clone(), None, receipt.user().cloned());
    let connected = realtime.reconnect(&back, std::slice::from_ref(receipt)).expect("names are short");
    connected.receipts.len() == 1
}

/// R2, R3, R5: wherever the clock stands, what was issued now is valid now, until it is revoked.
#[test]
fn r2_r3_receipts_and_revocations_hold_at_every_edge_of_the_clock() {
    for now_ms in EDGES {
        let clock = Clock::new();
        clock.set(now_ms);
        let realtime = engine(&clock);
        let receipt = issued(&realtime, &tab_of("i1", 7), &room());
        assert!(restores(&realtime, &receipt), "issued at {now_ms}");
        let token = realtime.sign(&receipt).expect("there is a key");
        assert_eq!(realtime.verify(&token).as_ref(), Ok(&receipt), "issued at {now_ms}");
        assert_eq!(receipt.stamp().millis(), now_ms.min(LAST_MS));
        realtime.unsubscribe_all(&Identity::user(7), &room()).expect("names are short");
        assert!(!restores(&realtime, &receipt), "revoked at {now_ms}");
        let other = issued(&realtime, &tab_of("i2", 7), &lobby());
        realtime.unsubscribe(&Identity::user(7), &lobby(), "page").expect("names are short");
        assert!(!restores(&realtime, &other), "revoked at {now_ms}");
        assert_eq!(realtime.stats().revocations, 2);
        // S2: a re-grant supersedes the unsubscribe, also when time has come to its end.
        realtime.subscribe(&Identity::user(7), &lobby(), "page").expect("names are short");
        let regranted = issued(&realtime, &tab_of("i3", 7), &lobby());
        assert!(restores(&realtime, &regranted), "granted anew at {now_ms}");
    }
}

/// R2, R3, R4: from every edge to every other and back, with a channel that lives on and one that comes and goes.
#[test]
fn r2_r3_r4_no_jump_of_the_clock_turns_a_stamp_back_or_revives_what_was_revoked() {
    for from in EDGES {
        for to in EDGES {
            let clock = Clock::new();
            clock.set(from);
            let realtime = engine(&clock);
            let (room, gone) = (room(), channel!("gone"));
            let _held = realtime.connect(&tab("held")).expect("names are short");
            realtime.put_subscription(&tab("held"), &room, "page").expect("names are short");
            let mut stamps: Vec<(Stamp, Stamp)> = Vec::new();
            let mut revoked: Vec<Receipt> = Vec::new();
            for (turn, now_ms) in [from, to, from, to, from].into_iter().enumerate() {
                clock.set(now_ms);
                let name = format!("i{turn}");
                let receipts = [&room, &gone].map(|channel| issued(&realtime, &tab_of(&name, 7), channel));
                stamps.push((receipts[0].stamp(), receipts[1].stamp()));
                realtime.unsubscribe_all(&Identity::instance(name.as_str()), &room).expect("names are short");
                realtime.unsubscribe(&Identity::user(7), &gone, "page").expect("names are short");
                revoked.extend(receipts);
                realtime.sweep();
                for receipt in &revoked {
                    assert!(!restores(&realtime, receipt), "{from}, {to}: {receipt:?} at {now_ms}");
                }
                assert!(realtime.stats().revocations <= 2 * turn as u64 + 2);
            }
            let sorted = |of: fn(&(Stamp, Stamp)) -> Stamp| stamps.iter().map(of).is_sorted();
            assert!(sorted(|pair| pair.0) && sorted(|pair| pair.1), "{from}, {to}: {stamps:?}");
        }
    }
}

/// R4: a revocation that was recorded at an edge is kept for a lifetime of the clock, and then given back.
#[test]
fn r4_revocations_of_every_edge_expire_when_their_lifetime_is_over() {
    for now_ms in EDGES.into_iter().filter(|now_ms| *now_ms < LAST_MS - LIFETIME_MS) {
        let clock = Clock::new();
        clock.set(now_ms);
        let realtime = engine(&clock);
        realtime.unsubscribe(&Identity::user(7), &room(), "page").expect("names are short");
        clock.set(0);
        assert_eq!((realtime.sweep(), realtime.stats().revocations), (0, 1), "kept when the clock goes back");
        clock.set(now_ms + LIFETIME_MS);
        assert_eq!((realtime.sweep(), realtime.stats().revocations), (0, 1), "recorded at {now_ms}");
        clock.set(now_ms + LIFETIME_MS + 1);
        assert_eq!((realtime.sweep(), realtime.stats().revocations), (1, 0), "recorded at {now_ms}");
        assert_eq!(realtime.stats().channels, 0);
    }
}

/// R2, R4: a clock that once ran far ahead, and made revocations expire, does not keep new receipts from being valid after it was set right.
#[test]
fn r2_receipts_are_valid_after_a_clock_that_ran_ahead_was_set_right() {
    let clock = Clock::new();
    let realtime = engine(&clock);
    // The lobby lives on: its last change is of before, whatever the clock says meanwhile.
    let _held = realtime.connect(&tab("held")).expect("names are short");
    realtime.put_subscription(&tab("held"), &lobby(), "page").expect("names are short");
    let before = issued(&realtime, &tab("i0"), &lobby());
    realtime.unsubscribe(&Identity::user(7), &room(), "page").expect("names are short");
    clock.set(NOW_MS + 10 * LIFETIME_MS);
    assert_eq!(realtime.sweep(), 1);
    clock.set(NOW_MS + HOUR_MS);
    for (name, channel) in [("i1", room()), ("i2", lobby()), ("i3", channel!("new"))] {
        let receipt = issued(&realtime, &tab(name), &channel);
        assert!(restores(&realtime, &receipt), "{receipt:?}");
    }
    assert!(!restores(&realtime, &before), "it may have been revoked by what has expired");
}

/// R2, R4: a clock that once ran ahead expires for good only where it gave a revocation back.
#[test]
fn r2_a_clock_that_ran_ahead_and_gave_nothing_back_expires_nothing_for_good() {
    let clock = Clock::new();
    let realtime = engine(&clock);
    let before = issued(&realtime, &tab("i0"), &lobby());
    clock.set(NOW_MS + LIFETIME_MS + HOUR_MS);
    // The second change of the room looks at the first one's revocation, which has not expired.
    for _ in 0..2 {
        realtime.unsubscribe(&Identity::user(7), &room(), "page").expect("names are short");
    }
    assert!(!restores(&realtime, &before), "by the clock");
    clock.set(NOW_MS + 2 * HOUR_MS);
    assert!(restores(&realtime, &before));
}
