//! Who finds another consumer inside a queue waits for nobody: a receiver is woken to come back, a publisher refuses, an end leaves what is
//! queued to the last receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::queue::Queue;
use crate::{Channel, Client, Connection, Event, Overflow, Realtime, TryRecvError};

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // Relaxed: a count, of one thread.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls while the queue is busy, and how often that woke; then once more.
pub(crate) fn polled<T>(
    queue: &Queue<u32>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> (Poll<T>, usize, Poll<T>) {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let busy = queue.while_consumed(|| poll(&mut context));
    (busy, woken.0.load(Ordering::Relaxed), poll(&mut context))
}

fn channel() -> Channel {
    Channel::atom("c")
}

fn tab() -> Client {
    Client::new("a")
}

fn realtime(overflow: Overflow) -> Realtime<u32> {
    Realtime::builder().queue_capacity(2).overflow(overflow).build().unwrap()
}

fn subscribed(realtime: &Realtime<u32>) -> Connection<u32> {
    let connection = realtime.connect(&tab()).unwrap().connection;
    realtime.put_subscription(&tab(), &channel(), "a").unwrap();
    connection
}

/// How many were reached, and how many refused.
fn broadcast(realtime: &Realtime<u32>, params: u32) -> (usize, usize) {
    let reach = realtime.broadcast_action(&channel(), "x", params).unwrap();
    (reach.reached, reach.refused)
}

fn queue_of<'a>(realtime: &'a Realtime<u32>, connection: &Connection<u32>) -> &'a Queue<u32> {
    realtime.engine.registry.slots.queue(connection.slot())
}

#[test]
fn q5_a_receiver_that_finds_its_queue_busy_is_woken_to_come_back() {
    let realtime = realtime(Overflow::Close);
    let mut connection = subscribed(&realtime);
    let queue = queue_of(&realtime, &connection);
    // Nothing can be seen, but another consumer may put it back.
    assert!(matches!(
        polled(queue, |context| connection.poll_recv(context)),
        (Poll::Pending, 1, Poll::Pending)
    ));
    // It sleeps now, and this wakes it.
    assert_eq!(broadcast(&realtime, 1), (1, 0));
    assert!(matches!(
        polled(queue, |context| connection.poll_recv(context)),
        (Poll::Pending, 1, Poll::Ready(Some(Event::Broadcast(_))))
    ));
}

#[test]
fn q4_a_take_that_finds_its_queue_busy_finds_nothing_and_loses_nothing() {
    let realtime = realtime(Overflow::Close);
    let mut connection = subscribed(&realtime);
    let queue = queue_of(&realtime, &connection);
    for params in [1, 2] {
        broadcast(&realtime, params);
    }
    for params in [1, 2] {
        assert_eq!(queue.while_consumed(|| connection.try_recv()).unwrap_err(), TryRecvError::Empty);
        assert!(matches!(connection.try_recv(), Ok(Event::Broadcast(heard)) if *heard.params() == params));
    }
}

#[test]
fn q2_a_message_for_a_full_queue_that_is_busy_is_refused_and_told_of() {
    let realtime = realtime(Overflow::Reset);
    let mut connection = subscribed(&realtime);
    let queue = queue_of(&realtime, &connection);
    for params in [1, 2] {
        assert_eq!(broadcast(&realtime, params), (1, 0));
    }
    assert_eq!(queue.while_consumed(|| broadcast(&realtime, 3)), (0, 1));
    assert!(matches!(connection.try_recv(), Ok(Event::Lagged(1))));
    assert!(matches!(connection.try_recv(), Ok(Event::Broadcast(heard)) if *heard.params() == 1));
    let stats = realtime.stats();
    assert_eq!((stats.refused, stats.released, stats.queued), (1, 0, 1));
}

#[test]
fn c4_what_an_end_finds_busy_is_released_with_the_last_receiver() {
    let realtime = realtime(Overflow::Close);
    let superseded = subscribed(&realtime);
    broadcast(&realtime, 1);
    let connection = realtime.connect(&tab()).unwrap().connection;
    queue_of(&realtime, &connection).while_consumed(|| drop(connection));
    assert_eq!((realtime.stats().released, realtime.stats().queued), (0, 1));
    drop(superseded);
    assert_eq!((realtime.stats().released, realtime.stats().queued), (1, 0));
}
