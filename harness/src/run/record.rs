//! What a run leaves behind: every call with its times and its answer, every delivery, in the order in which they happened.
//!
//! The figures and the audit are made from nothing else. All times are nanoseconds since the run's own zero.

use holocast::CloseReason;

use super::script::{Except, Op};

/// One operation as it was done.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// When it was planned; in the set-up, when it was called.
    pub(super) due_ns: u64,
    pub(super) called_ns: u64,
    pub(super) returned_ns: u64,
    pub(super) op: Op,
    pub(super) answer: Answer,
}

/// What the engine answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Of a broadcast: queues that took it, and queues that were full.
    Reach { reached: u32, refused: u32 },
    /// Of a change: connections that it concerned.
    Matched(u32),
    /// Of a login or logout: the tabs that were live.
    Identified(Box<[u32]>),
    /// Of a connect or reconnect.
    Entry(Box<Entry>),
}

/// How a connection began.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) tab: u32,
    /// Names the connection among all of the run.
    pub(super) life: u32,
    pub(super) superseded: bool,
    /// What the tab's receipts said.
    pub(super) presented: Vec<Presented>,
    /// Rooms that it is bound to now, and whether the user authorized that; each room once.
    pub(super) bound: Vec<(u32, bool)>,
}

/// A receipt as it was presented.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented {
    pub(super) room: u32,
    pub(super) by_user: bool,
    /// The time in its stamp, by the engine's clock.
    pub(super) stamp_ms: u64,
}

/// A message that was handed out, or the moment at which a receiver began to look again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// After the take; the take began after the last entry's.
    pub(super) at_ns: u64,
    /// The number of the message; [`Taken::LOOKED`]: none.
    pub(super) message: u32,
    pub(super) life: u32,
}

impl Taken {
    pub(super) const LOOKED: u32 = u32::MAX;
}

/// What one receiver thread saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// It worked off a lane.
    pub(super) on_lane: bool,
    pub(super) taken: Vec<Taken>,
    /// Lives and how many broadcasts each was told on its own queue to have lost.
    pub(super) lagged: Vec<(u32, u64)>,
    /// What its lane was told to have lost.
    pub(super) lane_lagged: Vec<LaneLoss>,
    /// Lives and why they ended, as far as they were told.
    pub(super) closed: Vec<(u32, CloseReason)>,
}

/// A lane lost broadcasts: each of its connections may miss so many.
#[derive(Debug, Clone)]
pub(super) struct LaneLoss {
    /// After the lane was told.
    pub(super) at_ns: u64,
    pub(super) broadcasts: u64,
    /// Those of the lane whose end was not told.
    pub(super) lives: Box<[u32]>,
}

impl Seen {
    /// What was handed out, each with the time after which its take began.
    pub(super) fn handed_out(&self) -> impl Iterator<Item = (&Taken, u64)> {
        let before = std::iter::once(0).chain(self.taken.iter().map(|taken| taken.at_ns));
        self.taken.iter().zip(before).filter(|(taken, _)| taken.message != Taken::LOOKED)
    }

    /// Messages handed out.
    pub(super) fn deliveries(&self) -> u64 {
        self.handed_out().count() as u64
    }
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) room: u32,
    pub(super) except: Except,
    pub(super) due_ns: u64,
    pub(super) called_ns: u64,
    pub(super) returned_ns: u64,
    pub(super) reached: u32,
    pub(super) refused: u32,
}

/// Everything, by publisher and by receiver.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) calls: Vec<Vec<Call>>,
    pub(super) seen: Vec<Seen>,
}

impl Record {
    /// The number of message `nth` of a publisher among all.
    pub(super) fn message(nth: usize, publisher: usize, publishers: usize) -> u32 {
        (nth * publishers + publisher) as u32
    }

    /// The publisher of a message and its place among that one's.
    pub(super) fn publisher(message: u32, publishers: usize) -> (usize, usize) {
        let publishers = publishers.max(1);
        (message as usize % publishers, message as usize / publishers)
    }

    /// All messages in the order of each publisher's calls, by publisher.
    pub(super) fn sent(&self) -> Vec<Vec<Sent>> {
        let sent = |calls: &Vec<Call>| calls.iter().filter_map(Call::sent).collect();
        self.calls.iter().map(sent).collect()
    }
}

impl Call {
    fn sent(&self) -> Option<Sent> {
        let Answer::Reach { reached, refused } = self.answer else { return None };
        let (room, except) = match self.op {
            Op::Broadcast { room, except } => (room, except),
            _ => (u32::MAX, Except::Nobody),
        };
        let Call { due_ns, called_ns, returned_ns, .. } = *self;
        Some(Sent { room, except, due_ns, called_ns, returned_ns, reached, refused })
    }
}
