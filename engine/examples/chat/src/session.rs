//! Who is asking. The browser proves its session by a cookie that no script can read; session and user come from there and from nowhere else.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{COOKIE, HeaderMap, SET_COOKIE};
use axum::http::{StatusCode, request::Parts};
use axum::response::{AppendHeaders, IntoResponse, IntoResponseParts};
use holocast::{Client, Id, Identity, Key, channel};
use parking_lot::RwLock;
use serde_json::json;

use crate::rooms::{MAX_NAME, NAMES, fits};
use crate::{Answer, App, Chat, Refusal, refuse};

/// One browser.
pub(crate) struct Session {
    /// No secret: it can be read in the names of tabs and in receipts.
    pub(crate) name: String,
    /// Held while somebody acts for the user: a logout never falls between a question and what is done upon its answer.
    pub(crate) user: RwLock<Option<String>>,
}

impl Session {
    pub(crate) fn identity(&self) -> Identity {
        Identity::session(&self.name)
    }

    /// What all tabs of the session listen to, without asking.
    pub(crate) fn bindings(&self, user: Option<&str>) -> Vec<Key> {
        let own =
            [channel!("session", &self.name)].into_iter().chain(user.map(|user| channel!("user", user)));
        own.map(|channel| (channel, "page".into())).collect()
    }

    /// Whether this is a tab of the session. They are named after it, so nobody connects as a tab of another browser, whatever he sends;
    /// and the names that were given out need not be remembered.
    pub(crate) fn owns(&self, tab: &str) -> Result<(), Refusal> {
        match tab.split_once('.') {
            Some((session, number)) if session == self.name && number.len() == 16 => Ok(()),
            _ => refuse(StatusCode::UNAUTHORIZED, "the tab is not of this session"),
        }
    }

    pub(crate) fn client(&self, tab: &str, user: Option<&str>) -> Client {
        Client::from_parts(tab, Some(Id::from(&self.name)), user.map(Id::from))
    }
}

/// A request of a tab, which names itself in a header: no form and no page of another site can set it, so that forged requests stay out, as
/// they do by `SameSite`.
pub(crate) struct Tab {
    pub(crate) app: App,
    pub(crate) session: Arc<Session>,
    pub(crate) name: String,
}

impl Tab {
    /// Acts for the user who is logged in.
    pub(crate) fn act(&self, act: impl FnOnce(&Client, &str) -> Answer) -> Answer {
        match self.session.user.read().as_deref() {
            Some(user) => act(&self.session.client(&self.name, Some(user)), user),
            None => refuse(StatusCode::FORBIDDEN, "log in first"),
        }
    }
}

impl FromRequestParts<App> for Tab {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let (app, session) = (Arc::clone(app), app.session(&parts.headers)?);
        let name = parts.headers.get("x-tab").and_then(|name| name.to_str().ok()).unwrap_or_default();
        session.owns(name).map(|()| Self { app, session, name: name.to_owned() })
    }
}

/// Names a tab, and begins a session if the browser has none. Only a page of this origin can send JSON, so no other replaces a session.
pub(crate) async fn open_tab(State(app): State<App>, headers: HeaderMap, Json(()): Json<()>) -> Answer {
    let known = app.session(&headers).ok();
    let begin = || Arc::new(Session { name: hex(random::<8>()), user: RwLock::default() });
    let session = known.clone().unwrap_or_else(begin);
    let tab = format!("{}.{}", session.name, hex(random::<8>()));
    let answer = Json(json!({ "tab": tab, "rooms": NAMES, "user": *session.user.read() }));
    Ok(match known {
        Some(_) => answer.into_response(),
        None => (app.cookie(&session), answer).into_response(),
    })
}

pub(crate) async fn login(tab: Tab, Json(name): Json<String>) -> Answer {
    // A real host asks for a password here.
    tab.app.identify(&tab.session, Some(fits("name", &name, MAX_NAME)?))
}

pub(crate) async fn logout(tab: Tab) -> Answer {
    tab.app.identify(&tab.session, None)
}

impl Chat {
    pub(crate) fn session(&self, headers: &HeaderMap) -> Result<Arc<Session>, Refusal> {
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut crumbs = cookies.flat_map(|cookies| cookies.split("; "));
        let secret = crumbs.find_map(|crumb| crumb.strip_prefix("session=")).unwrap_or_default();
        match self.sessions.lock().get_mut(secret) {
            Some((session, seen)) => {
                *seen = Instant::now();
                Ok(Arc::clone(session))
            }
            None => refuse(StatusCode::UNAUTHORIZED, "there is no such session"),
        }
    }

    /// The browser is this user's from now on, with all its tabs.
    fn identify(&self, session: &Arc<Session>, user: Option<&str>) -> Answer {
        let mut current = session.user.write();
        *current = user.map(str::to_owned);
        for tab in self.realtime.connections_of(&session.identity()) {
            // Drops what the user before was granted; nothing of it is handed out any more (rule C5).
            self.realtime.identify(&session.client(tab.instance(), user))?;
        }
        for (channel, cid) in session.bindings(user) {
            self.realtime.subscribe(&session.identity(), &channel, cid)?;
        }
        self.realtime.broadcast_json(&channel!("session", &session.name), "you", &json!({ "user": user }))?;
        self.changed.notify_one();
        // A new secret: one that was planted before a login, or taken before a logout, opens nothing.
        self.sessions.lock().retain(|_, (other, _)| !Arc::ptr_eq(other, session));
        Ok(self.cookie(session).into_response())
    }

    /// Over TLS it must be `Secure` as well.
    fn cookie(&self, session: &Arc<Session>) -> impl IntoResponseParts + IntoResponse {
        let secret = hex(random::<16>());
        self.sessions.lock().insert(secret.clone(), (Arc::clone(session), Instant::now()));
        AppendHeaders([(SET_COOKIE, format!("session={secret}; HttpOnly; SameSite=Strict; Path=/"))])
    }
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes
}

fn hex<const N: usize>(bytes: [u8; N]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
