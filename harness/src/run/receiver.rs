//! One receiver thread: drains the connections of its tabs as they get something, and writes down what it takes.
//!
//! With lanes it works off its lane instead, which serves all its tabs: a batch for each broadcast.
//!
//! A stalled tab takes nothing before its connection has ended; then it too is drained, as nobody else knows why it ended.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use holocast::{Connection, Event, LaneEvent};

use super::record::{LaneLoss, Seen, Taken};
use super::world::{Arrival, Message, World, of_token};

/// Longest sleep; wakes and nudges end it earlier.
const NAP: Duration = Duration::from_millis(100);

pub(super) struct Receiver<'w> {
    world: &'w World,
    index: usize,
    /// By the tab's number divided by that of the receivers, which share the tabs in turns.
    seats: Vec<Seat>,
    seen: Seen,
}

/// Where a tab's connections are drained, one after the other.
#[derive(Default)]
struct Seat {
    connection: Option<(u32, Connection<Message>)>,
    waker: Option<Waker>,
}

impl<'w> Receiver<'w> {
    pub(super) fn new(world: &'w World, index: usize) -> Self {
        let seats = world.crowd.tabs.len().div_ceil(world.receivers());
        Receiver {
            world,
            index,
            seats: std::iter::repeat_with(Seat::default).take(seats).collect(),
            seen: Seen { on_lane: world.station(index).is_some(), ..Seen::default() },
        }
    }

    /// Drains until told to stop and nothing is left, but for what the stalled have.
    pub(super) fn run(mut self) -> Self {
        if self.world.station(self.index).is_some() {
            return self.run_lane();
        }
        let desk = self.world.desk(self.index);
        let mut woken = Vec::new();
        loop {
            // Looked at first: what comes before the stop is drained in this round.
            let stopping = self.world.is_stopped();
            let welcomed = self.welcome();
            desk.ready.take(&mut woken);
            if woken.is_empty() && !welcomed {
                if stopping {
                    return self;
                }
                // Relaxed: a hint for whoever waits until all is quiet.
                desk.idle.store(true, Ordering::Relaxed);
                desk.ready.wait(NAP);
                desk.idle.store(false, Ordering::Relaxed);
                continue;
            }
            self.look();
            for &seat in &woken {
                self.drain(seat);
            }
        }
    }

    /// The same, of a lane.
    fn run_lane(mut self) -> Self {
        let desk = self.world.desk(self.index);
        loop {
            // Looked at first, as in run().
            let stopping = self.world.is_stopped();
            if self.work_off() {
                continue;
            }
            if stopping {
                return self;
            }
            // Relaxed: a hint for whoever waits until all is quiet.
            desk.idle.store(true, Ordering::Relaxed);
            desk.ready.wait(NAP);
            desk.idle.store(false, Ordering::Relaxed);
            desk.ready.take(&mut Vec::new());
        }
    }

    /// Takes all that the lane has and parks it; whether there was anything.
    fn work_off(&mut self) -> bool {
        let waker = self.world.desk(self.index).ready.waker(0);
        let mut context = Context::from_waker(&waker);
        let mut any = false;
        self.look();
        while let Some(event) = self.next_of_lane(&mut context) {
            any = true;
            self.hand_out(event);
        }
        any
    }

    /// The lane's next event, and what it means for the lives that are open.
    fn next_of_lane(&mut self, context: &mut Context<'_>) -> Option<LaneEvent<Message>> {
        let mut station = self.world.station(self.index)?;
        let station = station.as_mut()?;
        let Poll::Ready(event) = station.lane.poll_recv(context) else { return None };
        match &event {
            LaneEvent::One(token, Event::Closed(_)) => drop(station.open.remove(&of_token(*token).1)),
            // Under the lock: whoever connects meanwhile has lost none of them.
            LaneEvent::Lagged(lost) => self.seen.lane_lagged.push(LaneLoss {
                at_ns: self.world.now_ns(),
                broadcasts: *lost,
                lives: station.open.iter().copied().collect(),
            }),
            _ => {}
        }
        Some(event)
    }

    fn hand_out(&mut self, event: LaneEvent<Message>) {
        match event {
            LaneEvent::Broadcast(mut batch) => {
                let message = batch.params().number;
                for (token, _) in batch.receivers() {
                    let (_, life) = of_token(token);
                    self.seen.taken.push(Taken { at_ns: self.world.now_ns(), message, life });
                }
            }
            LaneEvent::One(token, event) => {
                let (tab, life) = of_token(token);
                note(&mut self.seen, self.world, tab, life, event);
            }
            // A loss is noted. There is no other event today.
            _ => {}
        }
    }

    /// Takes over new connections; each replaces the tab's last one, after that has given what it had.
    fn welcome(&mut self) -> bool {
        let arrivals = self.world.handed_over(self.index);
        let welcomed = !arrivals.is_empty();
        if welcomed {
            self.look();
        }
        for Arrival { tab, life, connection } in arrivals {
            let at = tab as usize / self.world.receivers();
            // Another one was made, so this one has ended or is about to.
            while self.seats[at].connection.is_some() {
                self.drain(at);
                if self.seats[at].connection.is_some() {
                    thread::yield_now();
                }
            }
            let seat = &mut self.seats[at];
            seat.connection = Some((life, connection));
            if !self.world.is_stalled(tab) {
                seat.waker.get_or_insert_with(|| self.world.desk(self.index).ready.waker(at));
                self.drain(at);
            }
        }
        welcomed
    }

    /// Whatever is taken next is taken after this moment.
    fn look(&mut self) {
        let at_ns = self.world.now_ns();
        self.seen.taken.push(Taken { at_ns, message: Taken::LOOKED, life: 0 });
    }

    /// Takes all that a seat's connection has and parks it.
    fn drain(&mut self, at: usize) {
        let Receiver { world, index, ref mut seats, ref mut seen } = *self;
        let Seat { connection, waker } = &mut seats[at];
        let Some((life, open)) = connection else { return };
        let tab = (at * world.receivers() + index) as u32;
        let mut context = Context::from_waker(waker.as_ref().unwrap_or(Waker::noop()));
        loop {
            match open.poll_recv(&mut context) {
                Poll::Pending => return,
                Poll::Ready(Some(event)) => note(seen, world, tab, *life, event),
                Poll::Ready(None) => break,
            }
        }
        *connection = None;
    }

    /// Takes all that anybody has, the stalled too.
    pub(super) fn drain_all(&mut self) {
        if self.world.station(self.index).is_some() {
            self.work_off();
            return;
        }
        self.welcome();
        self.look();
        (0..self.seats.len()).for_each(|at| self.drain(at));
    }

    /// Takes what is left and ends every connection.
    pub(super) fn end_all(&mut self) {
        self.drain_all();
        self.seats.clear();
        if let Some(mut station) = self.world.station(self.index) {
            *station = None;
        }
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(super) fn into_seen(self) -> Seen {
        self.seen
    }
}

fn note(seen: &mut Seen, world: &World, tab: u32, life: u32, event: Event<Message>) {
    match event {
        Event::Broadcast(delivery) => {
            seen.taken.push(Taken { at_ns: world.now_ns(), message: delivery.params().number, life });
        }
        Event::Subscribed(receipt) => {
            if let Some(mut wallet) = world.wallet(tab) {
                wallet.keep_newest([receipt]);
            }
        }
        Event::Unsubscribed(keys) => {
            if let Some(mut wallet) = world.wallet(tab) {
                wallet.forget(&keys);
            }
        }
        Event::Lagged(lost) => seen.lagged.push((life, lost)),
        Event::Closed(reason) => seen.closed.push((life, reason)),
        // There is no other event today; a new one would carry no message of ours.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use holocast::{CloseReason, Identity};

    use super::super::crowd::Crowd;
    use super::super::workload::{CrowdSize, Law, Overflow, Queue, Receivers, Rooms, Workload};
    use super::super::world::OnTheWay;
    use super::*;

    #[test]
    fn q2_a_stalled_tab_that_comes_back_tells_why_its_last_connection_ended() {
        let workload = Workload {
            crowd: CrowdSize { users: 1, ..CrowdSize::default() },
            rooms: Rooms { law: Law::One, ..Rooms::default() },
            receivers: Receivers { threads: 1, stalled_percent: 100.0, ..Receivers::default() },
            queue: Queue { capacity: 1, overflow: Overflow::Close },
            ..Workload::default()
        };
        let world = World::new(&workload, Crowd::new(&workload, 1), false).unwrap();
        let mut receiver = Receiver::new(&world, 0);
        let (engine, room) = (&world.engine, &world.crowd.rooms[0]);
        let come = |life| {
            let connection = engine.connect(&world.crowd.client(0, true)).unwrap().connection;
            world.hand_over(Arrival { tab: 0, life, connection });
        };
        let send = |number| {
            engine.broadcast_action(room, "message", Message::new(number, &OnTheWay::default())).unwrap();
        };
        come(0);
        engine.subscribe(&Identity::user(0), room, "page").unwrap();
        receiver.welcome();
        send(0);
        send(1);
        assert_eq!(receiver.seen.deliveries(), 0, "stalled");
        come(1);
        receiver.welcome();
        assert_eq!(receiver.seen.deliveries(), 1);
        assert_eq!(receiver.seen.closed, [(0, CloseReason::Overflow)]);
    }
}
