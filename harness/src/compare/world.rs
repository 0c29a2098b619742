//! One contestant with a crowd of connections in one room, and the work that all contestants do.
//!
//! Every receiver is drained before the clock stops, and a message that is missing ends the comparison: nobody is fast by losing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use holocast::{Channel, channel};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::clock::clock_ns;
use super::parked::{Flavour, Parked, park};
use super::peer::{Peer, Receiver};
use super::turns::Sample;
use super::{churn, two_threads};

/// How many members change place in one turn of `subscribe`, at most.
const CHANGES: usize = 64;
/// Deliveries of a round among which two readings of the clock are nothing.
const MANY: usize = 10_000;
/// Changes before them, which don't count.
const WARM_UP: usize = 16;

/// The work. Times are per delivery or per change.
pub(super) trait Contestant {
    fn name(&self) -> &'static str;

    /// Whether it has anything to change; the floor has not.
    fn subscribes(&self) -> bool;

    fn awaits(&self) -> bool;

    fn excludes(&self) -> bool;

    /// From here on: everybody subscribed, and takes, in random order.
    fn shuffle(&mut self);

    /// Broadcasts in bursts, each taken by all before the next; about so many deliveries.
    fn fan_out(&mut self, burst: usize, deliveries: usize) -> Sample;

    /// The same one by one through what can be kept between broadcasts.
    fn hot(&mut self, deliveries: usize) -> Sample;

    /// The same one by one, each leaving one connection out.
    fn except(&mut self, deliveries: usize) -> Sample;

    /// One thread broadcasts, another takes.
    fn two_threads(&mut self) -> Sample;

    /// Members leave and come back: nanoseconds per leave and per return.
    fn change(&mut self) -> (f64, f64);

    /// The times of single broadcasts, with or without a thread that joins and leaves.
    fn churn(&mut self, with: bool, time: Duration) -> hdrhistogram::Histogram<u64>;

    /// Every receiver becomes a task that waits.
    fn park(self: Box<Self>, flavour: Flavour) -> Box<dyn Parked>;
}

pub(super) struct World<P: Peer> {
    pub(super) peer: P,
    pub(super) receivers: Vec<P::Receiver>,
    /// One who is in no room: joins and leaves while others broadcast.
    pub(super) guest: P::Receiver,
    pub(super) room: Channel,
}

impl<P: Peer> World<P> {
    /// Everybody is connected and in the room, in the order of their numbers.
    pub(super) fn new(connections: usize) -> Self {
        let peer = P::new(connections + 1);
        let mut receivers: Vec<_> = (0..connections).map(|number| peer.connect(number)).collect();
        let room = channel!("room", 1);
        let order: Vec<usize> = (0..connections).collect();
        peer.subscribe_all(&room, &mut receivers, &order);
        let guest = peer.connect(connections);
        let mut world = World { peer, receivers, guest, room };
        world.forget_events();
        world
    }

    fn forget_events(&mut self) {
        self.receivers.iter_mut().for_each(Receiver::forget_events);
    }

    /// All take exactly so many messages each.
    fn take(&mut self, messages: usize, but: usize) {
        let mut taken = 0;
        for receiver in &mut self.receivers {
            while let Some(params) = receiver.try_take() {
                black_box(params);
                taken += 1;
            }
        }
        let due = messages * (self.receivers.len() - but);
        assert_eq!(taken, due, "{}: messages taken, and messages due", P::NAME);
    }

    /// Publishes and takes in turns, and reads the clock around each call: the publisher's share. The total comes from a pass of its
    /// own without those readings, unless they are lost among many deliveries.
    fn rounds(
        &mut self,
        burst: usize,
        deliveries: usize,
        but: usize,
        publish: impl Fn(&P, &Channel),
    ) -> Sample {
        let members = self.receivers.len();
        let rounds = (deliveries / (burst * members)).max(1);
        let per_delivery = 1.0 / (rounds * burst * members) as f64;

        let mut publishing = Duration::ZERO;
        let begun = Instant::now();
        for _ in 0..rounds {
            let start = Instant::now();
            (0..burst).for_each(|_| publish(&self.peer, &self.room));
            publishing += start.elapsed();
            self.take(burst, but);
        }
        let mut total = begun.elapsed();
        if burst * members < MANY {
            let begun = Instant::now();
            for _ in 0..rounds {
                (0..burst).for_each(|_| publish(&self.peer, &self.room));
                self.take(burst, but);
            }
            total = begun.elapsed();
        }
        let total_ns = total.as_nanos() as f64 * per_delivery;
        let clock = clock_ns() * rounds as f64;
        let publish_ns = ((publishing.as_nanos() as f64 - clock) * per_delivery).max(0.0);
        Sample::Delivery { publish_ns, take_ns: (total_ns - publish_ns).max(0.0), total_ns }
    }
}

impl<P: Peer> Contestant for World<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn subscribes(&self) -> bool {
        P::SUBSCRIBES
    }

    fn awaits(&self) -> bool {
        P::AWAITS
    }

    fn excludes(&self) -> bool {
        P::EXCLUDES
    }

    fn shuffle(&mut self) {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        for receiver in &mut self.receivers {
            self.peer.leave(&self.room, receiver);
        }
        self.room = channel!("room", 2);
        let mut order: Vec<usize> = (0..self.receivers.len()).collect();
        order.shuffle(&mut random);
        self.peer.subscribe_all(&self.room, &mut self.receivers, &order);
        self.forget_events();
        self.receivers.shuffle(&mut random);
    }

    fn fan_out(&mut self, burst: usize, deliveries: usize) -> Sample {
        self.rounds(burst, deliveries, 0, |peer, room| peer.publish(room, 1))
    }

    fn hot(&mut self, deliveries: usize) -> Sample {
        // The handle borrows the peer, which the rounds need whole.
        let World { peer, receivers, room, .. } = self;
        let publish = peer.hot(room);
        let rounds = (deliveries / receivers.len()).max(1);
        let per_delivery = 1.0 / (rounds * receivers.len()) as f64;
        let mut publishing = Duration::ZERO;
        let begun = Instant::now();
        for _ in 0..rounds {
            let start = Instant::now();
            publish(1);
            publishing += start.elapsed();
            let taken = receivers.iter_mut().filter_map(|receiver| black_box(receiver.try_take())).count();
            assert_eq!(taken, receivers.len(), "{}: messages taken, and messages due", P::NAME);
        }
        let clock = clock_ns() * rounds as f64;
        let total_ns = (begun.elapsed().as_nanos() as f64 - clock) * per_delivery;
        let publish_ns = ((publishing.as_nanos() as f64 - clock) * per_delivery).max(0.0);
        Sample::Delivery { publish_ns, take_ns: (total_ns - publish_ns).max(0.0), total_ns }
    }

    fn except(&mut self, deliveries: usize) -> Sample {
        let excluded = self.receivers.len() / 2;
        self.rounds(1, deliveries, 1, |peer, room| peer.publish_except(room, excluded, 1))
    }

    fn two_threads(&mut self) -> Sample {
        two_threads::run(self)
    }

    fn change(&mut self) -> (f64, f64) {
        let members = self.receivers.len();
        let changes = members.min(CHANGES);
        let stride = members / changes;
        let (mut left, mut came) = (Duration::ZERO, Duration::ZERO);
        // Far apart, and never the same two in a row. Before the clock counts, some others: the code is warm, the members are not.
        for change in 0..CHANGES + WARM_UP {
            let counts = change >= WARM_UP;
            let place = change % changes * stride + if counts { 0 } else { stride / 2 };
            let member = &mut self.receivers[place];
            let start = Instant::now();
            self.peer.unsubscribe(&self.room, member);
            let between = Instant::now();
            self.peer.subscribe(&self.room, member);
            if counts {
                came += between.elapsed();
                left += between - start;
            }
            member.forget_events();
        }
        let ns = |time: Duration| (time.as_nanos() as f64 / CHANGES as f64 - clock_ns()).max(0.0);
        (ns(left), ns(came))
    }

    fn churn(&mut self, with: bool, time: Duration) -> hdrhistogram::Histogram<u64> {
        churn::run(self, with, time)
    }

    fn park(self: Box<Self>, flavour: Flavour) -> Box<dyn Parked> {
        park(*self, flavour)
    }
}
