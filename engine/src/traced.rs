//! Feature `tracing`: an observer that writes what it is told as events of the `tracing` crate.

use tracing::{debug, warn};

use crate::channel::Channel;
use crate::event::CloseReason;
use crate::identity::{Client, Identity};
use crate::observer::Observer;
use crate::receipt::Stamp;
use crate::text::Cid;

/// An [`Observer`] that writes events with the target `holocast`: overflows at the level `WARN`, all else at `DEBUG`. Nothing is written for a
/// broadcast or a delivery.
///
/// ```
/// let realtime = holocast::Realtime::<String>::builder().observer(holocast::Tracing).build()?;
/// # let _ = realtime;
/// # Ok::<(), holocast::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Tracing;

/// The target of every event.
const TARGET: &str = "holocast";

impl Observer for Tracing {
    fn connected(&self, client: &Client, superseded: bool) {
        debug!(target: TARGET, instance = %client.instance(), session = ?client.session(), user = ?client.user(), superseded, "connected");
    }

    fn disconnected(&self, client: &Client, reason: CloseReason) {
        debug!(target: TARGET, instance = %client.instance(), %reason, "disconnected");
    }

    fn identified(&self, before: &Client, now: &Client) {
        debug!(
            target: TARGET, instance = %now.instance(), session = ?now.session(), user = ?now.user(),
            session_before = ?before.session(), user_before = ?before.user(), "identified"
        );
    }

    fn channel_opened(&self, channel: &Channel, stamp: Stamp) {
        debug!(target: TARGET, %channel, %stamp, "channel opened");
    }

    fn channel_closed(&self, channel: &Channel, stamp: Stamp) {
        debug!(target: TARGET, %channel, %stamp, "channel closed");
    }

    fn overflowed(&self, client: &Client) {
        warn!(target: TARGET, instance = %client.instance(), "queue overflowed");
    }

    fn lane_overflowed(&self) {
        warn!(target: TARGET, "lane overflowed");
    }

    fn revoked(&self, identity: &Identity, channel: &Channel, cid: Option<&Cid>) {
        debug!(target: TARGET, ?identity, %channel, cid = cid.map(Cid::as_str), "revoked");
    }
}

#[cfg(all(test, not(any(holocast_loom, holocast_shuttle))))]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use crate::{Client, Identity, Realtime, Tracing, channel};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_happens_is_written_and_deliveries_are_not() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let realtime =
                Realtime::builder().queue_capacity(1).observer(Tracing).build().expect("within the ranges");
            let _tab = realtime.connect(&Client::new("i1").with_user(7)).expect("short");
            realtime.subscribe(&Identity::user(7), &channel!("news"), "page").expect("short");
            (0..3).for_each(|n| _ = realtime.broadcast_action(&channel!("news"), "add", n).expect("short"));
            realtime.unsubscribe(&Identity::user(7), &channel!("news"), "page").expect("short");
        });
        let text = String::from_utf8(lines.0.lock().clone()).expect("UTF-8");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines.len(), 6, "{text}");
        assert!(lines[0].starts_with("DEBUG holocast: connected instance=i1"), "{text}");
        assert!(lines[1].starts_with("DEBUG holocast: channel opened channel=:news"), "{text}");
        assert!(lines.contains(&"WARN holocast: queue overflowed instance=i1"), "{text}");
        assert!(lines.iter().any(|line| line.starts_with("DEBUG holocast: revoked")), "{text}");
    }
}
