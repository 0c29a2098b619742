//! A chat of rooms: holocast behind axum. `cargo run -p holocast-chat`, then open the address that it prints in several tabs.
//!
//! `session.rs` says who is asking, `stream.rs` is what tabs listen to, `rooms.rs` what they may do, `presence.rs` the background job.

mod presence;
mod rooms;
mod session;
mod stream;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use holocast::sse::Frame;
use holocast::{Overflow, Realtime, SigningKey, Tracing};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

/// The most tabs that are served at once.
const MAX_TABS: u32 = 10_000;
/// The longest request, in bytes: a tab that comes back presents its receipts.
const MAX_REQUEST: usize = 64 << 10;
/// How long the server waits for its tabs to take what was queued, before it ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// What every request reaches. No lock is held while anything is waited for.
struct Chat {
    realtime: Realtime<Frame>,
    /// By the secret of their cookie, with the time when it was last presented.
    sessions: Mutex<HashMap<String, (Arc<session::Session>, Instant)>>,
    rooms: BTreeMap<&'static str, Mutex<rooms::Room>>,
    /// Somebody may have come or gone: wakes the background job.
    changed: Arc<Notify>,
    /// A permit for each tab that listens: a limit, and a way to wait for their ends.
    tabs: Arc<Semaphore>,
}

type App = Arc<Chat>;
type Answer = Result<Response, Refusal>;

/// Why a request is refused: a status, and a sentence for whoever sent it.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

/// Names have been checked before they come to the engine: it refuses when it is full or shut down.
impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

fn refuse<T>(status: StatusCode, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(status, why.into()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(std::io::stderr).init();
    let changed = Arc::new(Notify::new());
    let realtime = Realtime::builder()
        // A key of this process: revocations end with it, so receipts must, too.
        .signing_keys([SigningKey::new(session::random::<32>())?])
        // A tab that is 64 messages late loses them, is told so and loads its rooms again. `Overflow::Close` would end it instead.
        .queue_capacity(64)
        .overflow(Overflow::Reset)
        .weigh(1 << 20, Frame::weight)
        .observer(Tracing)
        .observer(presence::Wake(Arc::clone(&changed)))
        .build()?;
    let rooms = rooms::NAMES.map(|name| (name, Mutex::default())).into();
    let tabs = Arc::new(Semaphore::new(MAX_TABS as usize));
    let app = Arc::new(Chat { realtime, sessions: Mutex::default(), rooms, changed, tabs });
    tokio::spawn(presence::follow(Arc::clone(&app)));

    // Nothing from elsewhere, and in nobody's frame, where a click could be stolen.
    let policy = "default-src 'self' 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'";
    let page = ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("../page.html")));
    let router = axum::Router::new()
        .route("/", get(async || page))
        .route("/tab", post(session::open_tab))
        .route("/login", post(session::login))
        .route("/logout", post(session::logout))
        .route("/events", post(stream::events))
        .route("/ws", get(stream::socket))
        .route("/disconnect", post(stream::disconnect))
        .route("/rooms/{room}", post(rooms::act))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(Arc::clone(&app));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{}", listener.local_addr()?);
    let stop = Arc::new(Notify::new());
    let server = axum::serve(listener, router).with_graceful_shutdown(Arc::clone(&stop).notified_owned());
    let server = tokio::spawn(server.into_future());

    interrupted().await;
    // Every tab gets `closed` after what is queued for it; whatever would connect, bind or broadcast is refused from here on.
    tracing::info!("{} tabs are told of the end", app.realtime.shutdown());
    stop.notify_one();
    // WebSockets have left the server's sight, so their permits are waited for.
    let ended = async { (server.await, app.tabs.acquire_many(MAX_TABS).await.is_ok()) };
    match tokio::time::timeout(PATIENCE, ended).await {
        Ok((served, _)) => served??,
        Err(_) => tracing::warn!("some tabs did not take what was queued"),
    }
    Ok(())
}

/// Ctrl-C, or the signal by which service managers end a process.
async fn interrupted() {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate()).expect("signals can be listened to").recv().await
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! { _ = terminated => {}, _ = tokio::signal::ctrl_c() => {} }
}
