//! The server without a browser: over plain HTTP, Server-Sent Events and WebSocket.

mod server;

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{SinkExt, Stream, StreamExt};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use server::Server;

/// For what comes sooner or later.
const SOON: Duration = Duration::from_secs(20);

/// A browser: its cookie.
struct Browser {
    http: Client,
    address: String,
    cookie: Option<String>,
}

impl Browser {
    fn new(server: &Server) -> Self {
        Self { http: Client::new(), address: server.address.clone(), cookie: None }
    }

    async fn post(&mut self, tab: &str, path: &str, body: Value) -> Response {
        let mut request = self.http.post(format!("{}{path}", self.address)).header("x-tab", tab).json(&body);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let response = request.send().await.expect("an answer");
        if let Some(cookie) = response.headers().get("set-cookie") {
            let cookie = cookie.to_str().expect("text");
            assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        response
    }

    async fn open_tab(&mut self) -> String {
        let answer: Value = self.post("", "/tab", Value::Null).await.json().await.expect("JSON");
        answer["tab"].as_str().expect("a name").to_owned()
    }

    /// A tab that listens as a user, and has been told of all that it has.
    async fn log_in(&mut self, name: &str) -> Tab {
        let tab = self.open_tab().await;
        assert_eq!(self.post(&tab, "/login", json!(name)).await.status(), StatusCode::OK);
        self.listen(&tab, &[]).await
    }

    async fn listen(&mut self, tab: &str, receipts: &[String]) -> Tab {
        let hello = json!({ "tab": tab, "receipts": receipts, "slow": false });
        let response = self.post(tab, "/events", hello).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let events = Box::pin(events(response));
        let mut listening = Tab { name: tab.to_owned(), receipts: HashMap::new(), events };
        listening.until(|event| event["params"]["ready"] == tab).await;
        listening
    }

    async fn act(&mut self, tab: &mut Tab, room: &str, action: Value) -> Response {
        self.post(&tab.name, &format!("/rooms/{room}"), action).await
    }

    /// With the events of the answer kept, as a page does.
    async fn join(&mut self, tab: &mut Tab, room: &str) {
        let answer = self.act(tab, room, json!({ "do": "join" })).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut events = Box::pin(events(answer));
        while let Some(event) = events.next().await {
            tab.keep(&event);
        }
        assert!(tab.receipts.contains_key(&room_key(room)));
    }
}

fn room_key(room: &str) -> String {
    json!([["room", room], "page"]).to_string()
}

type Events = Pin<Box<dyn Stream<Item = Value>>>;

/// What a tab is told, and the receipts that it keeps.
struct Tab {
    name: String,
    receipts: HashMap<String, String>,
    events: Events,
}

impl Tab {
    fn keep(&mut self, event: &Value) {
        let key = |of: &Value| json!([of["channel"], of["cid"]]).to_string();
        match event["type"].as_str() {
            Some("subscribed") => {
                self.receipts.insert(key(event), event["receipt"].as_str().expect("a token").to_owned());
            }
            Some("unsubscribed") => {
                for gone in event["keys"].as_array().expect("keys") {
                    self.receipts.remove(&key(gone));
                }
            }
            _ => {}
        }
    }

    async fn next(&mut self) -> Option<Value> {
        let event = timeout(SOON, self.events.next()).await.expect("an event in time");
        if let Some(event) = &event {
            self.keep(event);
        }
        event
    }

    /// All up to the first that is looked for.
    async fn until(&mut self, found: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            events.push(self.next().await.expect("the stream goes on"));
            if found(&events[events.len() - 1]) {
                return events;
            }
        }
    }

    fn tokens(&self) -> Vec<String> {
        self.receipts.values().cloned().collect()
    }
}

fn is_said(event: &Value) -> bool {
    event["action"] == "said"
}

fn says(text: &str) -> impl Fn(&Value) -> bool {
    move |event| is_said(event) && event["params"]["text"] == text
}

/// The events of a response.
fn events(response: Response) -> impl Stream<Item = Value> {
    let state = (response.bytes_stream(), String::new());
    futures_util::stream::unfold(state, |(mut bytes, mut text)| async move {
        loop {
            if let Some((event, rest)) = text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let value = data.map(|data| serde_json::from_str(data).expect("JSON"));
                text = rest.to_owned();
                match value {
                    Some(value) => return Some((value, (bytes, text))),
                    None => continue,
                }
            }
            text += std::str::from_utf8(&bytes.next().await?.ok()?).expect("whole characters");
        }
    })
}

async fn refused(response: Response, status: StatusCode, why: &str) {
    assert_eq!(response.status(), status);
    assert_eq!(response.text().await.expect("text"), why);
}

#[tokio::test]
async fn what_is_said_reaches_the_room_once_and_its_own_tab_by_the_answer() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (Browser::new(&server), Browser::new(&server));
    let (mut hers, mut his) = (ann.log_in("ann").await, bob.log_in("bob").await);
    ann.join(&mut hers, "kitchen").await;
    bob.join(&mut his, "kitchen").await;
    let answer = ann.act(&mut hers, "kitchen", json!({ "do": "say", "text": " hello " })).await;
    let echoes: Vec<Value> =
        events(answer).filter(|event| std::future::ready(is_said(event))).collect().await;
    assert_eq!(echoes.len(), 1);
    assert_eq!(echoes[0]["params"], json!({ "id": 1, "from": "ann", "text": "hello" }));
    assert_eq!(his.until(is_said).await.pop().expect("one")["params"], echoes[0]["params"]);

    // Her tab got the echo and nothing else: the next that it hears is his answer.
    bob.act(&mut his, "kitchen", json!({ "do": "say", "text": "hi" })).await;
    let heard = hers.until(is_said).await;
    assert!(says("hi")(&heard[heard.len() - 1]));
    // Nobody who is outside may listen, speak or look.
    let outside = bob.act(&mut his, "garden", json!({ "do": "load" })).await;
    refused(outside, StatusCode::FORBIDDEN, "join garden first").await;
    let nowhere = bob.act(&mut his, "attic", json!({ "do": "join" })).await;
    refused(nowhere, StatusCode::NOT_FOUND, "there is no room attic").await;
}

#[tokio::test]
async fn a_kick_holds_when_the_tab_comes_back_with_its_receipts_until_it_is_taken_back() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (Browser::new(&server), Browser::new(&server));
    let (mut hers, mut his) = (ann.log_in("ann").await, bob.log_in("bob").await);
    ann.join(&mut hers, "kitchen").await;
    bob.join(&mut his, "kitchen").await;
    bob.join(&mut his, "garden").await;
    // Two tabs: one hears of the kick, the other one is away with all its receipts.
    let (name, before) = (his.name.clone(), his.tokens());
    drop(his);
    let tab = bob.open_tab().await;
    let mut second = bob.listen(&tab, &[]).await;
    bob.join(&mut second, "kitchen").await;
    let kick = json!({ "do": "kick", "user": "bob" });
    let stranger = ann.act(&mut hers, "kitchen", json!({ "do": "kick", "user": "carol" })).await;
    refused(stranger, StatusCode::FORBIDDEN, "you may not do this to carol").await;
    let pull = ann.act(&mut hers, "kitchen", json!({ "do": "grant", "user": "carol" })).await;
    refused(pull, StatusCode::FORBIDDEN, "you may not do this to carol").await;
    let own = bob.act(&mut second, "kitchen", json!({ "do": "kick", "user": "ann" })).await;
    refused(own, StatusCode::FORBIDDEN, "you may not do this to ann").await;
    assert_eq!(ann.act(&mut hers, "kitchen", kick).await.status(), StatusCode::OK);
    second.until(|event| event["type"] == "unsubscribed").await;
    second.until(|event| event["params"]["text"] == "you were removed from kitchen").await;

    let mut back = bob.listen(&name, &before).await;
    assert!(!back.receipts.contains_key(&room_key("kitchen")), "it stays out");
    assert!(back.receipts.contains_key(&room_key("garden")), "and keeps what it had otherwise");
    let again = bob.act(&mut back, "kitchen", json!({ "do": "join" })).await;
    refused(again, StatusCode::FORBIDDEN, "you were removed from kitchen").await;
    ann.act(&mut hers, "kitchen", json!({ "do": "say", "text": "between us" })).await;

    ann.act(&mut hers, "kitchen", json!({ "do": "grant", "user": "bob" })).await;
    ann.act(&mut hers, "kitchen", json!({ "do": "say", "text": "welcome back" })).await;
    for tab in [&mut back, &mut second] {
        let heard = tab.until(says("welcome back")).await;
        assert_eq!(heard.iter().filter(|event| is_said(event)).count(), 1, "{heard:?}");
        assert!(tab.receipts.contains_key(&room_key("kitchen")), "a receipt of the new grant");
    }
}

#[tokio::test]
async fn a_tab_that_lost_its_connection_comes_back_to_its_rooms() {
    let server = Server::start().await;
    let mut ann = Browser::new(&server);
    let mut hers = ann.log_in("ann").await;
    ann.join(&mut hers, "kitchen").await;
    assert_eq!(ann.post(&hers.name.clone(), "/disconnect", Value::Null).await.status(), StatusCode::OK);
    let last = hers.until(|event| event["type"] == "closed").await.pop().expect("one");
    assert_eq!(last["reason"], "disconnected");
    assert!(hers.next().await.is_none(), "the response ends");

    // Spoken from a second tab while the first is away: that one is told when it looks.
    let tab = ann.open_tab().await;
    let mut second = ann.listen(&tab, &[]).await;
    ann.join(&mut second, "kitchen").await;
    ann.act(&mut second, "kitchen", json!({ "do": "say", "text": "missed" })).await;
    // One token is forged: it binds nothing, and the others hold.
    let mut tokens = hers.tokens();
    tokens.push(format!("{}x", tokens[0]));
    let mut back = ann.listen(&hers.name, &tokens).await;
    assert!(back.receipts.contains_key(&room_key("kitchen")));
    let room: Value =
        ann.act(&mut back, "kitchen", json!({ "do": "load" })).await.json().await.expect("JSON");
    assert_eq!(room["said"][0]["text"], "missed");
    ann.act(&mut second, "kitchen", json!({ "do": "say", "text": "heard" })).await;
    back.until(says("heard")).await;
}

#[tokio::test]
async fn after_a_logout_no_tab_of_the_browser_hears_anything_of_the_user() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (Browser::new(&server), Browser::new(&server));
    let (mut hers, mut his) = (ann.log_in("ann").await, bob.log_in("bob").await);
    ann.join(&mut hers, "kitchen").await;
    bob.join(&mut his, "kitchen").await;
    let other = bob.open_tab().await;
    let mut other = bob.listen(&other, &his.tokens()).await;
    bob.join(&mut other, "kitchen").await;
    let stolen = bob.cookie.clone();
    let (tokens, name) = (his.tokens(), his.name.clone());
    assert_eq!(bob.post(&name, "/logout", Value::Null).await.status(), StatusCode::OK);
    ann.act(&mut hers, "kitchen", json!({ "do": "say", "text": "secret" })).await;
    let note = json!({ "do": "notify", "user": "bob", "text": "secret" });
    ann.act(&mut hers, "kitchen", note).await;
    // What comes after shows that nothing came in between: a third tab, of which the session's others are told.
    let third = bob.open_tab().await;
    let third = bob.listen(&third, &tokens).await;
    for tab in [&mut his, &mut other] {
        let heard = tab.until(|event| event["params"]["ready"] == third.name.as_str()).await;
        let gone =
            heard.iter().position(|event| event["action"] == "you" && event["params"]["user"].is_null());
        assert!(gone.is_some(), "{heard:?}");
        let of_the_user = |event: &Value| is_said(event) || event["action"] == "notification";
        assert!(!heard.iter().any(of_the_user), "{heard:?}");
        assert_eq!(tab.receipts.len(), 1, "the session's own: {:?}", tab.receipts);
    }
    // Nor by receipts, nor by the cookie of before.
    drop(his);
    assert_eq!(bob.listen(&name, &tokens).await.receipts.len(), 1);
    bob.cookie = stolen;
    let tab = bob.post(&name, "/rooms/kitchen", json!({ "do": "join" })).await;
    refused(tab, StatusCode::UNAUTHORIZED, "there is no such session").await;
}

#[tokio::test]
async fn a_notification_reaches_all_tabs_of_its_user_and_nobody_else() {
    let server = Server::start().await;
    let (mut ann, mut bob, mut phone) = (Browser::new(&server), Browser::new(&server), Browser::new(&server));
    let (mut hers, mut his) = (ann.log_in("ann").await, bob.log_in("bob").await);
    let tab = bob.open_tab().await;
    let (mut second, mut far) = (bob.listen(&tab, &[]).await, phone.log_in("bob").await);
    ann.join(&mut hers, "lobby").await;
    let note = json!({ "do": "notify", "user": "bob", "text": "psst" });
    assert_eq!(ann.act(&mut hers, "lobby", note).await.status(), StatusCode::OK);
    for tab in [&mut his, &mut second, &mut far] {
        let heard = tab.until(|event| event["action"] == "notification").await.pop().expect("one");
        assert_eq!(heard["params"], json!({ "from": "ann", "text": "psst" }));
    }
    let tab = ann.open_tab().await;
    let last = ann.listen(&tab, &[]).await;
    let heard = hers.until(|event| event["params"]["ready"] == last.name.as_str()).await;
    assert!(!heard.iter().any(|event| event["action"] == "notification"), "{heard:?}");
}

#[tokio::test]
async fn members_are_told_when_tabs_come_and_go() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (Browser::new(&server), Browser::new(&server));
    let (mut hers, mut his) = (ann.log_in("ann").await, bob.log_in("bob").await);
    let members = |names: &'static [&str]| move |event: &Value| event["params"]["members"] == json!(names);
    ann.join(&mut hers, "kitchen").await;
    hers.until(members(&["ann"])).await;
    bob.join(&mut his, "kitchen").await;
    hers.until(members(&["ann", "bob"])).await;
    drop(his);
    hers.until(members(&["ann"])).await;
}

#[tokio::test]
async fn a_slow_tab_is_told_that_it_lagged() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (Browser::new(&server), Browser::new(&server));
    let (mut hers, mut his) = (ann.log_in("ann").await, bob.log_in("bob").await);
    ann.join(&mut hers, "kitchen").await;
    bob.join(&mut his, "kitchen").await;
    let tokens = his.tokens();
    let hello = json!({ "tab": his.name, "receipts": tokens, "slow": true });
    let response = bob.post(&his.name.clone(), "/events", hello).await;
    his.until(|event| event["type"] == "closed" && event["reason"] == "superseded").await;
    his.events = Box::pin(events(response));
    for n in 0..200 {
        ann.act(&mut hers, "kitchen", json!({ "do": "say", "text": n.to_string() })).await;
    }
    let heard = his.until(|event| event["type"] == "lagged").await;
    assert!(heard[heard.len() - 1]["lost"].as_u64() >= Some(64), "{heard:?}");
}

#[tokio::test]
async fn a_tab_is_of_its_session_and_requests_are_of_the_own_page() {
    let server = Server::start().await;
    let (mut ann, mut eve) = (Browser::new(&server), Browser::new(&server));
    let hers = ann.log_in("ann").await;
    eve.log_in("eve").await;
    let foreign = || json!({ "tab": hers.name, "receipts": hers.tokens(), "slow": false });
    let why = "the tab is not of this session";
    refused(eve.post("", "/events", foreign()).await, StatusCode::UNAUTHORIZED, why).await;
    let join = json!({ "do": "join" });
    refused(eve.post(&hers.name, "/rooms/lobby", join.clone()).await, StatusCode::UNAUTHORIZED, why).await;
    refused(eve.post("", "/rooms/lobby", join.clone()).await, StatusCode::UNAUTHORIZED, why).await;
    let mut nobody = Browser::new(&server);
    let why = "there is no such session";
    refused(nobody.post(&hers.name, "/rooms/lobby", join.clone()).await, StatusCode::UNAUTHORIZED, why).await;
    let tab = nobody.open_tab().await;
    refused(nobody.post(&tab, "/rooms/lobby", join).await, StatusCode::FORBIDDEN, "log in first").await;

    // Over WebSocket: another's tab, and another's page.
    let close =
        |frame: Option<CloseFrame>| frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
    let mut socket = open_socket(&eve, &eve.address).await.expect("its own page");
    socket.send(Message::text(foreign().to_string())).await.expect("sent");
    let Some(Ok(Message::Close(frame))) = socket.next().await else { panic!("it is refused") };
    assert_eq!(close(frame), Some((4401, "the tab is not of this session".to_owned())));
    assert!(open_socket(&ann, "http://elsewhere.example").await.is_err());
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let server = Server::start().await;
    let mut ann = Browser::new(&server);
    let mut hers = ann.log_in("ann").await;
    ann.join(&mut hers, "lobby").await;
    let name = hers.name.clone();
    for (length, status) in [(500, StatusCode::OK), (501, StatusCode::BAD_REQUEST)] {
        let action = json!({ "do": "say", "text": "ä".repeat(length) });
        assert_eq!(ann.act(&mut hers, "lobby", action).await.status(), status);
    }
    let long = ann.act(&mut hers, "lobby", json!({ "do": "say", "text": "ä".repeat(501) })).await;
    let why = "the message has 501 characters, 1 to 500 are allowed";
    refused(long, StatusCode::BAD_REQUEST, why).await;
    let empty = ann.act(&mut hers, "lobby", json!({ "do": "say", "text": " " })).await;
    refused(empty, StatusCode::BAD_REQUEST, "the message has 0 characters, 1 to 500 are allowed").await;
    let huge = ann.act(&mut hers, "lobby", json!({ "do": "say", "text": "x".repeat(70_000) })).await;
    assert_eq!(huge.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let named = ann.post(&name, "/login", json!("x".repeat(25))).await;
    refused(named, StatusCode::BAD_REQUEST, "the name has 25 characters, 1 to 24 are allowed").await;
    let malformed = ann.post(&name, "/rooms/lobby", json!({ "do": "dance" })).await;
    assert_eq!(malformed.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn open_socket(
    browser: &Browser,
    origin: &str,
) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
    let url = format!("{}/ws", browser.address.replacen("http", "ws", 1));
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("origin", origin.parse().expect("a value"));
    if let Some(cookie) = &browser.cookie {
        request.headers_mut().insert("cookie", cookie.parse().expect("a value"));
    }
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

#[tokio::test]
async fn a_websocket_hears_the_same_and_is_told_of_the_end() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (Browser::new(&server), Browser::new(&server));
    let (mut hers, his) = (ann.log_in("ann").await, bob.log_in("bob").await);
    let name = his.name.clone();
    drop(his);
    let mut socket = open_socket(&bob, &bob.address).await.expect("its own page");
    let hello = json!({ "tab": name, "receipts": [], "slow": false });
    socket.send(Message::text(hello.to_string())).await.expect("sent");
    let events = socket.filter_map(async |message| match message {
        Ok(Message::Text(text)) => Some(serde_json::from_str(&text).expect("JSON")),
        _ => None,
    });
    let mut his = Tab { name, receipts: HashMap::new(), events: Box::pin(events) };
    his.until(|event| event["params"]["ready"] == hello["tab"]).await;
    bob.join(&mut his, "kitchen").await;
    ann.join(&mut hers, "kitchen").await;
    ann.act(&mut hers, "kitchen", json!({ "do": "say", "text": "over the wire" })).await;
    his.until(says("over the wire")).await;

    // SIGTERM: both are told, and the server ends by itself.
    let terminated = tokio::spawn(server.terminate());
    for tab in [&mut hers, &mut his] {
        let last = tab.until(|event| event["type"] == "closed").await.pop().expect("one");
        assert_eq!(last["reason"], "shutdown");
        assert!(tab.next().await.is_none(), "the stream ends");
    }
    assert!(timeout(SOON, terminated).await.expect("soon").expect("no panic"));
}
