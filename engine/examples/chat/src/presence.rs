//! Who is where: a background job tells each room its members when they have changed.
//!
//! Always the whole list, never a difference: nothing drifts, whatever a tab has missed, and several tabs of a user need no counting.

use std::sync::Arc;
use std::time::Duration;

use holocast::{Client, CloseReason, Id, Observer, channel};
use serde_json::json;
use tokio::sync::Notify;

use crate::App;

/// Changes within so long are told together.
const TOGETHER: Duration = Duration::from_millis(50);
/// A session that has no tab and is not heard of for so long is forgotten.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// Wakes the job when a connection ends, for whatever reason. What else changes a room are requests, which wake it themselves.
pub(crate) struct Wake(pub(crate) Arc<Notify>);

impl Observer for Wake {
    fn disconnected(&self, _: &Client, _: CloseReason) {
        self.0.notify_one();
    }
}

/// The job. It belongs to no tab, so it broadcasts at once, where requests collect in a handler. Ends when the engine is shut down.
pub(crate) async fn follow(app: App) -> Result<(), holocast::sse::Error> {
    loop {
        app.changed.notified().await;
        tokio::time::sleep(TOGETHER).await;
        for (name, room) in &app.rooms {
            let (channel, mut room) = (channel!("room", *name), room.lock());
            let users = app.realtime.members_of(&channel).into_iter().filter_map(|member| {
                let Some(Id::Str(name)) = member.client.user() else { return None };
                Some(name.to_string())
            });
            let members = users.collect();
            if room.members != members {
                (room.members, room.round) = (members, room.round + 1);
                let now = json!({ "members": room.members, "round": room.round });
                app.realtime.broadcast_json(&channel, "members", &now)?;
            }
        }
        let listens = |identity| !app.realtime.connections_of(&identity).is_empty();
        let mut sessions = app.sessions.lock();
        sessions.retain(|_, (session, seen)| seen.elapsed() < IDLE || listens(session.identity()));
    }
}
