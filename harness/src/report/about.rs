//! What the workloads of `compare` are, in a sentence, and their targets; `docs/benchmarking.md` says more.

/// A sentence about a workload; empty if it is not known here.
pub(super) fn sentence(workload: &str) -> &'static str {
    match workload {
        "fanout" => "One thread publishes one message to a channel, then every subscriber takes it.",
        "fanout-burst-8" => "Eight messages are published before the subscribers take them.",
        "fanout-two-threads" => "One thread publishes while another takes.",
        "fanout-except" => "One message to a channel, but not to the connection that sent it.",
        "lane-publish" => {
            "What one call costs the publisher for each lane, every time after the lane was drained."
        }
        "lane-take" => "What a delivery costs the consumer of a lane: its token and its cids are read.",
        "publish-call-median" => "One call of the publisher, eight in a row before anybody takes.",
        "publish-call-worst" => "The longest of those calls.",
        "publish-slice-median" => "A slice of 1,024 receivers, of a broadcast in slices.",
        "publish-slice-worst" => "The longest of those slices.",
        "publish-slice-all" => "What the publisher pays for a delivery when it broadcasts in slices.",
        "publish-slice-none" => "The same for a broadcast that is not sliced, in turns with it.",
        "parked-current-thread" => {
            "Every subscriber, or every lane, is a parked task of a runtime with one thread; the message wakes it."
        }
        "parked-multi-thread" => {
            "Every subscriber, or every lane, is a parked task of a runtime with several threads; the message wakes it."
        }
        "subscribe" => "One connection joins a channel that has so many members.",
        "unsubscribe" => "One connection leaves a channel that has so many members.",
        "subscribe-by-user" => "All connections of one user join a channel, by one call.",
        "churn" => "The latency of a publish while another thread joins and leaves the channel.",
        "calm" => "The latency of a publish with nobody else at work.",
        "memory-idle-connection" => "What a connection costs that listens to nothing.",
        "memory-binding" => "What one more subscription costs.",
        "memory-queued-event" => "What a message costs for each queue that holds it.",
        _ => "",
    }
}

/// A target that a workload's costs are held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// Within so many times the floor, from so many to so many subscribers.
    Floors(f64, u64, u64),
    /// So many subscribers at so many nanoseconds.
    Point(u64, f64),
}

/// The target of a workload, if it has one.
pub(super) fn target(workload: &str) -> Option<Target> {
    match workload {
        "fanout" => Some(Target::Floors(2.0, 100, 100_000)),
        "subscribe" | "unsubscribe" => Some(Target::Point(1_000_000, 1_000.0)),
        _ => None,
    }
}
