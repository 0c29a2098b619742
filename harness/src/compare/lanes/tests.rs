//! All work once, with few connections: it asserts itself that nothing is lost.

use std::time::Duration;

use super::super::parked::Flavour;
use super::super::turns::Sample;
use super::super::world::Contestant;
use super::{LANES, Lanes, TWO_LANES};

/// An odd number, so that two lanes have not the same.
const MEMBERS: usize = 101;

fn all(lanes: usize, name: &str) {
    let mut contestant: Box<dyn Contestant> = Box::new(Lanes::new(MEMBERS, lanes));
    assert_eq!((contestant.name(), contestant.lanes()), (name, lanes));
    for _ in 0..2 {
        for sample in [contestant.fan_out(8, 1_000), contestant.except(1_000), contestant.hot(1_000)] {
            assert!(matches!(sample, Sample::Delivery { total_ns, .. } if total_ns > 0.0), "{sample:?}");
        }
        assert!(matches!(contestant.two_threads(), Sample::Total(ns) if ns > 0.0));
        assert!(contestant.apart(8).1 > 0.0);
        let (median, worst) = contestant.calls(8, 2);
        assert!(median <= worst);
        let (left, came) = contestant.change();
        assert!(left > 0.0 && came > 0.0);
        assert!(!contestant.churn(true, Duration::from_millis(5)).is_empty());
        contestant.shuffle();
    }
    for flavour in [Flavour::CurrentThread, Flavour::MultiThread] {
        let mut tasks = contestant.park(flavour);
        assert!(tasks.name() == name && matches!(tasks.round(1_000), Sample::Total(ns) if ns > 0.0));
        contestant = tasks.unpark();
    }
    assert!(matches!(contestant.fan_out(1, 1_000), Sample::Delivery { .. }));
}

#[test]
fn one_lane_does_all_work() {
    all(1, LANES);
}

#[test]
fn two_lanes_do_all_work() {
    all(2, TWO_LANES);
}
