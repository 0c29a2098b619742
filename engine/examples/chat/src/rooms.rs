//! What tabs may do. Every request is one handler: it collects, and whatever is refused on the way leaves nothing half done.

use std::collections::{BTreeSet, VecDeque};

use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use holocast::sse::{Frame, Writer};
use holocast::{Committed, Identity, Realtime, channel};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::session::Tab;
use crate::{Answer, Refusal, refuse};

/// A real host has its rooms, and all that is in them, in a database.
pub(crate) const NAMES: [&str; 4] = ["lobby", "kitchen", "garden", "workshop"];
/// In characters.
pub(crate) const MAX_NAME: usize = 24;
const MAX_TEXT: usize = 500;
/// How many messages of a room are kept, for a tab that joins, comes back or has lagged.
const KEPT: usize = 50;

/// What the host has to know: the engine knows who listens, but not who may.
#[derive(Default, Serialize)]
pub(crate) struct Room {
    /// Who came first.
    owner: Option<String>,
    /// Who has ever joined: they can be removed, also while they are away.
    #[serde(skip)]
    guests: BTreeSet<String>,
    removed: BTreeSet<String>,
    said: VecDeque<Said>,
    pub(crate) members: BTreeSet<String>,
    /// Counts the changes of the members: a page keeps the latest.
    pub(crate) round: u64,
}

#[derive(Clone, Serialize)]
struct Said {
    id: u64,
    from: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(crate) enum Action {
    Join,
    Leave,
    Load,
    Say { text: String },
    Typing,
    Notify { user: String, text: String },
    Kick { user: String },
    Grant { user: String },
}

/// The text without blanks around it, if it has 1 to `limit` characters.
pub(crate) fn fits<'a>(what: &str, text: &'a str, limit: usize) -> Result<&'a str, Refusal> {
    let (text, length) = (text.trim(), text.trim().chars().count());
    if (1..=limit).contains(&length) {
        return Ok(text);
    }
    refuse(StatusCode::BAD_REQUEST, format!("the {what} has {length} characters, 1 to {limit} are allowed"))
}

/// A tab wants something in a room.
pub(crate) async fn act(tab: Tab, Path(name): Path<String>, Json(action): Json<Action>) -> Answer {
    tab.act(|client, user| {
        let (realtime, channel) = (&tab.app.realtime, channel!("room", &name));
        let Some(room) = tab.app.rooms.get(&*name) else {
            return refuse(StatusCode::NOT_FOUND, format!("there is no room {name}"));
        };
        // Held to the end: no kick falls between a question and what is done upon its answer, and messages arrive in the order of their ids.
        let mut room = room.lock();
        let joined = realtime.bindings_of(&tab.name).iter().any(|binding| binding.channel == channel);
        let owned = room.owner.as_deref() == Some(user);
        let mut handler = realtime.handler(client);
        match action {
            Action::Join if room.removed.contains(user) => {
                return refuse(StatusCode::FORBIDDEN, format!("you were removed from {name}"));
            }
            Action::Join => {
                room.owner.get_or_insert_with(|| user.to_owned());
                room.guests.insert(user.to_owned());
                handler.put_subscription(&channel, "page")?;
            }
            _ if !joined => return refuse(StatusCode::FORBIDDEN, format!("join {name} first")),
            Action::Leave => handler.delete_subscription(&channel, "page")?,
            // For a tab that has joined, come back or lagged.
            Action::Load => return Ok(Json(&*room).into_response()),
            Action::Say { text } => {
                let id = room.said.back().map_or(1, |last| last.id + 1);
                let said =
                    Said { id, from: user.to_owned(), text: fits("message", &text, MAX_TEXT)?.to_owned() };
                // Not to this tab, which gets it as an echo in the answer.
                handler.broadcast_json(&channel, "said", &said)?;
                room.said.push_back(said);
                let surplus = room.said.len().saturating_sub(KEPT);
                room.said.drain(..surplus);
            }
            // Nor to the user's other tabs.
            Action::Typing => {
                handler.broadcast_json_except(&[Identity::user(user)], &channel, "typing", user)?;
            }
            Action::Notify { user: other, text } => {
                let to = channel!("user", fits("name", &other, MAX_NAME)?);
                let note = json!({ "from": user, "text": fits("notification", &text, MAX_TEXT)? });
                handler.broadcast_json(&to, "notification", &note)?;
            }
            Action::Kick { user: other } if owned && other != user && room.guests.contains(&other) => {
                // All tabs of the other user at one instant, and no receipt from before is worth anything from here on (rules S4, R2).
                // No matter of the handler's: the bindings are not this tab's.
                realtime.unsubscribe_all(&Identity::user(&other), &channel)?;
                let note = json!({ "from": user, "text": format!("you were removed from {name}") });
                handler.broadcast_json(&channel!("user", &other), "notification", &note)?;
                room.removed.insert(other);
                handler.broadcast_json(&channel, "removed", &room.removed)?;
            }
            Action::Grant { user: other } if owned && room.removed.contains(&other) => {
                // Takes back the kick, and brings in all tabs that are there (rules S1, S2).
                realtime.subscribe(&Identity::user(&other), &channel, "page")?;
                room.removed.remove(&other);
                handler.broadcast_json(&channel, "removed", &room.removed)?;
            }
            Action::Kick { user: other } | Action::Grant { user: other } => {
                return refuse(StatusCode::FORBIDDEN, format!("you may not do this to {other}"));
            }
        }
        let committed = handler.commit()?;
        tab.app.changed.notify_one();
        Ok(answer(realtime, committed))
    })
}

/// What a commit means for its own tab, as events like those of its stream.
fn answer(realtime: &Realtime<Frame>, committed: Committed<Frame>) -> Response {
    let mut out = BytesMut::new();
    Writer::new(realtime).write_committed(&committed, &mut out);
    ([(CONTENT_TYPE, "text/event-stream")], out.freeze()).into_response()
}
