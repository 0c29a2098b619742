//! Where connections live: each with a queue of its own, or spread over lanes. The driver deals with receivers and what they are told.
//!
//! Called by the driver. It asks nothing of the model; a receiver's name is its token on a lane.

use holocast::{
    Cid, Client, CloseReason, Connected, Connection, Error, Event, Key, Lane, LaneConnected, LaneEvent,
    LaneKey, Realtime, Receipt, TryRecvError,
};

use super::ReceiverId;
use super::ops::Tab;

/// A way to spread the tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// None: every connection has a queue of its own.
    lanes: usize,
    /// One place more, beside the lanes: a queue of one's own.
    mixed: bool,
    /// A tab connects at another place than before.
    roams: bool,
    /// A hangup takes the whole lane along, and another lane takes its place.
    falls: bool,
}

impl Form {
    pub(crate) const OWN: Form = Form { lanes: 0, mixed: false, roams: false, falls: false };

    pub(crate) const ON_LANES: [Form; 7] = [
        Form { lanes: 1, ..Form::OWN },
        Form { lanes: 2, ..Form::OWN },
        Form { lanes: 2, mixed: true, ..Form::OWN },
        Form { lanes: 3, roams: true, ..Form::OWN },
        Form { lanes: 1, mixed: true, roams: true, ..Form::OWN },
        Form { lanes: 2, falls: true, ..Form::OWN },
        Form { lanes: 2, mixed: true, roams: true, falls: true },
    ];

    pub(crate) fn from_byte(byte: u8) -> Self {
        match usize::from(byte) % (Self::ON_LANES.len() + 1) {
            0 => Form::OWN,
            n => Self::ON_LANES[n - 1],
        }
    }

    pub(crate) fn has_lanes(self) -> bool {
        self.lanes > 0
    }
}

/// What one receiver was told.
#[derive(Debug)]
pub(crate) enum Heard {
    Subscribed(Receipt),
    Unsubscribed(Vec<Key>),
    Broadcast { channel: holocast::Channel, action: String, params: u64, cids: Vec<Cid> },
    Lagged(u64),
    Closed(CloseReason),
}

impl From<Event<u64>> for Heard {
    fn from(event: Event<u64>) -> Self {
        match event {
            Event::Subscribed(receipt) => Heard::Subscribed(receipt),
            Event::Unsubscribed(keys) => Heard::Unsubscribed(keys),
            Event::Broadcast(delivery) => Heard::Broadcast {
                channel: delivery.channel().clone(),
                action: delivery.action().to_string(),
                params: *delivery.params(),
                cids: delivery.cids().cloned().collect(),
            },
            Event::Lagged(lost) => Heard::Lagged(lost),
            Event::Closed(reason) => Heard::Closed(reason),
            other => panic!("no rule knows {other:?}"),
        }
    }
}

/// One receiver's place.
pub(crate) enum Seat {
    Own(Connection<u64>),
    Lane(usize, LaneKey),
}

/// What a connect or reconnect returned.
pub(crate) struct Seated {
    pub(crate) seat: Seat,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) superseded: bool,
}

/// All places of an engine.
pub(crate) struct Seats {
    realtime: Realtime<u64>,
    form: Form,
    lanes: Vec<Lane<u64>>,
    arrivals: usize,
}

impl Seats {
    pub(crate) fn new(form: Form, realtime: &Realtime<u64>) -> Self {
        let lanes = (0..form.lanes).map(|_| realtime.lane()).collect();
        Seats { realtime: realtime.clone(), form, lanes, arrivals: 0 }
    }

    pub(crate) fn lanes(&self) -> std::ops::Range<usize> {
        0..self.lanes.len()
    }

    /// Connects the client where its tab belongs; with receipts if it presents any.
    pub(crate) fn arrive(
        &mut self,
        tab: Tab,
        client: &Client,
        presented: Option<&[Receipt]>,
        id: ReceiverId,
    ) -> Result<Seated, Error> {
        self.arrivals += usize::from(self.form.roams);
        let place = (tab.number() + self.arrivals) % (self.form.lanes + usize::from(self.form.mixed)).max(1);
        let Some(lane) = self.lanes.get_mut(place) else {
            let Connected { connection, receipts, superseded } = match presented {
                Some(presented) => self.realtime.reconnect(client, presented)?,
                None => self.realtime.connect(client)?,
            };
            assert_eq!(connection.instance(), client.instance());
            return Ok(Seated { seat: Seat::Own(connection), receipts, superseded });
        };
        let LaneConnected { key, receipts, superseded } = match presented {
            Some(presented) => lane.reconnect(client, presented, id as u64)?,
            None => lane.connect(client, id as u64)?,
        };
        Ok(Seated { seat: Seat::Lane(place, key), receipts, superseded })
    }

    /// One event of a lane, worked off: whom it told what.
    pub(crate) fn take(&mut self, lane: usize) -> Option<Vec<(ReceiverId, Heard)>> {
        let mut batch = match self.lanes[lane].try_recv()? {
            LaneEvent::One(token, event) => return Some(vec![(token as ReceiverId, event.into())]),
            LaneEvent::Broadcast(batch) => batch,
            other => panic!("no script fills a lane: {other:?}"),
        };
        let (channel, action, params) =
            (batch.channel().clone(), batch.action().to_string(), *batch.params());
        let (due, mut told) = (batch.len(), Vec::new());
        let mut tell = |(token, cids): (u64, holocast::Cids<'_>)| {
            let (channel, action) = (channel.clone(), action.clone());
            told.push((
                token as ReceiverId,
                Heard::Broadcast { channel, action, params, cids: cids.cloned().collect() },
            ));
        };
        // The second walk goes on where the first one stopped.
        batch.receivers().next().map(&mut tell);
        batch.receivers().for_each(&mut tell);
        assert!(
            told.len() <= due && batch.is_empty(),
            "{} of {due} were told, {} are left",
            told.len(),
            batch.len()
        );
        Some(told)
    }

    /// The receiver is gone. `Some`: the lane that went with it.
    pub(crate) fn hang_up(&mut self, seat: Seat) -> Option<usize> {
        match seat {
            Seat::Own(connection) => drop(connection),
            Seat::Lane(lane, _) if self.form.falls => {
                self.lanes[lane] = self.realtime.lane();
                return Some(lane);
            }
            Seat::Lane(lane, key) => drop(self.lanes[lane].disconnect(key)),
        }
        None
    }

    /// A receiver that was superseded or has ended is let go of: nothing changes.
    pub(crate) fn let_go(&mut self, seat: Seat) -> bool {
        match seat {
            Seat::Own(connection) => {
                drop(connection);
                false
            }
            Seat::Lane(lane, key) => self.lanes[lane].disconnect(key),
        }
    }
}

impl Seat {
    /// One attempt to take, of a receiver with a queue of its own.
    pub(crate) fn try_recv(&mut self) -> Result<Heard, TryRecvError> {
        match self {
            Seat::Own(connection) => connection.try_recv().map(Heard::from),
            // What a lane hands out is told as it comes.
            Seat::Lane(..) => Err(TryRecvError::Empty),
        }
    }

    pub(crate) fn lane(&self) -> Option<usize> {
        match self {
            Seat::Own(_) => None,
            Seat::Lane(lane, _) => Some(*lane),
        }
    }
}
