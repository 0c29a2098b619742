//! Feature `metrics`: the numbers of [`Stats`] for whatever recorder the host has installed for the `metrics` crate.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::stats::Stats;

/// Name, meaning, value: how much there is now.
type Gauge = (&'static str, &'static str, fn(&Stats) -> u64);

const GAUGES: [Gauge; 6] = [
    ("holocast_connections", "Live connections", |stats| stats.connections),
    ("holocast_channels", "Channels with a binding or a revocation", |stats| stats.channels),
    ("holocast_members", "Connections bound to a channel, once per channel", |stats| stats.members),
    ("holocast_bindings", "Bindings of all connections", |stats| stats.bindings),
    ("holocast_revocations", "Revocations kept", |stats| stats.revocations),
    ("holocast_queued", "Messages waiting in queues", |stats| stats.queued),
];

/// The same of what has happened so far.
const COUNTERS: [Gauge; 6] = [
    ("holocast_broadcasts_total", "Broadcasts", |stats| stats.broadcasts),
    ("holocast_accepted_total", "Messages that queues took", |stats| stats.accepted),
    ("holocast_taken_total", "Messages handed out", |stats| stats.taken),
    ("holocast_released_total", "Messages released with their connection, or by a reset", |stats| {
        stats.released
    }),
    ("holocast_withheld_total", "Messages not handed out after a change of user", |stats| stats.withheld),
    ("holocast_refused_total", "Messages that no queue took because it was full", |stats| stats.refused),
];

impl Stats {
    /// Describes all metrics to the recorder, once at the start.
    ///
    /// ```
    /// holocast::Stats::describe();
    /// ```
    pub fn describe() {
        GAUGES.iter().for_each(|(name, meaning, _)| describe_gauge!(*name, *meaning));
        COUNTERS.iter().for_each(|(name, meaning, _)| describe_counter!(*name, *meaning));
    }

    /// Sets the gauges and counters to these numbers. [`Realtime::stats`](crate::Realtime::stats) walks over everything, so every 10 to
    /// 60 seconds is often enough. The names are those of the fields, with `holocast_` before and `_total` behind those that only grow; two engines
    /// in one process need recorders of their own.
    ///
    /// ```
    /// let realtime = holocast::Realtime::<String>::new();
    /// realtime.stats().record();
    /// ```
    pub fn record(&self) {
        GAUGES.iter().for_each(|(name, _, value)| gauge!(*name).set(value(self) as f64));
        COUNTERS.iter().for_each(|(name, _, value)| counter!(*name).absolute(value(self)));
    }
}

#[cfg(all(test, not(any(holocast_loom, holocast_shuttle))))]
mod tests {
    use std::collections::BTreeMap;

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use crate::{Client, Identity, Realtime, Stats, channel};

    #[test]
    fn every_number_of_the_stats_is_recorded_under_its_name() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let realtime = Realtime::new();
        let _tab = realtime.connect(&Client::new("i1")).expect("short");
        realtime.subscribe(&Identity::instance("i1"), &channel!("news"), "page").expect("short");
        (0..2).for_each(|n| _ = realtime.broadcast_action(&channel!("news"), "add", n).expect("short"));
        metrics::with_local_recorder(&recorder, || {
            Stats::describe();
            realtime.stats().record();
        });
        let seen: BTreeMap<String, (bool, f64)> = snapshotter
            .snapshot()
            .into_vec()
            .into_iter()
            .map(|(key, _, description, value)| {
                let value = match value {
                    DebugValue::Counter(value) => value as f64,
                    DebugValue::Gauge(value) => value.into_inner(),
                    DebugValue::Histogram(_) => panic!("there are none"),
                };
                (key.key().name().to_owned(), (description.is_some(), value))
            })
            .collect();
        let (stats, names) = (format!("{:?}", realtime.stats()), format!("{:?}", seen.keys()));
        // One for each field.
        assert_eq!(seen.len(), stats.matches(':').count(), "{stats} {names}");
        for (name, (described, value)) in seen {
            let field = name.trim_start_matches("holocast_").trim_end_matches("_total");
            assert!(stats.contains(&format!("{field}: {value}")), "{name} {value} in {stats}");
            assert!(described, "{name}");
        }
    }
}
