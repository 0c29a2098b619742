//! One connection's queue through the public interface, against a `VecDeque` (rules B5, C3 to C5 and Q1 to Q3, Q5).
//!
//! Two bytes of settings: policy, then the bounds in messages and in weight. Then two bytes an operation. After each, every count of rule
//! B5 is the model's; who sleeps while something is due was woken; at the end every params was dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use holocast::{
    Channel, Client, CloseReason, Connection, Event, Identity, Overflow, Realtime, Receipt, RecvTimeoutError,
    TryRecvError,
};

use super::bytes::Bytes;

/// Operations that are looked at.
const LONGEST: usize = 512;

/// Ways to take; those that are not named are `try_recv`.
const WAYS: u8 = 5;
const BLOCKING: u8 = 2;

/// A broadcast: its number, what it weighs, and a share of the count of those alive.
#[derive(Debug)]
struct Params {
    number: u64,
    weight: u64,
    _alive: Arc<()>,
}

/// What is queued, as the rules know it.
#[derive(Debug)]
enum Entry {
    /// `user` has authorized the binding; once another one came, it is passed over.
    Message {
        number: u64,
        weight: u64,
        withheld: bool,
    },
    Subscribed {
        withheld: bool,
    },
    Unsubscribed,
}

/// What a take gives.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Message(u64),
    Subscribed,
    Unsubscribed,
    Lagged(u64),
    Closed(CloseReason),
    /// Nothing now.
    Empty,
    /// Nothing any more.
    Ended,
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The live receiver, or one that has ended and is still held.
struct Receiver {
    connection: Connection<Params>,
    flag: Arc<Flag>,
    /// A poll was told to wait.
    sleeps: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    accepted: u64,
    taken: u64,
    queued: u64,
    released: u64,
    withheld: u64,
    refused: u64,
}

struct Drive {
    realtime: Realtime<Params>,
    policy: Overflow,
    capacity: usize,
    max_weight: u64,
    alive: Arc<()>,
    receiver: Option<Receiver>,
    /// Superseded, and not told so yet.
    old: Option<Receiver>,
    /// What was taken and is kept for a while.
    kept: Vec<Event<Params>>,
    receipts: Vec<Receipt>,
    number: u64,
    // The model.
    queue: VecDeque<Entry>,
    lagged: u64,
    /// Why it ended; told once.
    end: Option<CloseReason>,
    told_end: bool,
    bound: bool,
    user: i64,
    sums: Sums,
}

pub(crate) fn run(input: &[u8]) {
    let mut input = Bytes::new(input);
    let mut drive = Drive::new(input.byte(), input.byte());
    for _ in 0..LONGEST {
        if input.is_empty() {
            break;
        }
        let (kind, operand) = (input.byte(), input.byte());
        drive.perform(kind, operand);
        drive.compare();
    }
    drive.finish();
}

fn room() -> Channel {
    Channel::atom("room")
}

impl Drive {
    fn new(policy: u8, bounds: u8) -> Self {
        let policy = [Overflow::Close, Overflow::DropNewest, Overflow::Reset][usize::from(policy % 3)];
        let capacity = [1, 2, 3, 5, 32_767][usize::from(bounds % 5)];
        let max_weight = [u64::MAX, 1, 4, 10, 1 << 48][usize::from(bounds / 5 % 5)];
        let builder = Realtime::builder().queue_capacity(capacity).overflow(policy);
        let builder = match max_weight {
            // Not weighed at all.
            u64::MAX => builder,
            bound => builder.weigh(bound, |params: &Params| params.weight),
        };
        let mut drive = Drive {
            realtime: builder.build().expect("the settings are valid"),
            policy,
            capacity,
            max_weight,
            alive: Arc::new(()),
            receiver: None,
            old: None,
            kept: Vec::new(),
            receipts: Vec::new(),
            number: 0,
            queue: VecDeque::new(),
            lagged: 0,
            end: None,
            told_end: false,
            bound: false,
            user: 0,
            sums: Sums::default(),
        };
        drive.connect();
        drive.subscribe();
        drive
    }

    fn perform(&mut self, kind: u8, operand: u8) {
        match kind % 20 {
            0..=4 => self.broadcast(operand),
            5 => (0..operand % 8).for_each(|_| self.broadcast(0)),
            6 | 7 => self.subscribe(),
            // Another component's: only the event.
            8 => self.unsubscribe("other"),
            9 => self.unsubscribe("page"),
            10..=12 => self.take(operand),
            13 => (0..operand % 8).for_each(|_| self.take(operand)),
            14 => self.connect(),
            15 => self.take_old(operand),
            16 => match operand % 4 {
                0 => self.hang_up(),
                1 => self.disconnect(),
                _ => drop(self.old.take()),
            },
            17 => self.identify(i64::from(operand % 2)),
            _ => self.kept.clear(),
        }
    }

    fn live(&self) -> bool {
        self.receiver.is_some() && self.end.is_none()
    }

    // ---- what is told ----------------------------------------------------------------------------------------

    fn broadcast(&mut self, operand: u8) {
        let heavy = [1, 0, 2, 3, self.max_weight, self.max_weight.saturating_add(1), u64::MAX];
        let weight = heavy[usize::from(operand) % heavy.len()];
        let weight_counted = if self.max_weight == u64::MAX { 0 } else { weight };
        self.number += 1;
        let params = Params { number: self.number, weight, _alive: Arc::clone(&self.alive) };
        let reach = self.realtime.broadcast_action(&room(), "add", params).expect("names are short");
        let expected = if self.live() && self.bound { self.push(weight_counted) } else { (0, 0) };
        assert_eq!((reach.reached, reach.refused), expected, "reach of a broadcast that weighs {weight}");
    }

    /// Rules Q1 and Q2.
    fn push(&mut self, weight: u64) -> (usize, usize) {
        let queued = self.queue.iter().filter_map(Entry::weight);
        let (messages, bytes) =
            queued.fold((0, 0_u64), |(messages, bytes), weight| (messages + 1, bytes + weight));
        let fits = |messages: usize, bytes: u64| {
            messages < self.capacity
                && (self.max_weight == u64::MAX || bytes.saturating_add(weight) <= self.max_weight)
        };
        if !fits(messages, bytes) {
            match self.policy {
                Overflow::Reset if fits(0, 0) => {
                    self.queue.retain(|entry| entry.weight().is_none());
                    self.lagged += messages as u64;
                    self.sums.released += messages as u64;
                }
                Overflow::Close => {
                    self.sums.refused += 1;
                    self.ended(CloseReason::Overflow);
                    return (0, 1);
                }
                _ => {
                    self.sums.refused += 1;
                    self.lagged += 1;
                    return (0, 1);
                }
            }
        }
        self.sums.accepted += 1;
        self.queue.push_back(Entry::Message { number: self.number, weight, withheld: false });
        (1, 0)
    }

    fn subscribe(&mut self) {
        let matched = self.realtime.subscribe(&Identity::instance("i"), &room(), "page");
        assert_eq!(matched, Ok(usize::from(self.live())));
        if self.live() {
            self.queue.push_back(Entry::Subscribed { withheld: false });
            self.bound = true;
        }
    }

    fn unsubscribe(&mut self, cid: &str) {
        let matched = self.realtime.unsubscribe(&Identity::instance("i"), &room(), cid);
        assert_eq!(matched, Ok(usize::from(self.live())));
        if self.live() {
            self.queue.push_back(Entry::Unsubscribed);
            self.bound &= cid != "page";
        }
    }

    // ---- connections -----------------------------------------------------------------------------------------

    fn client(&self) -> Client {
        Client::new("i").with_user(self.user)
    }

    /// Rule C3 if it is live, rule C2 with all receipts it ever got if not.
    fn connect(&mut self) {
        let was_live = self.live();
        let connected = self.realtime.reconnect(&self.client(), &self.receipts).expect("names are short");
        assert_eq!(connected.superseded, was_live);
        self.receipts.extend(connected.receipts);
        let (flag, sleeps) = (Arc::new(Flag::default()), false);
        let next = Receiver { connection: connected.connection, flag, sleeps };
        if let Some(former) = self.receiver.replace(next) {
            if was_live {
                assert!(!former.sleeps || former.flag.0.load(Ordering::Relaxed), "superseded in its sleep");
                self.old = Some(former);
            } else {
                // What an ended one left goes with it.
                drop(former);
                self.release();
                self.lagged = 0;
            }
        }
        if !was_live {
            self.queue.clear();
            self.lagged = 0;
            (self.end, self.told_end) = (None, false);
            // Which receipts are in force is not this target's matter.
            self.bound = !self.realtime.bindings_of("i").is_empty();
        }
    }

    /// Rule C5: what the other user's binding brought is not handed out, and the binding is gone.
    fn identify(&mut self, user: i64) {
        let changed = user != self.user;
        self.user = user;
        assert_eq!(self.realtime.identify(&self.client()), Ok(self.live()));
        if !changed || !self.live() {
            return;
        }
        for entry in &mut self.queue {
            match entry {
                Entry::Message { withheld, .. } | Entry::Subscribed { withheld } => *withheld = true,
                Entry::Unsubscribed => {}
            }
        }
        if std::mem::take(&mut self.bound) {
            self.queue.push_back(Entry::Unsubscribed);
        }
    }

    fn disconnect(&mut self) {
        assert_eq!(self.realtime.disconnect("i"), self.live());
        if self.live() {
            self.release();
            self.ended(CloseReason::Disconnected);
        }
    }

    /// The receiving half is dropped, live or not.
    fn hang_up(&mut self) {
        if self.receiver.take().is_some() {
            self.release();
            self.lagged = 0;
            self.bound = false;
            (self.end, self.told_end) = (None, false);
        }
    }

    fn ended(&mut self, reason: CloseReason) {
        self.end = Some(reason);
        self.bound = false;
    }

    fn release(&mut self) {
        self.sums.released += self.queue.drain(..).filter_map(|entry| entry.weight()).count() as u64;
    }

    // ---- takes -----------------------------------------------------------------------------------------------

    fn take(&mut self, operand: u8) {
        let Some(receiver) = &mut self.receiver else { return };
        let told = receiver.take(operand, &mut self.kept, &mut self.receipts);
        // A blocking wait that found nothing has put its own thread in the place of the task.
        receiver.sleeps &= operand % WAYS != BLOCKING;
        let expected = self.due(matches!(told, Said::Lagged(_)));
        assert_eq!(told, expected);
    }

    /// What the next take gives, taken. `eager_lag`: a loss was told although nothing follows it, which rule Q2 allows.
    fn due(&mut self, eager_lag: bool) -> Said {
        if self.told_end {
            return Said::Ended;
        }
        if self.lagged > 0 && (eager_lag || self.is_due()) {
            return Said::Lagged(std::mem::take(&mut self.lagged));
        }
        while let Some(entry) = self.queue.pop_front() {
            match entry {
                Entry::Message { withheld: true, .. } => self.sums.withheld += 1,
                Entry::Message { number, .. } => {
                    self.sums.taken += 1;
                    return Said::Message(number);
                }
                Entry::Subscribed { withheld: true } => {}
                Entry::Subscribed { .. } => return Said::Subscribed,
                Entry::Unsubscribed => return Said::Unsubscribed,
            }
        }
        match self.end {
            Some(reason) => {
                self.told_end = true;
                Said::Closed(reason)
            }
            None => Said::Empty,
        }
    }

    /// Something must be handed out by the next take.
    fn is_due(&self) -> bool {
        let handed_out = |entry: &Entry| {
            !matches!(entry, Entry::Message { withheld: true, .. } | Entry::Subscribed { withheld: true })
        };
        self.end.is_some() && !self.told_end || self.queue.iter().any(handed_out)
    }

    /// Rule C3: the old receiver is told once, and then nothing.
    fn take_old(&mut self, operand: u8) {
        let Some(mut old) = self.old.take() else { return };
        let (kept, receipts) = (&mut self.kept, &mut self.receipts);
        assert_eq!(old.take(operand, kept, receipts), Said::Closed(CloseReason::Superseded));
        assert_eq!(old.take(operand / 8, kept, receipts), Said::Ended);
    }

    // ---- what is compared ------------------------------------------------------------------------------------

    fn compare(&mut self) {
        let stats = self.realtime.stats();
        let counted = Sums {
            accepted: stats.accepted,
            taken: stats.taken,
            queued: stats.queued,
            released: stats.released,
            withheld: stats.withheld,
            refused: stats.refused,
        };
        self.sums.queued = self.queue.iter().filter_map(Entry::weight).count() as u64;
        assert_eq!(counted, self.sums, "the sums of rule B5, engine and model");
        assert_eq!(stats.accepted, stats.taken + stats.queued + stats.released + stats.withheld, "rule B5");
        assert_eq!(stats.connections, u64::from(self.live()));
        assert_eq!(stats.bindings, u64::from(self.bound));
        let due = self.is_due();
        if let Some(receiver) = &mut self.receiver
            && receiver.sleeps
            && due
        {
            assert!(receiver.flag.0.swap(false, Ordering::Relaxed), "something is due, and nobody was woken");
            receiver.sleeps = false;
        }
    }

    fn finish(mut self) {
        for take in 0..4 {
            self.take(take);
        }
        self.compare();
        self.hang_up();
        self.compare();
        self.kept.clear();
        drop((self.old, self.receiver, self.realtime));
        assert_eq!(Arc::strong_count(&self.alive), 1, "params are dropped with the queue, each once");
    }
}

impl Entry {
    /// Of a message.
    fn weight(&self) -> Option<u64> {
        match self {
            Entry::Message { weight, .. } => Some(*weight),
            Entry::Subscribed { .. } | Entry::Unsubscribed => None,
        }
    }
}

impl Receiver {
    /// One take, in one of the ways that rule Q5 names.
    fn take(&mut self, way: u8, kept: &mut Vec<Event<Params>>, receipts: &mut Vec<Receipt>) -> Said {
        let waker = Waker::from(Arc::clone(&self.flag));
        let mut context = Context::from_waker(&waker);
        let taken = match way % WAYS {
            0 => match self.connection.poll_recv(&mut context) {
                Poll::Ready(event) => event.ok_or(TryRecvError::Closed),
                Poll::Pending => {
                    self.flag.0.store(false, Ordering::Relaxed);
                    self.sleeps = true;
                    Err(TryRecvError::Empty)
                }
            },
            // A wait that is given up.
            1 => match std::pin::pin!(self.connection.recv()).poll(&mut context) {
                Poll::Ready(event) => event.ok_or(TryRecvError::Closed),
                Poll::Pending => Err(TryRecvError::Empty),
            },
            BLOCKING => self.connection.blocking_recv_timeout(Duration::ZERO).map_err(|error| match error {
                RecvTimeoutError::Timeout => TryRecvError::Empty,
                RecvTimeoutError::Closed => TryRecvError::Closed,
            }),
            _ => self.connection.try_recv(),
        };
        let said = match &taken {
            Ok(Event::Broadcast(delivery)) => Said::Message(delivery.params().number),
            Ok(Event::Subscribed(receipt)) => {
                receipts.push(receipt.clone());
                Said::Subscribed
            }
            Ok(Event::Unsubscribed(_)) => Said::Unsubscribed,
            Ok(Event::Lagged(lost)) => Said::Lagged(*lost),
            Ok(Event::Closed(reason)) => Said::Closed(*reason),
            Ok(other) => panic!("no rule knows {other:?}"),
            Err(TryRecvError::Empty) => Said::Empty,
            Err(TryRecvError::Closed) => Said::Ended,
        };
        // Some are dropped at once, some outlive what comes next.
        if way >= 128 {
            kept.extend(taken.ok());
        }
        said
    }
}
