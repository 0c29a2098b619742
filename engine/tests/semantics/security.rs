//! Ways back in: what a client may try with its receipts after it was kicked out, one test for each way (rules C2, C3, R2), and what
//! another user may try to hear (C3, C5). docs/security.md has the list, with the tests of other files.

use std::any::Any;
use std::sync::Barrier;
use std::thread;

use holocast::{Client, Connection, Identity, Realtime, Receipt, channel};

use crate::support::{
    bound, broadcast, connect, engine, key, lobby, receipts, room, shown, subscribe, tab, tab_of,
};

mod users;

/// Tab i1 of user 7 in session s1.
fn me() -> Client {
    tab_of("i1", 7).with_session("s1")
}

/// The same tab, logged out.
fn anonymous() -> Client {
    tab("i1").with_session("s1")
}

/// The identities that match it.
fn identities() -> [Identity; 3] {
    [Identity::instance("i1"), Identity::session("s1"), Identity::user(7)]
}

/// The tab, bound to the room by `client`'s authorization, with the receipt that it keeps.
fn bound_as(client: &Client) -> (Realtime<u64>, Connection<u64>, Vec<Receipt>) {
    let realtime = engine();
    let mut tab = connect(&realtime, client);
    subscribe(&realtime, &Identity::instance("i1"), &room(), "page");
    let kept = receipts(&mut tab);
    assert_eq!(kept.len(), 1);
    (realtime, tab, kept)
}

fn kick(realtime: &Realtime<u64>, identity: &Identity, channel_wide: bool) {
    let matched = if channel_wide {
        realtime.unsubscribe_all(identity, &room())
    } else {
        realtime.unsubscribe(identity, &room(), "page")
    };
    matched.expect("names are short");
}

/// What a client does after the kick, with its connection and its receipts; what it holds at the end.
type Way = fn(&Realtime<u64>, Connection<u64>, &[Receipt]) -> Box<dyn Any>;

fn back(realtime: &Realtime<u64>, client: &Client, receipts: &[Receipt]) -> Connection<u64> {
    realtime.reconnect(client, receipts).expect("names are short").connection
}

/// The way leads in if nobody was kicked, and after no kind of kick.
fn leads_in_only_before_a_kick(way: Way) {
    let (realtime, tab, kept) = bound_as(&me());
    let held = way(&realtime, tab, &kept);
    assert_eq!(bound(&realtime, "i1"), ["{:room, 42} page by 7"], "without a kick");
    drop(held);
    for identity in identities() {
        for channel_wide in [false, true] {
            let (realtime, tab, kept) = bound_as(&me());
            kick(&realtime, &identity, channel_wide);
            let _held = way(&realtime, tab, &kept);
            assert_eq!(bound(&realtime, "i1"), [""; 0], "{identity:?}, channel-wide: {channel_wide}");
            assert_eq!(broadcast(&realtime, &room(), 1), (0, 0), "{identity:?}");
        }
    }
}

/// R2
#[test]
fn r2_rotating_the_session_is_no_way_back() {
    leads_in_only_before_a_kick(|realtime, tab, kept| {
        realtime.identify(&tab_of("i1", 7).with_session("s2")).expect("names are short");
        drop(tab);
        Box::new(back(realtime, &tab_of("i1", 7).with_session("s3"), kept))
    });
}

/// R2, C5
#[test]
fn r2_logging_out_and_in_is_no_way_back() {
    leads_in_only_before_a_kick(|realtime, tab, kept| {
        realtime.identify(&anonymous()).expect("names are short");
        realtime.identify(&me()).expect("names are short");
        drop(tab);
        Box::new(back(realtime, &me(), kept))
    });
}

/// R2, C5
#[test]
fn r2_logging_in_as_another_user_and_back_is_no_way_back() {
    leads_in_only_before_a_kick(|realtime, tab, kept| {
        realtime.identify(&tab_of("i1", 8).with_session("s1")).expect("names are short");
        drop(tab);
        drop(back(realtime, &tab_of("i1", 8), kept));
        assert_eq!(broadcast(realtime, &room(), 1), (0, 0), "the receipt is not for user 8");
        Box::new(back(realtime, &me(), kept))
    });
}

/// C3
#[test]
fn c3_superseding_oneself_with_an_old_receipt_is_no_way_back() {
    leads_in_only_before_a_kick(|realtime, tab, kept| {
        let second = back(realtime, &me(), kept);
        Box::new((back(realtime, &me().with_session("s2"), kept), second, tab))
    });
}

/// R2: nor are the same one twice, or the one of before with a fresh one of its own kind.
#[test]
fn r2_presenting_a_receipt_twice_is_no_way_back() {
    leads_in_only_before_a_kick(|realtime, tab, kept| {
        drop(tab);
        let connected = realtime.reconnect(&me(), &[kept, kept].concat()).expect("names are short");
        let all = [kept, &connected.receipts, kept].concat();
        drop(connected);
        drop(back(realtime, &me(), &all));
        Box::new(back(realtime, &me(), &all))
    });
}

/// C2 and C3, on lanes
#[test]
fn c2_a_lane_is_no_way_back() {
    leads_in_only_before_a_kick(|realtime, tab, kept| {
        let mut lane = realtime.lane();
        // First as a guest, in the place of the live one.
        let guest = lane.reconnect(&me(), kept, 1).expect("names are short");
        assert!(guest.superseded && lane.disconnect(guest.key));
        let own = lane.reconnect(&me(), kept, 2).expect("names are short");
        assert!(lane.disconnect(own.key));
        let mut other = realtime.lane();
        other.reconnect(&me(), kept, 3).expect("names are short");
        Box::new((lane, other, tab))
    });
}

/// S9: what a handler puts and never commits is nothing, and what it commits brings back nothing else.
#[test]
fn s9_a_handler_is_no_way_back() {
    for identity in identities() {
        let (realtime, tab, kept) = bound_as(&me());
        kick(&realtime, &identity, true);
        let mut handler = realtime.handler(&me());
        handler.put_subscription(&room(), "page").expect("names are short");
        drop(handler);
        let mut handler = realtime.handler(&me());
        handler.put_subscription(&room(), "layout").expect("names are short");
        let granted = handler.commit().expect("names are short").receipts;
        assert_eq!(shown(&granted), ["{:room, 42} layout by 7"]);
        drop(tab);
        let all = [&kept[..], &granted].concat();
        let _tab = back(&realtime, &me(), &all);
        assert_eq!(bound(&realtime, "i1"), ["{:room, 42} layout by 7"], "{identity:?}");
    }
}

/// S8: claims are what the client says that it holds; they are compared, and bind nothing.
#[test]
fn s8_claims_of_a_transition_are_no_way_back() {
    for live in [true, false] {
        for channel_wide in [false, true] {
            let (realtime, tab, kept) = bound_as(&me());
            kick(&realtime, &Identity::user(7), channel_wide);
            let tab = live.then_some(tab);
            let next = [key(lobby(), "page")];
            let transition = realtime.transition(&me(), &next, &kept).expect("names are short");
            assert_eq!(shown(&transition.receipts), [":lobby page by 7"]);
            assert_eq!(transition.gone, [key(room(), "page")], "the client is told to forget it");
            drop(tab);
            let all = [&kept[..], &transition.receipts].concat();
            let _tab = back(&realtime, &me(), &all);
            assert_eq!(bound(&realtime, "i1"), [":lobby page by 7"]);
        }
    }
}

/// S2, R2: only who was kicked is let in again by a grant, whoever else is granted the same.
#[test]
fn s2_a_grant_to_one_identity_is_no_way_back_for_another() {
    for (kicked, identity) in identities().iter().enumerate() {
        for (granted, other) in identities().iter().chain([&Identity::user(8)]).enumerate() {
            for channel_wide in [false, true] {
                let (realtime, tab, kept) = bound_as(&me());
                drop(tab);
                kick(&realtime, identity, channel_wide);
                // Somebody else's tab is there for it.
                let _eight = connect(&realtime, &tab_of("i2", 8));
                subscribe(&realtime, other, &room(), "page");
                let restored = realtime.reconnect(&me(), &kept).expect("names are short").receipts;
                assert_eq!(restored.len(), usize::from(kicked == granted), "{identity:?} and {other:?}");
            }
        }
    }
}

/// R1 and R2
#[test]
fn r2_a_receipt_is_worth_nothing_to_another_instance_wherever_it_is_presented() {
    let (realtime, tab, kept) = bound_as(&me());
    let other = tab_of("i2", 7).with_session("s1");
    let _first = back(&realtime, &other, &kept);
    let _second = back(&realtime, &other, &kept);
    let mut lane = realtime.lane();
    let connected = lane.reconnect(&tab_of("i3", 7).with_session("s1"), &kept, 3).expect("names are short");
    assert!(connected.receipts.is_empty());
    let next = [key(room(), "page")];
    let transition = realtime.transition(&tab_of("i4", 7), &next, &kept).expect("names are short");
    assert_eq!(transition.receipts.len(), 1, "another's receipt is no claim");
    assert_eq!(broadcast(&realtime, &room(), 1), (1, 0), "i1 alone");
    drop(tab);
    assert_eq!(broadcast(&realtime, &room(), 2), (0, 0));
}

/// R2: an anonymous grant holds for whoever the tab becomes, and so does its revocation by the tab, the session, or that user.
#[test]
fn r2_logging_in_with_an_anonymous_receipt_is_no_way_back() {
    for identity in identities() {
        for channel_wide in [false, true] {
            let (realtime, tab, kept) = bound_as(&anonymous());
            realtime.identify(&me()).expect("names are short");
            assert_eq!(bound(&realtime, "i1"), ["{:room, 42} page"]);
            kick(&realtime, &identity, channel_wide);
            drop(tab);
            let _tab = back(&realtime, &tab_of("i1", 7).with_session("s2"), &kept);
            assert_eq!(bound(&realtime, "i1"), [""; 0], "{identity:?}");
        }
    }
}

/// R2, and a limit of it: the kick of a user says nothing about who holds an anonymous receipt and is that user no more. Who must stay
/// out whoever they are is kicked by instance or session.
#[test]
fn r2_a_users_kick_does_not_cover_an_anonymous_receipt_presented_by_nobody() {
    for (identity, comes_back) in identities().iter().zip([false, false, true]) {
        let (realtime, tab, kept) = bound_as(&anonymous());
        realtime.identify(&me()).expect("names are short");
        kick(&realtime, identity, true);
        drop(tab);
        let _tab = back(&realtime, &anonymous().with_session("s2"), &kept);
        assert_eq!(!bound(&realtime, "i1").is_empty(), comes_back, "{identity:?}");
    }
}

/// Kicks beside what the client does, in every round on another channel; then tries all receipts that it ever got.
fn races(
    rounds: i64,
    act: impl Fn(&Realtime<u64>, i64) -> (Vec<Receipt>, Box<dyn Any>) + Sync,
    kicks: &[Identity],
) {
    let realtime = engine();
    for round in 0..rounds {
        let room = channel!("room", round);
        let mut tab = connect(&realtime, &me());
        subscribe(&realtime, &Identity::instance("i1"), &room, "page");
        let mut kept = receipts(&mut tab);
        let start = Barrier::new(2);
        let (more, held) = thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                let identity = &kicks[round as usize % kicks.len()];
                if round % 2 == 0 {
                    realtime.unsubscribe(identity, &room, "page").expect("names are short");
                } else {
                    realtime.unsubscribe_all(identity, &room).expect("names are short");
                }
            });
            start.wait();
            act(&realtime, round)
        });
        assert!(bound(&realtime, "i1").is_empty(), "round {round}: {:?}", bound(&realtime, "i1"));
        assert!(realtime.members_of(&room).is_empty(), "round {round}");
        kept.extend(more);
        kept.extend(receipts(&mut tab));
        drop((held, tab));
        realtime.disconnect("i1");
        assert!(
            realtime.reconnect(&me(), &kept).expect("names are short").receipts.is_empty(),
            "round {round}: one of {} receipts is valid",
            kept.len()
        );
    }
    assert_eq!(realtime.stats().members, 0);
}

/// C3, S5
#[test]
fn s5_no_supersede_saves_a_binding_from_a_kick_beside_it() {
    let act = |realtime: &Realtime<u64>, _| {
        let mut connected = realtime.connect(&me()).expect("names are short");
        let mut told = connected.receipts;
        told.extend(receipts(&mut connected.connection));
        (told, Box::new(connected.connection) as Box<dyn Any>)
    };
    races(600, act, &identities());
}

/// C3, S5
#[test]
fn s5_no_takeover_by_a_lane_saves_a_binding_from_a_kick_beside_it() {
    let act = |realtime: &Realtime<u64>, round| {
        let mut lane = realtime.lane();
        let connected = lane.connect(&me(), round as u64).expect("names are short");
        (connected.receipts, Box::new(lane) as Box<dyn Any>)
    };
    races(600, act, &identities());
}

/// C5, C6, S5: by an identity that stays the tab's own.
#[test]
fn s5_no_change_of_user_or_session_saves_a_binding_from_a_kick_beside_it() {
    let sessions = |realtime: &Realtime<u64>, _| {
        for session in ["s2", "s1"] {
            realtime.identify(&tab_of("i1", 7).with_session(session)).expect("names are short");
        }
        (vec![], Box::new(()) as Box<dyn Any>)
    };
    races(400, sessions, &[Identity::instance("i1"), Identity::user(7)]);
    let users = |realtime: &Realtime<u64>, _| {
        for client in [anonymous(), me()] {
            realtime.identify(&client).expect("names are short");
        }
        (vec![], Box::new(()) as Box<dyn Any>)
    };
    races(400, users, &[Identity::instance("i1"), Identity::session("s1")]);
}
