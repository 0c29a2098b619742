//! Section 5 of the rules: receipts and revocations.

use holocast::{Channel, Client, Connection, Identity, Realtime, Receipt, ReceiptError, SigningKey};

use crate::support::{
    Clock, HOUR_MS, bound, connect, engine, lobby, receipts, room, shown, subscribe, tab, tab_of, timed,
};

/// R1
#[test]
fn r1_a_receipt_holds_who_what_where_when_and_by_whose_authority() {
    let (realtime, clock) = timed();
    let mut one = connect(&realtime, &tab_of("i1", 7).with_session("s1"));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    clock.advance(5);
    let mut anonymous = connect(&realtime, &tab("i2"));
    subscribe(&realtime, &Identity::instance("i2"), &room(), "page");
    let (first, second) = (receipts(&mut one).remove(0), receipts(&mut anonymous).remove(0));
    assert_eq!((first.instance().as_str(), first.channel(), first.cid().as_ref()), ("i1", &room(), "page"));
    assert_eq!((first.user(), first.session()), (Some(&7.into()), Some(&"s1".into())));
    assert_eq!((second.user(), second.session()), (None, None));
    assert_eq!(second.stamp().millis() - first.stamp().millis(), 5);
    assert!(second.stamp() > first.stamp());
}

/// One receipt of i1 for the page on room 42, issued as `issued`; who comes back with it as `back` after `between`.
fn restores(issued: &Client, back: &Client, between: impl FnOnce(&Realtime<u64>, &Clock)) -> bool {
    let (realtime, clock) = timed();
    let mut one = connect(&realtime, issued);
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    let kept = receipts(&mut one);
    assert_eq!(kept.len(), 1);
    drop(one);
    between(&realtime, &clock);
    let connected = realtime.reconnect(back, &kept).expect("names are short");
    assert_eq!(connected.receipts.len(), bound(&realtime, back.instance()).len());
    !connected.receipts.is_empty()
}

fn untouched(_: &Realtime<u64>, _: &Clock) {}

/// R2
#[test]
fn r2_a_receipt_is_for_its_instance_and_its_user_and_lives_72_hours() {
    assert!(restores(&tab("i1"), &tab("i1"), untouched));
    assert!(!restores(&tab("i1"), &tab("i2"), untouched), "another instance");
    assert!(restores(&tab("i1"), &tab_of("i1", 7), untouched), "nobody's authorization holds for everybody");
    assert!(restores(&tab_of("i1", 7), &tab_of("i1", 7), untouched));
    assert!(!restores(&tab_of("i1", 7), &tab_of("i1", 8), untouched), "another user");
    assert!(!restores(&tab_of("i1", 7), &tab("i1"), untouched), "logged out");
    assert!(!restores(&tab_of("i1", 7), &tab("i1").with_user("7"), untouched), "user \"7\" is not user 7");
    assert!(
        restores(&tab("i1"), &tab("i1"), |_, clock| clock.advance(72 * HOUR_MS)),
        "no older than its lifetime"
    );
    assert!(!restores(&tab("i1"), &tab("i1"), |_, clock| clock.advance(72 * HOUR_MS + 1)));
}

/// R2, C3: the receipts that a takeover returns are new ones.
#[test]
fn r2_a_receipt_renewed_by_a_takeover_lives_from_then_on() {
    let (realtime, clock) = timed();
    let _first = connect(&realtime, &tab("i1"));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    clock.advance(71 * HOUR_MS);
    let second = realtime.connect(&tab("i1")).expect("names are short");
    assert_eq!((second.superseded, second.receipts.len()), (true, 1));
    drop(second.connection);
    clock.advance(2 * HOUR_MS);
    let third = realtime.reconnect(&tab("i1"), &second.receipts).expect("names are short");
    assert_eq!(third.receipts.len(), 1);
}

/// R2
#[test]
fn r2_a_revocation_of_any_of_the_five_identities_covers_the_receipt() {
    let (anonymous, logged_in) = (tab("i1").with_session("s1"), tab_of("i1", 7).with_session("s1"));
    let (later, others) = (tab_of("i1", 7).with_session("s2"), Identity::user(8));
    let cases = [
        (&logged_in, &later, Identity::instance("i1"), "the instance"),
        (&logged_in, &later, Identity::session("s2"), "the connection's session"),
        (&logged_in, &later, Identity::session("s1"), "the session it was issued in (stricter)"),
        (&anonymous, &later, Identity::user(7), "the connection's user, of an anonymous receipt (stricter)"),
        (&logged_in, &later, Identity::user(7), "the authorizing user"),
    ];
    for (issued, back, identity, what) in cases {
        let one = |realtime: &Realtime<u64>, _: &Clock| {
            realtime.unsubscribe(&identity, &room(), "page").expect("names are short");
        };
        assert!(!restores(issued, back, one), "{what}");
        let all = |realtime: &Realtime<u64>, _: &Clock| {
            realtime.unsubscribe_all(&identity, &room()).expect("names are short");
        };
        assert!(!restores(issued, back, all), "{what}, the whole channel");
        let elsewhere = |realtime: &Realtime<u64>, _: &Clock| {
            realtime.unsubscribe(&identity, &room(), "layout").expect("names are short");
            realtime.unsubscribe_all(&identity, &lobby()).expect("names are short");
            realtime.unsubscribe_all(&others, &room()).expect("names are short");
        };
        assert!(restores(issued, back, elsewhere), "{what}, but another cid, channel or user");
    }
}

/// R2: only revocations at or after the receipt's stamp cover it.
#[test]
fn r2_a_receipt_newer_than_the_revocation_is_valid() {
    let (realtime, _clock) = timed();
    realtime.unsubscribe_all(&Identity::user(7), &room()).expect("names are short");
    realtime.unsubscribe(&Identity::user(7), &room(), "page").expect("names are short");
    let mut one = connect(&realtime, &tab_of("i1", 7));
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    let kept = receipts(&mut one);
    drop(one);
    assert_eq!(realtime.stats().revocations, 2, "those of another identity stay");
    let back = realtime.reconnect(&tab_of("i1", 7), &kept).expect("names are short");
    assert_eq!(shown(&back.receipts), ["{:room, 42} page by 7"]);
}

/// R2: also when the channel was forgotten in between and the clock stands still.
#[test]
fn r2_an_unsubscribe_covers_receipts_of_a_channel_that_was_empty_in_between() {
    let (realtime, _clock) = timed();
    let mut one = connect(&realtime, &tab("i1"));
    for _ in 0..10 {
        subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    }
    let kept = receipts(&mut one);
    drop(one);
    assert_eq!(realtime.stats().channels, 0);
    realtime.unsubscribe(&Identity::instance("i1"), &room(), "page").expect("names are short");
    assert!(realtime.reconnect(&tab("i1"), &kept).expect("names are short").receipts.is_empty());
}

/// R3
#[test]
fn r3_a_tie_goes_to_the_revocation() {
    let clock = Clock::new();
    let node = || Realtime::<u64>::builder().clock(clock.read()).build().expect("the settings are valid");
    // Two nodes whose clocks stand at the same instant: the first change on a channel gets the same stamp on both.
    let (first, second, third) = (node(), node(), node());
    let kept = first.put_subscription(&tab("i1"), &room(), "page").expect("names are short");
    let kept = [kept.expect("it was not held")];
    let same = second.put_subscription(&tab("i1"), &room(), "page").expect("names are short");
    assert_eq!(same.expect("it was not held").stamp(), kept[0].stamp(), "the premise: a tie");
    third.unsubscribe(&Identity::instance("i1"), &room(), "page").expect("names are short");
    let restored = second.reconnect(&tab("i1"), &kept).expect("names are short").receipts;
    assert_eq!(shown(&restored), ["{:room, 42} page"], "without a revocation it is valid");
    assert!(third.reconnect(&tab("i1"), &kept).expect("names are short").receipts.is_empty());
}

/// R4
#[test]
fn r4_a_revocation_is_kept_for_the_lifetime_and_then_given_back() {
    let (realtime, clock) = timed();
    let nobody = Identity::user("nobody");
    realtime.unsubscribe(&nobody, &room(), "page").expect("names are short");
    clock.advance(HOUR_MS);
    realtime.unsubscribe_all(&nobody, &lobby()).expect("names are short");
    clock.advance(71 * HOUR_MS);
    assert_eq!(
        (realtime.sweep(), realtime.stats().revocations),
        (0, 2),
        "a receipt of that age is still valid"
    );
    clock.advance(1);
    assert_eq!((realtime.sweep(), realtime.stats().revocations), (1, 1));
    assert_eq!(realtime.stats().channels, 1, "and with it the channel");
    clock.advance(HOUR_MS);
    assert_eq!((realtime.sweep(), realtime.stats().revocations, realtime.stats().channels), (1, 0, 0));
    assert_eq!(realtime.sweep(), 0);
}

/// R4: an unsubscribe that is renewed lives as long as its last time.
#[test]
fn r4_a_renewed_revocation_expires_after_its_renewal() {
    let (realtime, clock) = timed();
    let nobody = Identity::user("nobody");
    realtime.unsubscribe(&nobody, &room(), "page").expect("names are short");
    clock.advance(40 * HOUR_MS);
    realtime.unsubscribe(&nobody, &room(), "page").expect("names are short");
    clock.advance(40 * HOUR_MS);
    assert_eq!((realtime.sweep(), realtime.stats().revocations), (0, 1));
    clock.advance(33 * HOUR_MS);
    assert_eq!((realtime.sweep(), realtime.stats().revocations), (1, 0));
}

/// R4: nobody calls `sweep` here.
#[test]
fn r4_expiry_needs_no_background_thread_and_no_sweep() {
    let (realtime, clock) = timed();
    let nobody = Identity::user("nobody");
    for n in 0..5_000 {
        realtime.unsubscribe(&nobody, &room(), n.to_string()).expect("names are short");
        realtime.unsubscribe(&nobody, &Channel::atom(format!("room_{n}")), "page").expect("names are short");
        clock.advance(HOUR_MS);
    }
    let stats = realtime.stats();
    assert!(
        stats.revocations < 1_000 && stats.channels < 1_000,
        "146 are young enough, {} are kept",
        stats.revocations
    );
}

fn signing(seed: u8) -> SigningKey {
    SigningKey::new([seed; 32]).expect("32 bytes are enough")
}

fn signer(clock: &Clock, seeds: &[u8]) -> Realtime<u64> {
    let keys = seeds.iter().map(|seed| signing(*seed));
    Realtime::builder().clock(clock.read()).signing_keys(keys).build().expect("the settings are valid")
}

fn one_receipt(realtime: &Realtime<u64>) -> (Connection<u64>, Receipt) {
    let mut one = connect(realtime, &tab_of("i1", 7).with_session("s1"));
    subscribe(realtime, &Identity::instance("i1"), &room(), "page");
    let receipt = receipts(&mut one).remove(0);
    (one, receipt)
}

/// R5
#[test]
fn r5_a_token_carries_the_receipt_and_any_change_to_it_is_refused() {
    let realtime = signer(&Clock::new(), &[1]);
    let (_one, receipt) = one_receipt(&realtime);
    let token = realtime.sign(&receipt).expect("there is a key");
    assert_eq!(realtime.verify(&token), Ok(receipt));
    let is_error = |text: &str| realtime.verify(text).is_err();
    for cut in 0..token.len() {
        assert!(is_error(&token[..cut]), "cut to {cut}");
        assert!(is_error(&token[cut + 1..]), "without its first {}", cut + 1);
        for other in ["A", "z", "_", "."] {
            let forged = format!("{}{other}{}", &token[..cut], &token[cut + 1..]);
            assert!(forged == token || is_error(&forged), "{forged}");
        }
        assert!(is_error(&format!("{}A{}", &token[..cut], &token[cut..])), "lengthened at {cut}");
    }
    assert_eq!(realtime.verify(""), Err(ReceiptError::Malformed));
    let newer = token.replacen("hc1.", "hc2.", 1);
    assert_eq!(realtime.verify(&newer), Err(ReceiptError::UnsupportedVersion { version: 2 }));
}

/// R5
#[test]
fn r5_keys_rotate_the_newest_signs_and_all_verify() {
    let clock = Clock::new();
    let (old, both, new) = (signer(&clock, &[1]), signer(&clock, &[2, 1]), signer(&clock, &[2]));
    let (_one, receipt) = one_receipt(&old);
    let token = old.sign(&receipt).expect("there is a key");
    assert_eq!(both.verify(&token), Ok(receipt.clone()));
    assert_eq!(new.verify(&token), Err(ReceiptError::BadSignature));
    let renewed = both.sign(&receipt).expect("there is a key");
    assert_eq!(new.verify(&renewed), Ok(receipt.clone()));
    assert_eq!(old.verify(&renewed), Err(ReceiptError::BadSignature));
    old.set_signing_keys(vec![signing(2)]);
    assert_eq!(old.verify(&renewed), Ok(receipt.clone()));
    assert_eq!(old.verify(&token), Err(ReceiptError::BadSignature));
    assert_eq!(engine().sign(&receipt), Err(ReceiptError::NoKey));
    assert!(engine().verify(&token).is_err());
}

/// R5
#[test]
fn r5_an_expired_token_is_refused_and_a_verified_one_is_still_subject_to_revocation() {
    let clock = Clock::new();
    let realtime = signer(&clock, &[1]);
    let (one, receipt) = one_receipt(&realtime);
    let token = realtime.sign(&receipt).expect("there is a key");
    drop(one);
    realtime.unsubscribe(&Identity::session("s1"), &room(), "page").expect("names are short");
    let verified = realtime.verify(&token).expect("genuine and young");
    let back = realtime.reconnect(&tab_of("i1", 7).with_session("s2"), &[verified]).expect("names are short");
    assert!(back.receipts.is_empty());
    clock.advance(72 * HOUR_MS);
    assert_eq!(realtime.verify(&token), Ok(receipt));
    clock.advance(1);
    assert!(matches!(realtime.verify(&token), Err(ReceiptError::Expired { .. })));
}
