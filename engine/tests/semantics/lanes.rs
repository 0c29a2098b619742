//! The rules for connections on lanes: alone, side by side with those that have queues of their own, and taken over from one another.

mod broadcast;
mod connections;
mod faults;
mod queues;

use std::collections::BTreeMap;

use holocast::{
    Batch, Channel, Cid, Client, Connection, Identity, Lane, LaneEvent, LaneKey, Overflow, Realtime, Receipt,
};

use crate::support::{assert_balanced, broadcast, engine, line, room, seen, subscribe, tab_of};

/// A connection of the lane with no receipts presented.
fn join(lane: &mut Lane<u64>, client: &Client, token: u64) -> LaneKey {
    lane.connect(client, token).expect("names are short").key
}

fn names<'a>(cids: impl Iterator<Item = &'a Cid>) -> Vec<&'a str> {
    cids.map(Cid::as_str).collect()
}

/// Those of a batch that are left, a line each.
fn rest(batch: &mut Batch<u64>) -> Vec<String> {
    let head = format!("{} {} {}", batch.channel(), batch.action(), batch.params());
    batch.receivers().map(|(token, cids)| format!("{token}: {head} for {}", names(cids).join(" "))).collect()
}

/// One event of a lane worked off, a line for each receiver.
fn lines(event: LaneEvent<u64>) -> Vec<String> {
    match event {
        LaneEvent::Broadcast(mut batch) => rest(&mut batch),
        LaneEvent::One(token, event) => vec![format!("{token}: {}", line(&event))],
        LaneEvent::Lagged(lost) => vec![format!("lagged {lost}")],
        other => panic!("no rule knows {other:?}"),
    }
}

/// Everything that the lane has.
fn work_off(lane: &mut Lane<u64>) -> Vec<String> {
    std::iter::from_fn(|| lane.try_recv()).flat_map(lines).collect()
}

/// The next event of the lane, a batch.
fn next_batch(lane: &mut Lane<u64>) -> Batch<u64> {
    match lane.try_recv() {
        Some(LaneEvent::Broadcast(batch)) => batch,
        other => panic!("not a broadcast: {other:?}"),
    }
}

/// Broadcasts these params to the channel, one after the other.
fn send(realtime: &Realtime<u64>, channel: &Channel, params: std::ops::RangeInclusive<u64>) {
    for params in params {
        broadcast(realtime, channel, params);
    }
}

/// An engine whose lanes hold two broadcasts.
fn narrow(overflow: Overflow) -> Realtime<u64> {
    Realtime::builder().lane_capacity(2).overflow(overflow).build().expect("the settings are valid")
}

/// A lane with so many tabs of user 7, all bound to the room; their tokens are their numbers.
fn crowd(realtime: &Realtime<u64>, tabs: u64) -> (Lane<u64>, Vec<LaneKey>) {
    let mut lane = realtime.lane();
    let keys = (0..tabs).map(|n| join(&mut lane, &tab_of(&format!("i{n:03}"), 7), n)).collect();
    subscribe(realtime, &Identity::user(7), &room(), "page");
    work_off(&mut lane);
    (lane, keys)
}

/// Where a connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Own,
    On(usize),
}

use Place::{On, Own};

/// Two lanes and any number of connections with queues of their own; everybody has a token.
struct World {
    realtime: Realtime<u64>,
    lanes: Vec<Lane<u64>>,
    owns: BTreeMap<u64, Connection<u64>>,
}

impl World {
    fn new() -> Self {
        Self::of(engine())
    }

    fn of(realtime: Realtime<u64>) -> Self {
        let lanes = vec![realtime.lane(), realtime.lane()];
        World { realtime, lanes, owns: BTreeMap::new() }
    }

    /// The receipts returned, and whether another connection was superseded.
    fn reconnect(
        &mut self,
        place: Place,
        client: &Client,
        receipts: &[Receipt],
        token: u64,
    ) -> (Vec<Receipt>, bool) {
        match place {
            Own => {
                let connected = self.realtime.reconnect(client, receipts).expect("names are short");
                self.owns.insert(token, connected.connection);
                (connected.receipts, connected.superseded)
            }
            On(lane) => {
                let connected = self.lanes[lane].reconnect(client, receipts, token).expect("names are short");
                (connected.receipts, connected.superseded)
            }
        }
    }

    fn connect(&mut self, place: Place, client: &Client, token: u64) -> bool {
        self.reconnect(place, client, &[], token).1
    }

    /// One event of the place, as lines without tokens.
    fn take(&mut self, place: Place, token: u64) -> Vec<String> {
        match place {
            Own => {
                let event = self.owns.get_mut(&token).expect("it was connected").try_recv();
                event.iter().map(line).collect()
            }
            On(lane) => {
                let head = format!("{token}: ");
                let told = self.lanes[lane].try_recv().into_iter().flat_map(lines);
                told.map(|line| line.strip_prefix(&head).expect("of this token").to_string()).collect()
            }
        }
    }

    /// All that everybody is told, by token: round until two rounds bring nothing, as one lane may have forwarded to another.
    fn heard(&mut self) -> BTreeMap<u64, Vec<String>> {
        let mut heard: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        let mut idle = 0;
        while idle < 2 {
            idle += 1;
            for told in self.lanes.iter_mut().flat_map(work_off) {
                let (token, line) = told.split_once(": ").expect("a token");
                heard.entry(token.parse().expect("a number")).or_default().push(line.to_string());
                idle = 0;
            }
            for (token, connection) in &mut self.owns {
                let told = seen(connection);
                if !told.is_empty() {
                    heard.entry(*token).or_default().extend(told);
                    idle = 0;
                }
            }
        }
        heard
    }

    /// As `heard`, against what is expected; nobody else is told anything.
    fn expect<const N: usize>(&mut self, expected: [(u64, &[&str]); N]) {
        let heard = self.heard();
        let expected: BTreeMap<u64, Vec<String>> = expected
            .into_iter()
            .map(|(token, lines)| (token, lines.iter().map(ToString::to_string).collect()))
            .collect();
        assert_eq!(heard, expected);
        let stats = self.realtime.stats();
        assert_eq!(stats.queued, 0, "everything was worked off");
        assert_balanced(&self.realtime);
    }
}

const ALL_MOVES: [(Place, Place); 5] =
    [(On(0), On(0)), (On(0), On(1)), (On(0), Own), (Own, On(0)), (Own, Own)];
