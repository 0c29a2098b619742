//! Shutdown beside connects, takeovers and lanes, as `loom_tests.rs`.

use crate::loom_tests::{channel, drain, engine, explore, race, tab};
use crate::{CloseReason, Error, Event, LaneEvent};

/// C7: a connect beside a shutdown is refused, or its connection is told.
/// Fails if a connect does not look at the latch again, or a shutdown shuts it last.
#[test]
fn c7_a_connect_beside_a_shutdown_is_refused_or_told() {
    explore("connect/shutdown", 3, || {
        let realtime = engine();
        let (connecting, ending) = (realtime.clone(), realtime.clone());
        let (connected, told) = race(move || connecting.connect(&tab("i")), move || ending.shutdown());
        assert_eq!(realtime.stats().connections, 0);
        match connected {
            Ok(mut connected) => {
                assert_eq!(told, 1);
                let events = drain(&mut connected.connection);
                assert!(matches!(&events[..], [Event::Closed(CloseReason::Shutdown)]), "{events:?}");
            }
            Err(error) => assert_eq!(error, Error::ShutDown),
        }
    });
}

/// C7: a tab that is taken over beside a shutdown is told, whoever has it in the end.
/// Fails if a shutdown ends only the tenancy of the receiver that it has seen.
#[test]
fn c7_a_takeover_beside_a_shutdown_is_told() {
    explore("supersede/shutdown", 3, || {
        let realtime = engine();
        let mut old = realtime.connect(&tab("i")).unwrap().connection;
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let (connecting, ending) = (realtime.clone(), realtime.clone());
        let (connected, told) = race(move || connecting.connect(&tab("i")), move || ending.shutdown());
        assert_eq!((told, realtime.stats().connections, realtime.stats().members), (1, 0, 0));
        let last = match connected {
            Ok(mut new) => {
                assert!(new.superseded);
                assert!(matches!(&drain(&mut old)[..], [Event::Closed(CloseReason::Superseded)]));
                drain(&mut new.connection)
            }
            Err(error) => {
                assert_eq!(error, Error::ShutDown);
                drain(&mut old)
            }
        };
        assert!(matches!(&last[..], [Event::Broadcast(_), Event::Closed(CloseReason::Shutdown)]), "{last:?}");
    });
}

/// C7, L1: a tab on a lane that another receiver takes over beside a shutdown is told, after what waited in the lane.
/// Fails if a lane ends only the tenancies that it still serves.
#[test]
fn c7_a_takeover_from_a_lane_beside_a_shutdown_is_told() {
    explore("lane: supersede/shutdown", 3, || {
        let realtime = engine();
        let mut lane = realtime.lane();
        lane.connect(&tab("i"), 42).unwrap();
        realtime.put_subscription(&tab("i"), &channel(), "a").unwrap();
        realtime.broadcast_action(&channel(), "x", 1).unwrap();
        let (connecting, ending) = (realtime.clone(), realtime.clone());
        let (connected, told) = race(move || connecting.connect(&tab("i")), move || ending.shutdown());
        assert_eq!(told, 1);
        let mut of_lane = Vec::new();
        while let Some(event) = lane.try_recv() {
            of_lane.push(match event {
                LaneEvent::Broadcast(mut batch) => batch.receivers().map(|_| "message").collect(),
                LaneEvent::One(42, Event::Closed(CloseReason::Shutdown)) => "shutdown".to_owned(),
                LaneEvent::One(42, Event::Closed(CloseReason::Superseded)) => "superseded".to_owned(),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(realtime.stats().connections, 0);
        match connected {
            Ok(mut new) => {
                let events = drain(&mut new.connection);
                assert!(
                    matches!(&events[..], [Event::Broadcast(_), Event::Closed(CloseReason::Shutdown)]),
                    "{events:?}"
                );
                assert_eq!(of_lane, ["superseded"]);
            }
            Err(error) => {
                assert_eq!(error, Error::ShutDown);
                assert_eq!(of_lane, ["message", "shutdown"]);
            }
        }
    });
}
