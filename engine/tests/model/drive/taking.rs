//! Takes events, one at a time or all there are, and holds each against the model's.

use holocast::{CloseReason, TryRecvError};

use super::super::ops::Tab;
use super::super::seats::{Heard, Seat};
use super::super::{End, ReceiverId, Said, Taken};
use super::Drive;
use super::compare::{Check, Found, differ, same};

/// Whether there was an event.
type Took = Result<bool, Found>;

impl Drive {
    /// One attempt to take from the current receiver, or from the lane that serves it; whether there was an event.
    pub(super) fn take(&mut self, tab: Tab) -> Took {
        let Some((id, seat)) = self.browser(tab).current.as_mut() else { return Ok(false) };
        match seat.lane() {
            Some(lane) => self.take_lane(lane),
            None => {
                let (id, taken) = (*id, seat.try_recv());
                self.taken_now(tab, id, taken)
            }
        }
    }

    pub(super) fn take_old(&mut self, tab: Tab) -> Took {
        let Some((id, seat)) = self.browser(tab).old.front_mut() else { return Ok(false) };
        match seat.lane() {
            Some(lane) => self.take_lane(lane),
            None => {
                let (id, taken) = (*id, seat.try_recv());
                self.taken_now(tab, id, taken)
            }
        }
    }

    /// One event of a lane, whoever it is for.
    fn take_lane(&mut self, lane: usize) -> Took {
        let Some(told) = self.seats.take(lane) else { return Ok(false) };
        for (id, heard) in told {
            let Some(tab) = self.owners.get(&id).copied() else {
                return differ("told on a lane", &(id, heard), &"nobody of this token").map(|()| false);
            };
            self.taken(tab, id, Ok(heard))?;
        }
        Ok(true)
    }

    /// While lanes are not worked off, what is due may wait in one of them.
    fn taken_now(&mut self, tab: Tab, id: ReceiverId, taken: Result<Heard, TryRecvError>) -> Took {
        match taken {
            Err(TryRecvError::Empty) if !self.seats.lanes().is_empty() => Ok(false),
            taken => self.taken(tab, id, taken),
        }
    }

    fn taken(&mut self, tab: Tab, id: ReceiverId, taken: Result<Heard, TryRecvError>) -> Took {
        let expected = self.model.take(id, matches!(taken, Ok(Heard::Lagged(_))));
        match (taken, expected) {
            (Err(TryRecvError::Empty), Taken::Empty) | (Err(TryRecvError::Closed), Taken::Closed) => {
                return Ok(false);
            }
            (Ok(Heard::Subscribed(receipt)), Taken::Event(Said::Subscribed(proof))) => {
                self.issued(&receipt, &proof)?;
                self.browser(tab).keep((proof, receipt));
            }
            (Ok(Heard::Unsubscribed(mut keys)), Taken::Event(Said::Unsubscribed(mut expected))) => {
                keys.sort();
                expected.sort();
                same("unsubscribed", &keys, &expected)?;
                for key in &keys {
                    self.browser(tab).held.remove(key);
                }
            }
            (Ok(Heard::Broadcast { channel, action, params, cids }), Taken::Event(said)) => {
                same("delivery", &Said::Broadcast { channel, action, params, cids }, &said)?;
            }
            (Ok(Heard::Lagged(lost)), Taken::Event(said)) => same("lagged", &Said::Lagged(lost), &said)?,
            (Ok(Heard::Closed(reason)), Taken::Event(said)) => {
                let end = match reason {
                    CloseReason::Superseded => End::Superseded,
                    CloseReason::Disconnected => End::Disconnected,
                    CloseReason::Overflow => End::Overflow,
                    CloseReason::Shutdown => End::Shutdown,
                    other => return differ("closed", &other, &said).map(|()| false),
                };
                same("closed", &Said::Closed(end), &said)?;
            }
            (taken, expected) => return differ("taken", &taken, &expected).map(|()| false),
        }
        Ok(true)
    }

    /// Everybody takes everything: nothing more is due to anybody. Those that were superseded are let go of.
    pub(super) fn drain_all(&mut self) -> Check {
        // What a lane holds for a connection that was taken over comes out elsewhere, where the same round may have looked before: until
        // two rounds bring nothing.
        let mut idle = 0;
        while idle < 2 {
            idle += 1;
            for lane in self.seats.lanes() {
                while self.take_lane(lane)? {
                    idle = 0;
                }
            }
        }
        for tab in Tab::all() {
            while let Some((id, mut seat)) = self.browser(tab).old.pop_front() {
                while self.drained(tab, id, &mut seat)? {}
                self.let_go(id, seat)?;
            }
            if let Some((id, mut seat)) = self.browser(tab).current.take() {
                while self.drained(tab, id, &mut seat)? {}
                self.browser(tab).current = Some((id, seat));
            }
        }
        Ok(())
    }

    /// One attempt to take when all lanes are worked off.
    fn drained(&mut self, tab: Tab, id: ReceiverId, seat: &mut Seat) -> Took {
        match (seat.try_recv(), seat.lane()) {
            // A lane says nothing of one whose end it has told.
            (_, Some(_)) => match self.model.take(id, false) {
                Taken::Empty | Taken::Closed => Ok(false),
                expected => differ("told on a lane", &"nothing more", &expected).map(|()| false),
            },
            (taken, None) => self.taken(tab, id, taken),
        }
    }
}
