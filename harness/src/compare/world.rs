//! One contestant with a crowd of connections in one room, and the work that all contestants do.
//!
//! Every receiver is drained before the clock stops, and a message that is missing ends the comparison: nobody is fast by losing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use holocast::{Channel, channel};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::parked::{Flavour, Parked, park};
use super::peer::{Peer, Receiver};
use super::rounds::Slices;
use super::turns::Sample;
use super::two_threads::Round;
use super::{churn, rounds, two_threads};

/// The work. Times are per delivery or per change.
pub(super) trait Contestant {
    fn name(&self) -> &'static str;

    /// How many lanes it has; none, if every connection has a queue.
    fn lanes(&self) -> usize {
        0
    }

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

    /// So many broadcasts, each taken by all before the next: nanoseconds per call, and per delivery taken.
    fn apart(&mut self, rounds: usize) -> (f64, f64);

    /// Single broadcasts, so many in a row before all take: the median and the longest, in nanoseconds.
    fn calls(&mut self, burst: usize, rounds: usize) -> (f64, f64);

    /// So many broadcasts in slices of so many receivers, and as many whole ones, in turns.
    fn slices(&mut self, slice: usize, rounds: usize) -> Slices;

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

    /// Publishes in bursts, and after each all take; `but` members are left out.
    fn rounds(
        &mut self,
        burst: usize,
        deliveries: usize,
        but: usize,
        publish: impl Fn(&P, &Channel),
    ) -> Sample {
        let World { peer, receivers, room, .. } = self;
        let members = receivers.len();
        let due = burst * (members - but);
        rounds::rounds(burst, deliveries, members, || publish(peer, room), || take::<P>(receivers, due))
    }
}

/// All take exactly so many messages together.
fn take<P: Peer>(receivers: &mut [P::Receiver], due: usize) {
    let mut taken = 0;
    for receiver in receivers {
        while let Some(params) = receiver.try_take() {
            black_box(params);
            taken += 1;
        }
    }
    assert_eq!(taken, due, "{}: messages taken, and messages due", P::NAME);
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
        let World { peer, receivers, room, .. } = self;
        let publish = peer.hot(room);
        let members = receivers.len();
        rounds::one_by_one(
            deliveries,
            members,
            || publish(1),
            || {
                let taken =
                    receivers.iter_mut().filter_map(|receiver| black_box(receiver.try_take())).count();
                assert_eq!(taken, members, "{}: messages taken, and messages due", P::NAME);
            },
        )
    }

    fn except(&mut self, deliveries: usize) -> Sample {
        let excluded = self.receivers.len() / 2;
        self.rounds(1, deliveries, 1, |peer, room| peer.publish_except(room, excluded, 1))
    }

    fn two_threads(&mut self) -> Sample {
        let World { peer, receivers, room, .. } = self;
        let round = Round::of(receivers.len());
        two_threads::run(
            round,
            || peer.publish(room, 1),
            |messages| {
                let due = messages * receivers.len();
                let mut taken = 0;
                while taken < due {
                    for receiver in receivers.iter_mut() {
                        while let Some(params) = receiver.try_take() {
                            black_box(params);
                            taken += 1;
                        }
                    }
                }
            },
            |_| {},
        )
    }

    fn apart(&mut self, rounds: usize) -> (f64, f64) {
        let World { peer, receivers, room, .. } = self;
        let members = receivers.len();
        rounds::apart(rounds, members, || peer.publish(room, 1), || take::<P>(receivers, members))
    }

    fn calls(&mut self, burst: usize, rounds: usize) -> (f64, f64) {
        let World { peer, receivers, room, .. } = self;
        let due = burst * receivers.len();
        rounds::calls(burst, rounds, || peer.publish(room, 1), || take::<P>(receivers, due))
    }

    fn slices(&mut self, slice: usize, rounds: usize) -> Slices {
        let World { peer, receivers, room, .. } = self;
        let members = receivers.len();
        rounds::slices(
            rounds,
            members,
            || peer.publish_sliced(room, slice, 1),
            || peer.publish(room, 1),
            || take::<P>(receivers, members),
        )
    }

    fn change(&mut self) -> (f64, f64) {
        let World { peer, receivers, room, .. } = self;
        rounds::changes(receivers.len(), |place| {
            let member = &mut receivers[place];
            let start = Instant::now();
            peer.unsubscribe(room, member);
            let between = Instant::now();
            peer.subscribe(room, member);
            let came = between.elapsed();
            member.forget_events();
            (between - start, came)
        })
    }

    fn churn(&mut self, with: bool, time: Duration) -> hdrhistogram::Histogram<u64> {
        let World { peer, receivers, guest, room } = self;
        let times = churn::run(
            with,
            time,
            || peer.publish(room, 1),
            || {
                for receiver in receivers.iter_mut() {
                    while receiver.try_take().is_some() {}
                }
            },
            || {
                peer.subscribe(room, guest);
                peer.unsubscribe(room, guest);
                guest.forget_events();
                while guest.try_take().is_some() {}
            },
        );
        while guest.try_take().is_some() {}
        times
    }

    fn park(self: Box<Self>, flavour: Flavour) -> Box<dyn Parked> {
        park(*self, flavour)
    }
}
