//! The engine with lanes: one or two consumers for the whole crowd, and the same work as everybody's.
//!
//! * `drain`: what a consumer does with what it takes; `parked`: one task a lane.

mod drain;
mod parked;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use holocast::{Channel, Lane, channel};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::parked::{Flavour, Parked};
use super::peer::Peer;
use super::peers::Holocast;
use super::rounds::Slices;
use super::turns::Sample;
use super::two_threads::Round;
use super::world::Contestant;
use super::{churn, rounds, two_threads};
use drain::{drain_all, drain_until, take};

/// One lane for all connections.
pub(super) const LANES: &str = "lanes";
/// Two lanes, every other connection on each.
pub(super) const TWO_LANES: &str = "two-lanes";

/// Names, and what they are.
pub(super) const LEGEND: [(&str, &str); 2] = [
    (LANES, "this engine: one lane for all connections, which one consumer walks"),
    (TWO_LANES, "this engine: two lanes, every other connection on each; where there are two threads"),
];

pub(super) struct Lanes {
    engine: Holocast,
    lanes: Vec<Lane<u64>>,
    members: usize,
    room: Channel,
}

impl Lanes {
    /// Everybody is connected and in the room, in the order of their numbers; one guest is in no room.
    pub(super) fn new(members: usize, lanes: usize) -> Self {
        let engine = Holocast::new(members + 1);
        let mut lanes: Vec<Lane<u64>> = (0..lanes).map(|_| engine.realtime.lane()).collect();
        let room = channel!("room", 1);
        let count = lanes.len();
        for number in 0..=members {
            lanes[number % count]
                .connect(&Holocast::client(number), number as u64)
                .expect("names within the limits");
        }
        (0..members).for_each(|number| engine.put(&room, number));
        let mut lanes = Lanes { engine, lanes, members, room };
        lanes.forget_events();
        lanes
    }

    fn forget_events(&mut self) {
        drain_all(&mut self.lanes);
    }

    /// Publishes in bursts, and after each the lanes are drained; `but` members are left out.
    fn rounds(
        &mut self,
        burst: usize,
        deliveries: usize,
        but: usize,
        publish: impl Fn(&Holocast, &Channel),
    ) -> Sample {
        let Lanes { engine, lanes, members, room } = self;
        let due = burst * (*members - but);
        rounds::rounds(burst, deliveries, *members, || publish(engine, room), || take(lanes, due))
    }
}

impl Contestant for Lanes {
    fn name(&self) -> &'static str {
        if self.lanes.len() == 1 { LANES } else { TWO_LANES }
    }

    fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn subscribes(&self) -> bool {
        true
    }

    fn awaits(&self) -> bool {
        true
    }

    fn excludes(&self) -> bool {
        true
    }

    /// Subscribed in random order; a lane hands out in the order of its own in any case.
    fn shuffle(&mut self) {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        self.room = channel!("room", 2);
        let mut order: Vec<usize> = (0..self.members).collect();
        order.shuffle(&mut random);
        for number in order {
            self.engine.put(&self.room, number);
        }
        self.forget_events();
    }

    fn fan_out(&mut self, burst: usize, deliveries: usize) -> Sample {
        self.rounds(burst, deliveries, 0, |engine, room| engine.publish(room, 1))
    }

    fn hot(&mut self, deliveries: usize) -> Sample {
        let Lanes { engine, lanes, members, room } = self;
        let publish = engine.hot(room);
        rounds::one_by_one(deliveries, *members, || publish(1), || take(lanes, *members))
    }

    fn except(&mut self, deliveries: usize) -> Sample {
        let excluded = self.members / 2;
        self.rounds(1, deliveries, 1, |engine, room| engine.publish_except(room, excluded, 1))
    }

    /// With two lanes the publisher's thread takes one of them itself, when all is published.
    fn two_threads(&mut self) -> Sample {
        let Lanes { engine, lanes, members, room } = self;
        let counts: Vec<usize> =
            (0..lanes.len()).map(|lane| (*members + lanes.len() - 1 - lane) / lanes.len()).collect();
        let (there, here) = lanes.split_at_mut(1);
        two_threads::run(
            Round::of(*members),
            || engine.publish(room, 1),
            |messages| there.iter_mut().for_each(|lane| drain_until(lane, messages * counts[0])),
            |messages| here.iter_mut().for_each(|lane| drain_until(lane, messages * counts[1])),
        )
    }

    fn apart(&mut self, rounds: usize) -> (f64, f64) {
        let Lanes { engine, lanes, members, room } = self;
        rounds::apart(rounds, *members, || engine.publish(room, 1), || take(lanes, *members))
    }

    fn calls(&mut self, burst: usize, rounds: usize) -> (f64, f64) {
        let Lanes { engine, lanes, members, room } = self;
        let due = burst * *members;
        rounds::calls(burst, rounds, || engine.publish(room, 1), || take(lanes, due))
    }

    /// One push a lane: there is nothing to slice.
    fn slices(&mut self, _: usize, _: usize) -> Slices {
        Slices::default()
    }

    fn change(&mut self) -> (f64, f64) {
        let Lanes { engine, lanes, members, room } = self;
        rounds::changes(*members, |place| {
            let identity = Holocast::identity(place);
            let start = Instant::now();
            engine.change(room, &identity, false);
            let between = Instant::now();
            engine.change(room, &identity, true);
            let came = between.elapsed();
            drain_all(lanes);
            (between - start, came)
        })
    }

    fn churn(&mut self, with: bool, time: Duration) -> hdrhistogram::Histogram<u64> {
        let Lanes { engine, lanes, members, room } = self;
        let guest = Holocast::identity(*members);
        let times = churn::run(
            with,
            time,
            || engine.publish(room, 1),
            || {
                drain_all(lanes);
            },
            || {
                engine.change(room, &guest, true);
                engine.change(room, &guest, false);
            },
        );
        self.forget_events();
        times
    }

    fn park(self: Box<Self>, flavour: Flavour) -> Box<dyn Parked> {
        parked::park(*self, flavour)
    }
}
