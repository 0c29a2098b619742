//! The receiving half: takes events out of a connection's queue, one at a time, by polling, blocking or waiting.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::caught::Caught;
use crate::engine::Engine;
use crate::event::{CloseReason, Event};
use crate::queue::{Control, Glance, Parked, Parker, Taken};
use crate::registry::{Place, SlotId, State, Tenant};
use crate::sync::{MODEL, epoch, spin};
use crate::text::Text;

/// How often a receiver looks again when another consumer is inside the queue for a few instructions.
pub(crate) const PATIENCE: usize = if MODEL { 1 } else { 64 };

/// The only consumer of a connection's events.
///
/// All ways to receive are cancel-safe: an event is either handed out or still queued. After [`Event::Closed`] nothing comes. Dropping
/// it ends the connection, unless it was superseded; that takes no lock, but may help a table to shrink.
///
/// # Lagging
/// With [`Overflow::DropNewest`](crate::Overflow::DropNewest) and [`Overflow::Reset`](crate::Overflow::Reset) the next event after
/// a loss is [`Event::Lagged`] with the number of broadcasts lost.
///
/// # Progress
/// A take never waits for publishers and never blocks. It is not lock-free: a receiver may find its queue busy while a
/// predecessor that it superseded finishes its last take, or while a publisher resets it. It looks again a few times, then
/// `try_recv` reports *empty* and the waiting forms come back by themselves.
///
/// ```
/// use holocast::{Channel, Client, Event, Identity, Realtime, TryRecvError};
///
/// let realtime = Realtime::<u32>::new();
/// let mut tab = realtime.connect(&Client::new("tab-1").with_user(7))?.connection;
/// assert_eq!(tab.try_recv().unwrap_err(), TryRecvError::Empty);
/// realtime.subscribe(&Identity::user(7), &Channel::atom("news"), "page")?;
/// assert!(matches!(tab.blocking_recv(), Some(Event::Subscribed(_))));
/// # Ok::<(), holocast::Error>(())
/// ```
pub struct Connection<P: Send + Sync + 'static> {
    engine: Arc<Engine<P>>,
    place: Place<P>,
    generation: u32,
    /// Of its tenancy: it superseded nobody.
    first: bool,
    parker: Arc<Parker>,
    instance: Text,
    /// `Closed` was handed out.
    finished: bool,
}

/// Why [`Connection::try_recv`] returned nothing.
///
/// ```
/// assert_eq!(holocast::TryRecvError::Empty.to_string(), "no event is queued, wait or try again");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing is queued now.
    Empty,
    /// `Closed` was handed out; nothing will come.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no event is queued, wait or try again",
            Self::Closed => "the connection has ended, drop it",
        })
    }
}

impl std::error::Error for TryRecvError {}

/// Why [`Connection::blocking_recv_timeout`] returned nothing.
///
/// ```
/// assert_eq!(holocast::RecvTimeoutError::Timeout.to_string(), "no event came in time, wait again");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// The time is over.
    Timeout,
    /// `Closed` was handed out; nothing will come.
    Closed,
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no event came in time, wait again",
            Self::Closed => "the connection has ended, drop it",
        })
    }
}

impl std::error::Error for RecvTimeoutError {}

/// Wakes a thread that waits in `blocking_recv`.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<P: Send + Sync + 'static> Connection<P> {
    pub(crate) fn new(engine: Arc<Engine<P>>, slot: SlotId, tenant: &Tenant, first: bool) -> Self {
        let place = engine.registry.slots.place(slot);
        Self {
            engine,
            place,
            generation: tenant.generation,
            first,
            parker: Arc::clone(&tenant.parker),
            instance: tenant.client.instance().clone(),
            finished: false,
        }
    }

    /// The instance that the connection serves.
    #[must_use]
    pub fn instance(&self) -> &Text {
        &self.instance
    }

    /// Ends the connection, unless it was superseded or has ended: whether it did.
    pub(crate) fn end(self) -> bool {
        let _pin = epoch::pin();
        self.engine.end(self.place.id(), Some(self.generation), CloseReason::Disconnected)
    }

    #[cfg(test)]
    pub(crate) fn slot(&self) -> SlotId {
        self.place.id()
    }

    /// The next event, if one is queued.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] and [`TryRecvError::Closed`].
    ///
    /// # Complexity
    /// O(1), amortized over the events of a burst.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Event<P>, TryRecvError> {
        match self.glance() {
            Glance::Message(delivery) => Ok(Event::Broadcast(delivery)),
            Glance::Nothing => Err(TryRecvError::Empty),
            Glance::More => self.take_patiently(),
        }
    }

    /// Not inlined: most calls don't come to it.
    #[inline(never)]
    fn take_patiently(&mut self) -> Result<Event<P>, TryRecvError> {
        for _ in 0..PATIENCE {
            match self.take() {
                Ok(taken) => return taken,
                Err(Busy) => spin(),
            }
        }
        Err(TryRecvError::Empty)
    }

    #[inline]
    fn glance(&self) -> Glance<P> {
        self.place.queue().glance(self.generation, self.first, &self.place.slot().tally)
    }

    fn take(&mut self) -> Result<Result<Event<P>, TryRecvError>, Busy> {
        if self.finished {
            return Ok(Err(TryRecvError::Closed));
        }
        let event = match self.place.queue().take(self.generation, &self.place.slot().tally) {
            Taken::Delivery(delivery) => Event::Broadcast(delivery),
            Taken::Control(Control::Subscribed { receipt, .. }) => Event::Subscribed(receipt),
            Taken::Control(Control::Unsubscribed(keys)) => Event::Unsubscribed(keys),
            Taken::Lagged(messages) => Event::Lagged(messages),
            // Entries go to lanes only.
            Taken::Empty | Taken::Entry(_) => return Ok(Err(TryRecvError::Empty)),
            Taken::Busy => return Err(Busy),
            Taken::Superseded => self.finish(CloseReason::Superseded),
            Taken::Closed => {
                let reason = match self.place.slot().peek_tenant().state {
                    State::Closed(reason) => reason,
                    // Only an overflow closes the queue before the tenancy.
                    State::Live => CloseReason::Overflow,
                };
                self.finish(reason)
            }
        };
        Ok(Ok(event))
    }

    fn finish(&mut self, reason: CloseReason) -> Event<P> {
        self.finished = true;
        Event::Closed(reason)
    }

    /// The next event, when there is one; `None` after [`Event::Closed`]. The task is woken once per wait.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Event<P>>> {
        let mut empty = match self.glance() {
            Glance::Message(delivery) => return Poll::Ready(Some(Event::Broadcast(delivery))),
            Glance::Nothing => true,
            Glance::More => false,
        };
        loop {
            if !empty {
                match self.take() {
                    Ok(Ok(event)) => return Poll::Ready(Some(event)),
                    Ok(Err(TryRecvError::Closed)) => return Poll::Ready(None),
                    Ok(Err(TryRecvError::Empty)) => {}
                    Err(Busy) if come_back(context) => return Poll::Pending,
                    Err(Busy) => continue,
                }
            }
            // Register, then look again: see `Parker`.
            self.parker.register(context.waker());
            let queue = self.place.queue();
            match queue.park() {
                // The lease is still ours: whoever ends it from here on wakes.
                Parked::Yes if queue.generation() == self.generation => return Poll::Pending,
                Parked::Busy if come_back(context) => return Poll::Pending,
                Parked::Yes | Parked::No | Parked::Busy => empty = false,
            }
        }
    }

    /// Waits for the next event, on any executor; `None` after [`Event::Closed`].
    ///
    /// ```
    /// use holocast::{Client, CloseReason, Event, Realtime};
    ///
    /// # fn block_on<T>(f: impl Future<Output = T>) -> T {
    /// #     let mut f = std::pin::pin!(f);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop { if let std::task::Poll::Ready(value) = f.as_mut().poll(&mut context) { return value } }
    /// # }
    /// let realtime = Realtime::<String>::new();
    /// let mut tab = realtime.connect(&Client::new("tab-1"))?.connection;
    /// realtime.disconnect("tab-1");
    /// block_on(async {
    ///     assert!(matches!(tab.recv().await, Some(Event::Closed(CloseReason::Disconnected))));
    ///     assert!(tab.recv().await.is_none());
    /// });
    /// # Ok::<(), holocast::Error>(())
    /// ```
    pub async fn recv(&mut self) -> Option<Event<P>> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// Blocks the thread until the next event; `None` after [`Event::Closed`].
    pub fn blocking_recv(&mut self) -> Option<Event<P>> {
        self.blocking(None).ok()
    }

    /// Blocks the thread until the next event, at most so long.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] and [`RecvTimeoutError::Closed`].
    pub fn blocking_recv_timeout(&mut self, timeout: Duration) -> Result<Event<P>, RecvTimeoutError> {
        // A time too far away to be told is no bound.
        self.blocking(Instant::now().checked_add(timeout))
    }

    fn blocking(&mut self, deadline: Option<Instant>) -> Result<Event<P>, RecvTimeoutError> {
        match self.try_recv() {
            Ok(event) => return Ok(event),
            Err(TryRecvError::Closed) => return Err(RecvTimeoutError::Closed),
            Err(TryRecvError::Empty) => {}
        }
        match block_until(deadline, |context| self.poll_recv(context)) {
            Some(event) => event.ok_or(RecvTimeoutError::Closed),
            None => Err(RecvTimeoutError::Timeout),
        }
    }
}

/// Blocks the thread until `poll` is ready, at most until the deadline; `None`: it was not ready in time.
pub(crate) fn block_until<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut context) {
            return Some(value);
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => return None,
            Some(left) => std::thread::park_timeout(left),
            None => std::thread::park(),
        }
    }
}

/// Another consumer is inside the queue.
struct Busy;

/// Has the task polled again after another consumer's few instructions. False: look again at once.
pub(crate) fn come_back(context: &Context<'_>) -> bool {
    spin();
    // loom follows a loop that yields, but not a task that wakes itself.
    if cfg!(holocast_loom) {
        return false;
    }
    context.waker().wake_by_ref();
    true
}

impl<P: Send + Sync + 'static> Drop for Connection<P> {
    fn drop(&mut self) {
        let mut caught = Caught::default();
        // Nobody is left whom a wake would be for.
        caught.attempt(|| self.parker.forget());
        caught.attempt(|| self.engine.let_go(self.place.id(), self.generation));
        caught.go_on();
    }
}

impl<P: Send + Sync + 'static> fmt::Debug for Connection<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("instance", &self.instance).finish_non_exhaustive()
    }
}

#[cfg(feature = "stream")]
impl<P: Send + Sync + 'static> futures_core::Stream for Connection<P> {
    type Item = Event<P>;

    fn poll_next(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event<P>>> {
        self.get_mut().poll_recv(context)
    }
}
