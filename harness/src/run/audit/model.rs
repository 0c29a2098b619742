//! Who was bound to what and when, worked out from the publishers' calls alone.
//!
//! Every change of a person is a call of one publisher, so its calls in their order are that person's life. Between the start
//! and the return of a call its effect may or may not be there yet: a binding is held *for certain* from the return of the call
//! that made it to the start of the one that ended it, and *at most* from the start of the first to the return of the second.
//!
//! An overflow (Q2) ends a connection in nobody's call. Its receiver says that there was one; `overflow.rs` says since when.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::super::crowd::Crowd;
use super::super::record::{Answer, Call, Entry, Record, Sent};
use super::super::script::Op;
use super::Faults;
use super::overflow::Overflows;

/// A moment that never came.
const NEVER: u64 = u64::MAX;

/// A connection and those that superseded it: they hold the same bindings and share a queue.
#[derive(Debug, Default)]
pub(super) struct Tenancy {
    pub(super) tab: u32,
    /// Its other lives took over.
    pub(super) first_life: u32,
    /// The tab's one before.
    pub(super) previous: Option<u32>,
    pub(super) began_called_ns: u64,
    /// It ended before the run did, so that what was queued last was released.
    pub(super) released: bool,
    /// An overflow closed it, then or later.
    pub(super) overflowed_from_ns: Option<u64>,
    /// When each change of its user had returned. A binding belongs to the user between two of them.
    pub(super) users_until_ns: Vec<u64>,
}

impl Tenancy {
    /// Whether an overflow may have ended it by then.
    fn may_have_overflowed(&self, by_ns: u64) -> bool {
        self.overflowed_from_ns.is_some_and(|from_ns| from_ns <= by_ns)
    }
}

/// A binding of a tenancy to a room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) tenancy: u32,
    pub(super) room: u32,
    /// Which of the tenancy's users authorized it; `None`: nobody.
    pub(super) user: Option<u32>,
    pub(super) bound_called_ns: u64,
    pub(super) bound_returned_ns: u64,
    pub(super) unbound_called_ns: u64,
    pub(super) unbound_returned_ns: u64,
    pub(super) why: Why,
}

/// What ended a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Nothing,
    Unsubscribed,
    UserChanged,
    ConnectionEnded,
}

/// Everything, in order.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) tenancies: Vec<Tenancy>,
    /// By the number of the life; `u32::MAX` where there is none.
    tenancy_of_life: Vec<u32>,
    /// By tenancy, room and time.
    pub(super) spans: Vec<Span>,
}

impl Model {
    /// Works it out; calls whose answers can't be right are faults. Without `scripted` only tenancies are known.
    pub(super) fn new(
        record: &Record,
        sent: &[Vec<Sent>],
        crowd: &Crowd,
        scripted: bool,
        faults: &mut Faults,
    ) -> Self {
        let mut builder = Builder {
            crowd,
            overflows: Overflows::new(record, sent),
            model: Model::default(),
            tabs: vec![State::default(); crowd.tabs.len()],
            logged_in: crowd.people.iter().map(|person| person.logged_in).collect(),
            revoked: HashMap::new(),
            faults,
        };
        for call in record.calls.iter().flatten() {
            match &call.answer {
                Answer::Entry(entry) => builder.entry(call, entry, scripted),
                Answer::Matched(matched) if scripted => builder.change(call, *matched),
                Answer::Identified(found) if scripted => builder.identified(call, found),
                _ => {}
            }
        }
        builder.finish()
    }

    pub(super) fn tenancy_of(&self, life: u32) -> Option<u32> {
        self.tenancy_of_life.get(life as usize).copied().filter(|tenancy| *tenancy != u32::MAX)
    }

    /// The spans of one tenancy; those of a room stand together.
    pub(super) fn spans_of(&self, tenancy: u32) -> &[Span] {
        let from = self.spans.partition_point(|span| span.tenancy < tenancy);
        let len = self.spans[from..].partition_point(|span| span.tenancy == tenancy);
        &self.spans[from..from + len]
    }
}

/// A tab, as of the last call.
#[derive(Debug, Clone, Default)]
struct State {
    /// While it is live.
    tenancy: Option<u32>,
    last: Option<u32>,
    open: Vec<Span>,
}

/// The time of a revocation, in the engine's milliseconds.
#[derive(Debug, Clone, Copy)]
struct Revoked {
    called_ms: u64,
    returned_ms: u64,
}

struct Builder<'a> {
    crowd: &'a Crowd,
    overflows: Overflows,
    model: Model,
    tabs: Vec<State>,
    logged_in: Vec<bool>,
    /// By person and room: under the session, and under the user.
    revoked: HashMap<(u32, u32), [Option<Revoked>; 2]>,
    faults: &'a mut Faults,
}

impl Builder<'_> {
    fn entry(&mut self, call: &Call, entry: &Entry, scripted: bool) {
        let tab = entry.tab;
        let live = self.tabs[tab as usize].tenancy;
        match (live, entry.superseded) {
            (Some(tenancy), true) => {
                self.inhabit(tenancy, entry.life);
                if scripted {
                    self.inherited(tenancy, call, entry);
                }
                return;
            }
            (Some(tenancy), false)
                if scripted
                    && !self.model.tenancies[tenancy as usize].may_have_overflowed(call.returned_ns) =>
            {
                self.fault(call, tab, "C3: a live connection was not superseded");
            }
            (None, true) if scripted => {
                self.fault(call, tab, "C4: a connection that had ended was superseded");
            }
            _ => {}
        }
        if live.is_some() {
            self.end(tab, call);
        }
        let state = &mut self.tabs[tab as usize];
        let tenancy = self.model.tenancies.len() as u32;
        let previous = state.last;
        (state.tenancy, state.last) = (Some(tenancy), Some(tenancy));
        let overflowed_from_ns = self.overflows.of(entry.life).map(|last_sent_ns| {
            let from_ns = self.overflows.first_since(last_sent_ns.max(call.called_ns));
            from_ns.unwrap_or_else(|| {
                self.fault(call, tab, "Q2: closed by an overflow, but no broadcast found a full queue");
                call.called_ns
            })
        });
        self.model.tenancies.push(Tenancy {
            tab,
            first_life: entry.life,
            previous,
            began_called_ns: call.called_ns,
            overflowed_from_ns,
            ..Tenancy::default()
        });
        self.inhabit(tenancy, entry.life);
        if scripted {
            self.restored(tab, call, entry);
            for &(room, by_user) in &entry.bound {
                self.open(tab, room, by_user, call);
            }
        }
    }

    fn inhabit(&mut self, tenancy: u32, life: u32) {
        let tenancy_of_life = &mut self.model.tenancy_of_life;
        let at = life as usize;
        tenancy_of_life.resize(tenancy_of_life.len().max(at + 1), u32::MAX);
        tenancy_of_life[at] = tenancy;
    }

    /// C3: exactly the bindings in force carry over.
    fn inherited(&mut self, tenancy: u32, call: &Call, entry: &Entry) {
        if self.model.tenancies[tenancy as usize].may_have_overflowed(call.returned_ns) {
            return;
        }
        let mut held: Vec<u32> = self.tabs[entry.tab as usize].open.iter().map(|span| span.room).collect();
        let mut told: Vec<u32> = entry.bound.iter().map(|(room, _)| *room).collect();
        held.sort_unstable();
        told.sort_unstable();
        if held != told {
            let what = format!("C3: superseded, it should hold rooms {held:?} but was told {told:?}");
            self.fault(call, entry.tab, &what);
        }
    }

    /// C2: exactly the bindings of valid receipts are restored, as far as the times of the calls say which are.
    fn restored(&mut self, tab: u32, call: &Call, entry: &Entry) {
        let person = self.crowd.tabs[tab as usize].person;
        let logged_in = self.logged_in[person as usize];
        let none = [None; 2];
        // Whether a revocation covers a receipt: yes, no, or too close to tell.
        let validity = |room: u32, by_user: bool, stamp_ms: u64| {
            if by_user && !logged_in {
                return Some(false);
            }
            let [session, user] = self.revoked.get(&(person, room)).unwrap_or(&none);
            // The session counts always, the user while it is the connection's (R2).
            let counting = [*session, user.filter(|_| logged_in)];
            let mut counting = counting.iter().flatten();
            if counting.clone().any(|revoked| stamp_ms < revoked.called_ms) {
                Some(false)
            } else if counting.all(|revoked| stamp_ms > revoked.returned_ms) {
                Some(true)
            } else {
                None
            }
        };
        let mut faults = Vec::new();
        for &(room, by_user) in &entry.bound {
            let mut presented = entry.presented.iter().filter(|receipt| receipt.room == room).peekable();
            if presented.peek().is_none() {
                faults.push(format!("C2: bound to room {room} without a receipt"));
            } else if presented
                .clone()
                .all(|receipt| validity(room, receipt.by_user, receipt.stamp_ms) == Some(false))
            {
                faults.push(format!(
                    "R2: bound to room {room} by a receipt that was revoked or another user's"
                ));
            } else if presented.all(|receipt| receipt.by_user != by_user) {
                faults
                    .push(format!("C2: bound to room {room} under another authorization than its receipt's"));
            }
        }
        let may_be_gone = self.tabs[tab as usize].tenancy.is_some_and(|tenancy| {
            self.model.tenancies[tenancy as usize].may_have_overflowed(call.returned_ns)
        });
        // A connection that an overflow ends while it comes back is bound to nothing more.
        for receipt in entry.presented.iter().filter(|_| !may_be_gone) {
            let must = validity(receipt.room, receipt.by_user, receipt.stamp_ms) == Some(true);
            if must && !entry.bound.iter().any(|(room, _)| *room == receipt.room) {
                faults.push(format!("C2: not bound to room {} though its receipt is valid", receipt.room));
            }
        }
        for fault in faults {
            self.fault(call, tab, &fault);
        }
    }

    fn change(&mut self, call: &Call, matched: u32) {
        let expected = match call.op {
            Op::Join { person, room } | Op::Regrant { person, room } => {
                let logged_in = self.logged_in[person as usize];
                // S2: a grant removes the revocations of its own identity.
                if let Some(revoked) = self.revoked.get_mut(&(person, room)) {
                    revoked[usize::from(logged_in)] = None;
                }
                self.live_tabs(person, call, |builder, tab| {
                    builder.open(tab, room, logged_in, call);
                    true
                })
            }
            Op::Leave { person, room } | Op::Kick { person, room } => {
                let at = usize::from(self.logged_in[person as usize]);
                self.revoked.entry((person, room)).or_default()[at] = Some(Revoked {
                    called_ms: call.called_ns / 1_000_000,
                    returned_ms: call.returned_ns / 1_000_000,
                });
                let kick = matches!(call.op, Op::Kick { .. });
                self.live_tabs(person, call, |builder, tab| {
                    let lost = builder.close(tab, call, Why::Unsubscribed, |span| span.room == room);
                    // S3 counts who matched, S4 who lost something.
                    lost > 0 || !kick
                })
            }
            Op::Drop { tab } => {
                let person = self.crowd.tabs[tab as usize].person;
                let told = self.live_tabs(person, call, |_, live| live == tab);
                self.end(tab, call);
                told
            }
            _ => return,
        };
        self.concerned(call, matched, &expected);
    }

    /// C5: the tabs that it found are another user's from now on, with all that this ends; the others have no connection.
    fn identified(&mut self, call: &Call, found: &[u32]) {
        let (Op::Login { person } | Op::Logout { person }) = call.op else { return };
        self.logged_in[person as usize] = matches!(call.op, Op::Login { .. });
        for &tab in found {
            if self.tabs[tab as usize].tenancy.is_none() {
                self.fault(call, tab, "C4: found a connection that had ended");
            }
        }
        let mut matched = 0;
        let expected = self.live_tabs(person, call, |builder, tab| {
            let Some(tenancy) = builder.tabs[tab as usize].tenancy else { return false };
            if found.contains(&tab) {
                matched += 1;
                builder.close(tab, call, Why::UserChanged, |span| span.user.is_some());
                builder.model.tenancies[tenancy as usize].users_until_ns.push(call.returned_ns);
            } else {
                builder.end(tab, call);
            }
            true
        });
        self.concerned(call, matched, &expected);
    }

    fn concerned(&mut self, call: &Call, matched: u32, expected: &RangeInclusive<u32>) {
        if !expected.contains(&matched) {
            self.faults.add(|| {
                let (op, at) = (call.op.kind(), call.called_ns as f64 / 1e9);
                let expected = match expected.clone().into_inner() {
                    (least, most) if least == most => most.to_string(),
                    (least, most) => format!("{least} to {most}"),
                };
                format!("S1, S3, S4: {op} called at {at:.6} s concerned {matched} connections instead of {expected}: {:?}", call.op)
            });
        }
    }

    /// Does something to each live tab of a person and counts those that say so: the least, if overflows ended all that they may
    /// have ended by then, and the most.
    fn live_tabs(
        &mut self,
        person: u32,
        call: &Call,
        mut act: impl FnMut(&mut Self, u32) -> bool,
    ) -> RangeInclusive<u32> {
        let (mut least, mut most) = (0, 0);
        for tab in self.crowd.tabs_of(person) {
            let Some(tenancy) = self.tabs[tab as usize].tenancy else { continue };
            let may_be_gone = self.model.tenancies[tenancy as usize].may_have_overflowed(call.returned_ns);
            let counts = u32::from(act(self, tab));
            most += counts;
            least += if may_be_gone { 0 } else { counts };
        }
        least..=most
    }

    /// Binds a live tab, if it is not bound: an existing binding keeps its authorization (S1).
    fn open(&mut self, tab: u32, room: u32, by_user: bool, call: &Call) {
        let state = &mut self.tabs[tab as usize];
        let Some(tenancy) = state.tenancy else { return };
        if state.open.iter().any(|span| span.room == room) {
            return;
        }
        let users = self.model.tenancies[tenancy as usize].users_until_ns.len() as u32;
        state.open.push(Span {
            tenancy,
            room,
            user: by_user.then_some(users),
            bound_called_ns: call.called_ns,
            bound_returned_ns: call.returned_ns,
            unbound_called_ns: NEVER,
            unbound_returned_ns: NEVER,
            why: Why::Nothing,
        });
    }

    /// Ends bindings of a tab and counts them.
    fn close(&mut self, tab: u32, call: &Call, why: Why, which: impl Fn(&Span) -> bool) -> usize {
        let spans = &mut self.model.spans;
        let before = spans.len();
        self.tabs[tab as usize].open.retain(|span| {
            let ends = which(span);
            if ends {
                let (unbound_called_ns, unbound_returned_ns) = (call.called_ns, call.returned_ns);
                spans.push(Span { unbound_called_ns, unbound_returned_ns, why, ..*span });
            }
            !ends
        });
        spans.len() - before
    }

    fn end(&mut self, tab: u32, call: &Call) {
        self.close(tab, call, Why::ConnectionEnded, |_| true);
        if let Some(tenancy) = self.tabs[tab as usize].tenancy.take() {
            self.model.tenancies[tenancy as usize].released = true;
        }
    }

    fn fault(&mut self, call: &Call, tab: u32, what: &str) {
        let (crowd, at) = (self.crowd, call.called_ns as f64 / 1e9);
        self.faults.add(|| {
            let name = &crowd.tabs[tab as usize].instance;
            format!("{what}: {name}, {} called at {at:.6} s", call.op.kind())
        });
    }

    fn finish(self) -> Model {
        let mut model = self.model;
        model.spans.extend(self.tabs.into_iter().flat_map(|state| state.open));
        model.spans.sort_unstable_by_key(|span| (span.tenancy, span.room, span.bound_called_ns));
        // Nothing is due any more once an overflow may have closed the queue; what came before stays in it.
        for span in &mut model.spans {
            let from_ns = model.tenancies[span.tenancy as usize].overflowed_from_ns;
            span.unbound_called_ns = span.unbound_called_ns.min(from_ns.unwrap_or(NEVER));
        }
        model
    }
}
