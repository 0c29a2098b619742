//! Rule B5 at rest: every message that a queue took was handed out, waits, went with its connection, or was withheld.
//!
//! The engine's own sums are held against each other and against what the harness counted on both sides.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::publisher::Counts;
use super::receiver::Receiver;
use super::world::World;

/// The sums at one moment at which no thread worked.
#[derive(Debug, Clone, Serialize)]
pub struct Rest {
    /// Which moment.
    pub when: &'static str,
    /// Messages that queues took, as the engine says.
    pub accepted: u64,
    /// Handed out.
    pub taken: u64,
    /// Waiting.
    pub queued: u64,
    /// Gone with their connection.
    pub released: u64,
    /// Not handed out because the user had changed (rule C5).
    pub withheld: u64,
    /// Queues that were full, as the engine says.
    pub refused: u64,
    /// Deliveries that the receivers counted.
    pub received: u64,
    /// Live connections.
    pub connections: u64,
    /// Bindings held.
    pub bindings: u64,
}

/// The accounting of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Accounts {
    /// Queues that took a message, as the broadcasts returned it.
    pub reached: u64,
    /// Queues that were full, as the broadcasts returned it.
    pub refused: u64,
    /// In order of time.
    pub rests: Vec<Rest>,
    /// What did not balance.
    pub faults: Vec<String>,
}

impl Accounts {
    pub(super) fn new(counts: &Counts) -> Self {
        Accounts { reached: counts.reached, refused: counts.refused, rests: Vec::new(), faults: Vec::new() }
    }

    /// Sums up; no other thread works.
    pub(super) fn rest(&mut self, when: &'static str, world: &World, receivers: &[Receiver<'_>]) {
        let stats = world.engine.stats();
        let rest = Rest {
            when,
            accepted: stats.accepted,
            taken: stats.taken,
            queued: stats.queued,
            released: stats.released,
            withheld: stats.withheld,
            refused: stats.refused,
            received: receivers.iter().map(Receiver::deliveries).sum(),
            connections: stats.connections,
            bindings: stats.bindings,
        };
        self.balance(&rest);
        self.rests.push(rest);
    }

    fn balance(&mut self, rest: &Rest) {
        let Rest { when, accepted, taken, queued, released, withheld, refused, received, .. } = *rest;
        let gone = taken + queued + released + withheld;
        if accepted != gone {
            self.faults.push(format!(
                "{when}: {accepted} accepted, but {taken} taken + {queued} queued + {released} released + {withheld} withheld = {gone}"
            ));
        }
        if taken != received {
            self.faults.push(format!("{when}: {taken} taken, but the receivers got {received}"));
        }
        if accepted != self.reached {
            self.faults
                .push(format!("{when}: {accepted} accepted, but the broadcasts reached {}", self.reached));
        }
        if refused != self.refused {
            self.faults
                .push(format!("{when}: {refused} refused, but the broadcasts returned {}", self.refused));
        }
    }

    /// After the end of all connections nothing of them is left, in the engine or on the way.
    pub(super) fn nothing_is_left(&mut self, world: &World) {
        /// Memory may be given back a little after its last use.
        const GRACE: Duration = Duration::from_secs(2);

        let stats = world.engine.stats();
        for (what, left) in [
            ("connections", stats.connections),
            ("bindings", stats.bindings),
            ("queued messages", stats.queued),
        ] {
            if left > 0 {
                self.faults.push(format!("all ended: {left} {what} are left"));
            }
        }
        let on_the_way = || world.on_the_way.iter().map(|publisher| publisher.messages()).sum::<u64>();
        let since = Instant::now();
        while on_the_way() > 0 && since.elapsed() < GRACE {
            thread::sleep(Duration::from_millis(1));
        }
        if on_the_way() > 0 {
            self.faults.push(format!("all ended: {} messages are still in memory", on_the_way()));
        }
    }

    /// What did not balance first; `None` if everything did.
    pub fn first_fault(&self) -> Option<String> {
        self.faults.first().map(|fault| format!("the accounting does not balance: {fault}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced() -> (Accounts, Rest) {
        let counts = Counts { reached: 10, refused: 1, ..Counts::default() };
        let rest = Rest {
            when: "now",
            accepted: 10,
            taken: 4,
            queued: 3,
            released: 2,
            withheld: 1,
            refused: 1,
            received: 4,
            connections: 0,
            bindings: 0,
        };
        (Accounts::new(&counts), rest)
    }

    #[test]
    fn b5_a_message_lost_or_handed_out_twice_is_a_fault() {
        let (mut accounts, rest) = balanced();
        accounts.balance(&rest);
        assert_eq!(accounts.first_fault(), None);
        for (wrong, fault) in [
            (
                Rest { taken: 3, received: 3, ..rest.clone() },
                "10 accepted, but 3 taken + 3 queued + 2 released + 1 withheld = 9",
            ),
            (Rest { received: 5, ..rest.clone() }, "4 taken, but the receivers got 5"),
            (Rest { accepted: 9, queued: 2, ..rest.clone() }, "9 accepted, but the broadcasts reached 10"),
            (Rest { refused: 0, ..rest.clone() }, "0 refused, but the broadcasts returned 1"),
        ] {
            let (mut accounts, _) = balanced();
            accounts.balance(&wrong);
            assert_eq!(
                accounts.first_fault(),
                Some(format!("the accounting does not balance: now: {fault}"))
            );
        }
    }
}
