//! Rule B5 at rest: every message that a queue took was handed out, waits, went with its connection, or was withheld.
//!
//! The engine's own sums are held against each other and against what publishers and receivers wrote down.

use std::thread;
use std::time::{Duration, Instant};

use holocast::Stats;

use crate::results::Accounts;

/// What both sides wrote down.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::run) struct Counted {
    /// Queues that took a message, as the broadcasts returned it.
    pub(in crate::run) reached: u64,
    /// Queues that were full, as the broadcasts returned it.
    pub(in crate::run) refused: u64,
    /// Messages handed out, as the receivers counted them.
    pub(in crate::run) received: u64,
}

/// The part of the engine's sums that the rule is about.
pub(in crate::run) fn accounts(stats: &Stats) -> Accounts {
    let Stats { accepted, taken, queued, released, withheld, refused, .. } = *stats;
    Accounts { accepted, taken, queued, released, withheld, refused }
}

/// What does not balance at a moment at which no thread works.
pub(in crate::run) fn unbalanced(when: &str, sums: &Accounts, counted: &Counted) -> Vec<String> {
    let Accounts { accepted, taken, queued, released, withheld, refused } = *sums;
    let gone = taken + queued + released + withheld;
    let mut faults = Vec::new();
    let mut hold = |balances: bool, fault: String| {
        if !balances {
            faults.push(format!("{when}: the accounting does not balance: {fault}"));
        }
    };
    hold(
        accepted == gone,
        format!(
            "{accepted} accepted, but {taken} taken + {queued} queued + {released} released + {withheld} withheld = {gone}"
        ),
    );
    hold(taken == counted.received, format!("{taken} taken, but the receivers got {}", counted.received));
    hold(
        accepted == counted.reached,
        format!("{accepted} accepted, but the broadcasts reached {}", counted.reached),
    );
    hold(
        refused == counted.refused,
        format!("{refused} refused, but the broadcasts returned {}", counted.refused),
    );
    faults
}

/// What is left after the end of all connections: nothing may be. `messages` counts those that are still in memory.
pub(in crate::run) fn left(stats: &Stats, messages: impl Fn() -> u64) -> Vec<String> {
    /// Memory may be given back a little after its last use.
    const GRACE: Duration = Duration::from_secs(2);

    let since = Instant::now();
    while messages() > 0 && since.elapsed() < GRACE {
        thread::sleep(Duration::from_millis(1));
    }
    [
        ("connections are left", stats.connections),
        ("bindings are left", stats.bindings),
        ("queued messages are left", stats.queued),
        ("messages are still in memory", messages()),
    ]
    .into_iter()
    .filter(|(_, left)| *left > 0)
    .map(|(what, left)| format!("all connections ended: {left} {what}"))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b5_a_message_lost_or_handed_out_twice_is_a_fault() {
        let sums = Accounts { accepted: 10, taken: 4, queued: 3, released: 2, withheld: 1, refused: 1 };
        let counted = Counted { reached: 10, refused: 1, received: 4 };
        assert_eq!(unbalanced("now", &sums, &counted), Vec::<String>::new());
        for (sums, counted, fault) in [
            (
                Accounts { taken: 3, ..sums },
                Counted { received: 3, ..counted },
                "10 accepted, but 3 taken + 3 queued + 2 released + 1 withheld = 9",
            ),
            (sums, Counted { received: 5, ..counted }, "4 taken, but the receivers got 5"),
            (
                Accounts { accepted: 9, queued: 2, ..sums },
                counted,
                "9 accepted, but the broadcasts reached 10",
            ),
            (Accounts { refused: 0, ..sums }, counted, "0 refused, but the broadcasts returned 1"),
        ] {
            let fault = format!("now: the accounting does not balance: {fault}");
            assert_eq!(unbalanced("now", &sums, &counted), [fault]);
        }
    }

    #[test]
    fn c4_what_outlives_its_connection_is_a_fault() {
        assert_eq!(left(&Stats::default(), || 0), Vec::<String>::new());
        assert_eq!(left(&Stats::default(), || 2), ["all connections ended: 2 messages are still in memory"]);
    }
}
