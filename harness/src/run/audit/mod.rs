//! Holds every delivery of a run against the rules, after the run.
//!
//! What had to be delivered and what could be is worked out in `model.rs` from the publishers' calls; here each receiver's log
//! is held against it: nothing lost, doubled, out of order, late after an unsubscribe, leaked after a logout, or excluded and
//! yet delivered. Losses that the rules allow are those of the last messages of a connection that ended (B5), of a user who
//! is gone (C5), and as many as it was told with `Lagged` (Q2, `losses.rs`). What comes after an overflow is nobody's to get.

mod accounts;
mod losses;
mod model;
mod overflow;
#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::thread;

pub(super) use accounts::{Counted, accounts, left, unbalanced};
use losses::Losses;
use model::{Model, Span, Tenancy, Why};

use super::crowd::Crowd;
use super::record::{Record, Seen, Sent};
use super::script::Except;
use crate::results::{Accounts, Audit};

/// Faults that are named; the others are counted.
const MOST_NAMED: usize = 100;

/// What was found.
#[derive(Debug, Default)]
struct Faults {
    named: Vec<String>,
    more: u64,
}

impl Faults {
    fn add(&mut self, fault: impl FnOnce() -> String) {
        if self.named.len() < MOST_NAMED {
            self.named.push(fault());
        } else {
            self.more += 1;
        }
    }

    fn append(&mut self, other: Self) {
        self.more += other.more;
        other.named.into_iter().for_each(|fault| self.add(|| fault));
    }
}

/// Audits a run. `faults` are those of the accounting, `accounts` its end. Without `scripted` nobody knows who had to hear what;
/// then only the order of deliveries and the accounting are looked at.
pub(super) fn audit(
    record: &Record,
    crowd: &Crowd,
    accounts: Accounts,
    unbalanced: Vec<String>,
    scripted: bool,
) -> Audit {
    let mut faults = Faults { named: unbalanced, more: 0 };
    let sent = record.sent();
    let model = Model::new(record, &sent, crowd, scripted, &mut faults);
    let handed = Handed::new(record, &model, &mut faults);
    let mut losses = Losses::new(record, &sent, &model);
    let book = Book { crowd, model: &model, by_room: by_room(&sent, crowd), sent, handed };
    book.reached(&mut faults);
    let (mut due, mut lost) = (0, 0);
    for part in book.tenancies(scripted) {
        due += part.due;
        lost += part.lost;
        faults.append(part.faults);
        book.untold(part.unexplained, &mut losses, &mut faults);
    }
    let gone = accounts.released + accounts.withheld + accounts.refused;
    if lost > gone {
        faults.add(|| {
            format!("B5: {lost} deliveries are missing, but only {gone} were released, withheld or refused")
        });
    }
    if faults.more > 0 {
        faults.named.push(format!("and {} more", faults.more));
    }
    Audit {
        passed: faults.named.is_empty(),
        deliveries_checked: book.handed.all.len() as u64,
        deliveries_due: due,
        faults: faults.named,
        accounts,
    }
}

/// One delivery.
#[derive(Debug, Clone, Copy)]
struct Delivery {
    message: u32,
    /// The take that handed it out began after this.
    began_ns: u64,
}

/// All deliveries, by tenancy, and within one in the order in which they were taken.
#[derive(Debug)]
struct Handed {
    all: Vec<Delivery>,
    /// Where each tenancy's begin; one more than there are tenancies.
    from: Vec<usize>,
}

impl Handed {
    fn new(record: &Record, model: &Model, faults: &mut Faults) -> Self {
        let deliveries = || record.seen.iter().flat_map(Seen::handed_out);
        let mut from = vec![0; model.tenancies.len() + 1];
        for (taken, _) in deliveries() {
            match model.tenancy_of(taken.life) {
                Some(tenancy) => from[tenancy as usize + 1] += 1,
                None => faults.add(|| format!("connection {} was never made, but got a message", taken.life)),
            }
        }
        for at in 1..from.len() {
            from[at] += from[at - 1];
        }
        let mut next = from.clone();
        let mut all = vec![Delivery { message: 0, began_ns: 0 }; from.last().copied().unwrap_or(0)];
        for (taken, began_ns) in deliveries() {
            if let Some(tenancy) = model.tenancy_of(taken.life) {
                let next = &mut next[tenancy as usize];
                all[*next] = Delivery { message: taken.message, began_ns };
                *next += 1;
            }
        }
        Handed { all, from }
    }

    fn of(&self, tenancy: u32) -> &[Delivery] {
        &self.all[self.from[tenancy as usize]..self.from[tenancy as usize + 1]]
    }
}

/// The numbers of the messages to each room, in the order in which they were called.
fn by_room(sent: &[Vec<Sent>], crowd: &Crowd) -> Vec<Vec<u32>> {
    let mut rooms = vec![Vec::new(); crowd.rooms.len()];
    for (publisher, messages) in sent.iter().enumerate() {
        for (nth, message) in messages.iter().enumerate() {
            if let Some(room) = rooms.get_mut(message.room as usize) {
                room.push(Record::message(nth, publisher, sent.len()));
            }
        }
    }
    for room in &mut rooms {
        room.sort_by_key(|number| {
            let number = *number as usize;
            sent[number % sent.len()][number / sent.len()].called_ns
        });
    }
    rooms
}

/// Everything that the audit looks into.
struct Book<'a> {
    crowd: &'a Crowd,
    model: &'a Model,
    /// By publisher.
    sent: Vec<Vec<Sent>>,
    by_room: Vec<Vec<u32>>,
    handed: Handed,
}

/// What one share of the tenancies gave.
#[derive(Default)]
struct Part {
    due: u64,
    lost: u64,
    /// Of each tenancy what is missing and neither released nor withheld; the tenancies in order.
    unexplained: Vec<(u32, Vec<u32>)>,
    faults: Faults,
}

impl Book<'_> {
    fn sent(&self, number: u32) -> Option<&Sent> {
        let (publisher, nth) = Record::publisher(number, self.sent.len());
        self.sent.get(publisher)?.get(nth)
    }

    /// The publisher of a message and its place among that one's.
    fn place(&self, number: u32) -> (usize, u32) {
        let (publisher, nth) = Record::publisher(number, self.sent.len());
        (publisher, nth as u32)
    }

    fn describe(&self, number: u32, tenancy: &Tenancy) -> String {
        let (publisher, nth) = self.place(number);
        let instance = &self.crowd.tabs[tenancy.tab as usize].instance;
        match self.sent(number) {
            Some(sent) => format!(
                "message {nth} of publisher {publisher} to room {}, called at {:.6} s, to {instance}",
                sent.room as i32,
                sent.called_ns as f64 / 1e9
            ),
            None => format!("message {nth} of publisher {publisher}, never sent, to {instance}"),
        }
    }

    /// B3: no message is handed out to more connections than its broadcast reached.
    fn reached(&self, faults: &mut Faults) {
        let mut counts: Vec<Vec<u32>> = self.sent.iter().map(|sent| vec![0; sent.len()]).collect();
        for delivery in &self.handed.all {
            let (publisher, nth) = self.place(delivery.message);
            if let Some(count) = counts[publisher].get_mut(nth as usize) {
                *count += 1;
            }
        }
        for (publisher, (sent, counts)) in self.sent.iter().zip(counts).enumerate() {
            for (nth, (sent, count)) in sent.iter().zip(counts).enumerate() {
                if count > sent.reached {
                    faults.add(|| {
                        let reached = sent.reached;
                        format!("B3: message {nth} of publisher {publisher} was handed out {count} times, but reached {reached}")
                    });
                }
            }
        }
    }

    /// Looks at every tenancy, on all cores.
    fn tenancies(&self, scripted: bool) -> Vec<Part> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let share = self.model.tenancies.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let parts: Vec<_> = (0..self.model.tenancies.len())
                .step_by(share)
                .map(|from| {
                    let until = (from + share).min(self.model.tenancies.len());
                    scope.spawn(move || {
                        let mut part = Part::default();
                        for tenancy in from as u32..until as u32 {
                            self.order(tenancy, &mut part.faults);
                            if scripted {
                                self.bindings(tenancy, &mut part);
                            }
                        }
                        part
                    })
                })
                .collect();
            parts
                .into_iter()
                .map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    /// B4 and B5: each publisher's messages in order, none twice.
    fn order(&self, number: u32, faults: &mut Faults) {
        let tenancy = &self.model.tenancies[number as usize];
        let handed = self.handed.of(number);
        let mut last = vec![None; self.sent.len()];
        for (at, delivery) in handed.iter().enumerate() {
            let (publisher, nth) = self.place(delivery.message);
            let described = || self.describe(delivery.message, tenancy);
            let Some(sent) = self.sent(delivery.message) else {
                faults.add(|| format!("handed out: {}", described()));
                continue;
            };
            let disordered = last[publisher] >= Some(nth);
            let twice = disordered && handed[..at].iter().any(|before| before.message == delivery.message);
            let straddles = sent.called_ns < tenancy.began_called_ns;
            let before = tenancy.previous.filter(|_| straddles).map(|previous| self.handed.of(previous));
            let elsewhere =
                before.is_some_and(|before| before.iter().any(|before| before.message == delivery.message));
            if twice || elsewhere {
                faults.add(|| format!("B5: handed out twice: {}", described()));
            } else if disordered {
                faults.add(|| format!("B4: handed out after a later one: {}", described()));
            }
            last[publisher] = last[publisher].max(Some(nth));
        }
    }

    /// Every delivery came by a binding, and every binding got what was due to it.
    fn bindings(&self, number: u32, part: &mut Part) {
        let tenancy = &self.model.tenancies[number as usize];
        let spans = self.model.spans_of(number);
        let mut handed = Vec::new();
        let mut last = Last::default();
        for delivery in self.handed.of(number) {
            let Some(sent) = self.sent(delivery.message) else { continue };
            let (publisher, nth) = self.place(delivery.message);
            handed.push(delivery.message);
            let of_room = room(spans, sent.room);
            let mut by = of_room.iter().filter(|span| span.may_get(sent));
            if let Some(fault) = self.wrong(tenancy, delivery, sent, of_room) {
                part.faults.add(|| format!("{fault}: {}", self.describe(delivery.message, tenancy)));
            }
            let user = match (by.next(), by.next()) {
                (Some(only), None) => only.user,
                _ => None,
            };
            last.note(publisher, nth, user);
        }
        handed.sort_unstable();
        let mut unexplained = Vec::new();
        for span in spans {
            let Some(messages) = self.by_room.get(span.room as usize) else { continue };
            let called = |message: &u32| self.sent(*message).map_or(0, |sent| sent.called_ns);
            let from = messages.partition_point(|message| called(message) <= span.bound_returned_ns);
            let until = messages.partition_point(|message| called(message) < span.unbound_called_ns);
            for &message in messages.get(from..until).unwrap_or_default() {
                let Some(sent) = self.sent(message) else { continue };
                if sent.returned_ns >= span.unbound_called_ns || self.is_excluded(sent.except, tenancy.tab) {
                    continue;
                }
                part.due += 1;
                if handed.binary_search(&message).is_ok() {
                    continue;
                }
                part.lost += 1;
                let (publisher, nth) = self.place(message);
                let released = tenancy.released && last.of_all(publisher) < Some(nth);
                let withheld = span.user.is_some_and(|user| {
                    (user as usize) < tenancy.users_until_ns.len()
                        && last.of_user(publisher, user) < Some(nth)
                });
                if !released && !withheld {
                    unexplained.push(message);
                }
            }
        }
        if !unexplained.is_empty() {
            part.unexplained.push((number, unexplained));
        }
    }

    /// Q2: no tab misses more than it was told.
    fn untold(&self, unexplained: Vec<(u32, Vec<u32>)>, losses: &mut Losses, faults: &mut Faults) {
        for (number, messages) in unexplained {
            let tenancy = &self.model.tenancies[number as usize];
            let Err(told) = losses.explain(tenancy.tab, number, messages.len() as u64) else { continue };
            for message in messages {
                faults.add(|| {
                    let told = if told > 0 { format!(" ({told} lost were told)") } else { String::new() };
                    format!("B1: lost{told}: {}", self.describe(message, tenancy))
                });
            }
        }
    }

    /// What is wrong with a delivery, given its tenancy's spans of the room.
    fn wrong(
        &self,
        tenancy: &Tenancy,
        delivery: &Delivery,
        sent: &Sent,
        of_room: &[Span],
    ) -> Option<&'static str> {
        if self.is_excluded(sent.except, tenancy.tab) {
            return Some("B2: excluded, but handed out");
        }
        let mut by = of_room.iter().filter(|span| span.may_get(sent)).peekable();
        if by.peek().is_none() {
            // The last one that had ended by then.
            let ended = of_room.iter().rev().find(|span| span.unbound_returned_ns < sent.called_ns);
            return Some(match ended.map(|span| span.why) {
                Some(Why::UserChanged) => "C5: leaked after a logout",
                Some(Why::ConnectionEnded) => "C4: late after the end of its connection",
                Some(_) => "B6: late after an unsubscribe",
                None => "B1: handed out without a binding",
            });
        }
        let in_force = |span: &Span| {
            let until_ns = span.user.and_then(|user| tenancy.users_until_ns.get(user as usize));
            until_ns.is_none_or(|until_ns| delivery.began_ns <= *until_ns)
        };
        (!by.any(in_force)).then_some("C5: leaked after a logout")
    }

    fn is_excluded(&self, except: Except, tab: u32) -> bool {
        match except {
            Except::Nobody => false,
            Except::Tab(excluded) => excluded == tab,
            Except::Person(person) => self.crowd.tabs[tab as usize].person == person,
        }
    }
}

/// The spans of one room.
fn room(spans: &[Span], room: u32) -> &[Span] {
    let from = spans.partition_point(|span| span.room < room);
    let len = spans[from..].partition_point(|span| span.room == room);
    &spans[from..from + len]
}

impl Span {
    /// Whether there may be an instant at which both the binding was there and the broadcast ran.
    fn may_get(&self, sent: &Sent) -> bool {
        self.bound_called_ns <= sent.returned_ns && sent.called_ns <= self.unbound_returned_ns
    }
}

/// The last message of each publisher that a tenancy got: of all, and by what each of its users authorized.
#[derive(Default)]
struct Last {
    all: Vec<(usize, u32)>,
    by_user: Vec<(usize, u32, u32)>,
}

impl Last {
    fn note(&mut self, publisher: usize, nth: u32, user: Option<u32>) {
        match self.all.iter_mut().find(|(known, _)| *known == publisher) {
            Some((_, last)) => *last = nth.max(*last),
            None => self.all.push((publisher, nth)),
        }
        let Some(user) = user else { return };
        match self.by_user.iter_mut().find(|(known, of, _)| (*known, *of) == (publisher, user)) {
            Some((_, _, last)) => *last = nth.max(*last),
            None => self.by_user.push((publisher, user, nth)),
        }
    }

    fn of_all(&self, publisher: usize) -> Option<u32> {
        self.all.iter().find(|(known, _)| *known == publisher).map(|(_, last)| *last)
    }

    fn of_user(&self, publisher: usize, user: u32) -> Option<u32> {
        self.by_user
            .iter()
            .find(|(known, of, _)| (*known, *of) == (publisher, user))
            .map(|(_, _, last)| *last)
    }
}
