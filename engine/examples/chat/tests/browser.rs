//! The page in headless Chromium, with several tabs. Needs `chromium` and `chromedriver`, so it runs when asked: `.ci/browser`.
//!
//! Nothing sleeps for a time that is hoped to be long enough: each step waits for what the page shows.

mod server;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thirtyfour::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use server::Server;

/// For what comes sooner or later.
const SOON: Duration = Duration::from_secs(30);

/// A server, and two people with a browser each: a profile, and so a session, of their own.
struct Stage {
    ann: Browser,
    bob: Browser,
    /// After the browsers: it ends them.
    _driver: Child,
    server: Server,
}

struct Browser {
    driver: WebDriver,
    address: String,
    _profile: Profile,
}

/// A directory that is removed with its browser.
struct Profile(PathBuf);

impl Drop for Profile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One tab of a browser.
struct Page<'a> {
    browser: &'a Browser,
    window: WindowHandle,
}

impl Stage {
    async fn set() -> Self {
        let server = Server::start().await;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is installed: .ci/browser sees to it");
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port = loop {
            let line = lines.next_line().await.expect("readable").expect("it says its port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let driver_address = format!("http://127.0.0.1:{port}");
        let ann = Browser::start(&driver_address, &server.address, "ann").await;
        let bob = Browser::start(&driver_address, &server.address, "bob").await;
        Self { ann, bob, _driver: driver, server }
    }

    async fn end(mut self) {
        self.ann.driver.quit().await.expect("it ends");
        self.bob.driver.quit().await.expect("it ends");
        assert!(self.server.terminate().await, "the server ends by itself");
    }
}

impl Browser {
    async fn start(driver: &str, address: &str, name: &str) -> Self {
        let unique = format!("holocast-chat-{}-{name}-{:?}", std::process::id(), std::thread::current().id());
        let profile = std::env::temp_dir().join(unique.replace(['(', ')'], ""));
        let mut chromium = DesiredCapabilities::chrome();
        let directory = format!("--user-data-dir={}", profile.display());
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            &directory,
        ] {
            chromium.add_arg(argument).expect("an argument");
        }
        let driver = WebDriver::new(driver, chromium).await.expect("Chromium starts");
        Self { driver, address: address.to_owned(), _profile: Profile(profile) }
    }

    /// A new tab with the page, connected.
    async fn open(&self, query: &str) -> Page<'_> {
        let window = self.driver.new_tab().await.expect("a tab");
        let page = Page { browser: self, window };
        page.front().await;
        self.driver.goto(format!("{}/{query}", self.address)).await.expect("the page");
        page.shows("document.body.dataset.state === 'connected'").await;
        page
    }

    /// A first tab, logged in and in a room.
    async fn enter(&self, query: &str, name: &str) -> Page<'_> {
        let page = self.open(query).await;
        page.write("#login input", name).await;
        page.click("#login button").await;
        page.is_in().await;
        page
    }
}

impl Page<'_> {
    async fn front(&self) {
        self.browser.driver.switch_to_window(self.window.clone()).await.expect("it is open");
    }

    async fn run(&self, script: &str) -> Value {
        self.front().await;
        let answer = self.browser.driver.execute(script, Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// Waits until an expression holds.
    async fn shows(&self, expression: &str) {
        let begun = Instant::now();
        while self.run(&format!("return Boolean({expression})")).await != Value::Bool(true) {
            if begun.elapsed() > SOON {
                let text = self.run("return document.body.innerText").await;
                panic!("`{expression}` does not come true; the page:\n{}", text.as_str().unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn holds(&self, expression: &str) -> bool {
        self.run(&format!("return Boolean({expression})")).await == Value::Bool(true)
    }

    async fn is_in(&self) {
        self.shows("!document.getElementById('say').hidden").await;
    }

    async fn state(&self, state: &str) {
        self.shows(&format!("document.body.dataset.state === '{state}'")).await;
    }

    async fn says(&self, text: &str) {
        self.write("#say input", &format!("{text}{}", Key::Enter.value())).await;
    }

    async fn hears(&self, text: &str) {
        self.shows(&format!("document.getElementById('log').textContent.includes({})", json!(text))).await;
    }

    async fn heard(&self, text: &str) -> bool {
        self.holds(&format!("document.querySelector('main').textContent.includes({})", json!(text))).await
    }

    async fn element(&self, css: &str) -> WebElement {
        self.front().await;
        let query = self.browser.driver.query(By::Css(css)).wait(SOON, Duration::from_millis(20));
        query.and_displayed().first().await.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    async fn click(&self, css: &str) {
        self.element(css).await.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    async fn write(&self, css: &str, text: &str) {
        self.element(css).await.send_keys(text).await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// A picture, if `SCREENSHOTS` names a directory for them.
    async fn picture(&self, name: &str) {
        let Some(directory) = std::env::var_os("SCREENSHOTS").map(PathBuf::from) else { return };
        self.front().await;
        let cdp = self.browser.driver.cdp();
        for (kind, width, height, top) in
            [("wide", 1280, 800, 0), ("narrow", 390, 844, 0), ("narrow-below", 360, 844, 10_000)]
        {
            let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
            cdp.send_raw("Emulation.setDeviceMetricsOverride", size).await.expect("a size");
            let scroll =
                format!("document.querySelector('main').scrollTop = {top}; log.scrollTop = log.scrollHeight");
            self.run(&scroll).await;
            let path = directory.join(format!("{name}-{kind}.png"));
            self.browser.driver.screenshot(&path).await.expect("a picture");
        }
        let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        cdp.send_raw("Emulation.setEmulatedMedia", dark).await.expect("dark");
        let path = directory.join(format!("{name}-dark.png"));
        self.browser.driver.screenshot(&path).await.expect("a picture");
        cdp.send_raw("Emulation.setEmulatedMedia", json!({ "features": [] })).await.expect("as it was");
        cdp.send_raw("Emulation.clearDeviceMetricsOverride", json!({})).await.expect("no size");
    }
}

/// Some talk to look at.
async fn stage_talk(ann: &Page<'_>, bob: &Page<'_>) {
    for (page, text) in [
        (ann, "The kettle is on. Who wants tea?"),
        (bob, "Me! Two cups, I have a second tab open."),
        (ann, "Then the second tab gets the biscuit."),
    ] {
        page.says(text).await;
        for page in [ann, bob] {
            page.hears(text).await;
        }
    }
    bob.click("[aria-label='Notify ann']").await;
    bob.browser.driver.send_alert_text("milk or lemon?").await.expect("a prompt");
    bob.browser.driver.accept_alert().await.expect("a prompt");
    ann.shows("document.querySelector('#notes li')").await;
    ann.picture("talk").await;
}

async fn the_page_works(query: &str) {
    let stage = Stage::set().await;
    let (ann, bob) = (stage.ann.enter(query, "ann").await, stage.bob.enter(query, "bob").await);
    let second = stage.bob.open(query).await;
    second.is_in().await;

    // Text is text, whatever it looks like.
    ann.says("<b>hello</b> & welcome").await;
    for page in [&ann, &bob, &second] {
        page.hears("<b>hello</b> & welcome").await;
        assert!(page.holds("document.querySelectorAll('#log li').length === 1").await, "once");
        page.shows("[...document.querySelectorAll('#members span')].map(one => one.firstChild.data).join().replace(' (you)', '') === 'ann,bob'").await;
    }
    bob.write("#say input", "hm").await;
    ann.shows("document.getElementById('typing').textContent === 'bob is writing …'").await;
    assert!(
        second.holds("!document.getElementById('typing').textContent.includes('bob')").await,
        "no echo to oneself"
    );
    second.says("good morning").await;
    ann.hears("good morning").await;
    bob.hears("good morning").await;

    bob.element("#say input").await.clear().await.expect("cleared");
    stage_talk(&ann, &bob).await;

    // Each room has its own talk.
    ann.click("#rooms li:nth-child(2) button").await;
    ann.shows("document.getElementById('title').textContent === 'kitchen'").await;
    ann.is_in().await;
    ann.says("anybody in the kitchen?").await;
    ann.hears("anybody in the kitchen?").await;
    bob.says("still in the lobby").await;
    second.hears("still in the lobby").await;
    assert!(!bob.heard("anybody in the kitchen?").await);
    ann.click("#rooms li:nth-child(1) button").await;
    ann.hears("still in the lobby").await;

    // A tab that is closed is gone, and its user with the last one.
    for page in [bob, second] {
        page.front().await;
        stage.bob.driver.close_window().await.expect("closed");
    }
    ann.shows("document.querySelectorAll('#members li').length === 1").await;
    ann.click("#leave").await;
    ann.shows("document.getElementById('outside').textContent.includes('You are not in this room.')").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: .ci/browser"]
async fn the_page_works_over_server_sent_events() {
    the_page_works("").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: .ci/browser"]
async fn the_page_works_over_websocket() {
    the_page_works("?ws").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: .ci/browser"]
async fn a_kicked_tab_stays_out_when_it_reconnects_and_comes_in_when_it_is_let_in() {
    let stage = Stage::set().await;
    let ann = stage.ann.enter("", "ann").await;
    let (bob, away) = (stage.bob.enter("", "bob").await, stage.bob.open("?ws").await);
    away.is_in().await;
    // This one is away with its receipts when it happens.
    away.click("#offline").await;
    away.state("offline").await;
    ann.click("[aria-label='Kick bob']").await;
    let removed =
        "document.getElementById('outside').textContent.includes('You were removed from this room.')";
    bob.shows(removed).await;
    bob.shows("document.getElementById('notes').textContent.includes('ann: you were removed from lobby')")
        .await;
    bob.picture("kicked").await;
    ann.says("between us").await;
    ann.hears("between us").await;
    ann.picture("kicking").await;

    away.click("#offline").await;
    away.state("connected").await;
    away.shows(removed).await;
    // Nor after another loss, nor by asking, nor in a new tab.
    bob.click("#drop").await;
    bob.state("reconnecting").await;
    bob.state("connected").await;
    bob.click("#join").await;
    bob.shows("document.getElementById('error').textContent === 'you were removed from lobby'").await;
    let new = stage.bob.open("").await;
    new.shows("!document.getElementById('outside').hidden").await;
    for page in [&bob, &away, &new] {
        assert!(!page.heard("between us").await);
        assert!(page.holds("document.getElementById('say').hidden").await);
    }

    // One click lets all three in, where they are.
    ann.click("[aria-label='Let bob in again']").await;
    for page in [&bob, &away, &new] {
        page.is_in().await;
        page.hears("between us").await;
    }
    ann.says("welcome back").await;
    away.hears("welcome back").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: .ci/browser"]
async fn a_tab_that_reconnects_keeps_what_it_had() {
    let stage = Stage::set().await;
    let (ann, bob) = (stage.ann.enter("", "ann").await, stage.bob.enter("", "bob").await);
    for transport in ["sse", "ws"] {
        bob.click(&format!("#transport option[value={transport}]")).await;
        bob.state("connected").await;
        bob.click("#rooms li:nth-child(2) button").await;
        bob.is_in().await;
        // The server ends the connection; the page comes back by itself.
        bob.click("#drop").await;
        bob.state("reconnecting").await;
        bob.state("connected").await;
        bob.is_in().await;
        // Away while something is said: it is there when the tab is back.
        bob.click("#offline").await;
        bob.state("offline").await;
        bob.picture(&format!("offline-{transport}")).await;
        let text = format!("said while bob was away from {transport}");
        ann.says(&text).await;
        ann.hears(&text).await;
        bob.click("#offline").await;
        bob.state("connected").await;
        bob.click("#rooms li:nth-child(1) button").await;
        bob.hears(&text).await;
        let text = format!("heard over {transport}");
        ann.says(&text).await;
        bob.hears(&text).await;
        // All of it by receipts: the page asked to join each room once.
        let joined = "[...document.querySelectorAll('#rooms small')].filter(one => one.textContent === 'joined').length";
        assert!(bob.holds(&format!("{joined} === 2")).await);
    }
    // A request that crosses a login in another tab has the cookie of before: it is sent again.
    bob.run(
        "const send = window.fetch; let crossed = false;
        window.fetch = (path, request) => {
            if (crossed || !request.body.includes('sent twice')) return send(path, request);
            crossed = true;
            return Promise.resolve(new Response('crossed', { status: 401 }));
        };",
    )
    .await;
    bob.says("sent twice, heard once").await;
    ann.hears("sent twice, heard once").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: .ci/browser"]
async fn a_logged_out_tab_hears_nothing_more() {
    let stage = Stage::set().await;
    let (ann, bob) = (stage.ann.enter("", "ann").await, stage.bob.enter("", "bob").await);
    let second = stage.bob.open("?ws").await;
    second.is_in().await;
    bob.click("#rooms li:nth-child(2) button").await;
    bob.is_in().await;
    bob.click("#rooms li:nth-child(1) button").await;
    ann.says("before").await;
    bob.hears("before").await;
    ann.run("act('lobby', 'notify', { user: 'bob', text: 'for bob alone' })").await;
    second.shows("document.getElementById('notes').textContent.includes('for bob alone')").await;
    bob.click("#logout button").await;
    for page in [&bob, &second] {
        page.shows("!document.getElementById('login').hidden").await;
        assert!(!page.heard("before").await, "nothing stays on the page");
    }
    bob.picture("logged-out").await;
    // All that comes is recorded, and a third tab tells when everything from before must have come.
    for page in [&bob, &second] {
        page.run(
            "window.heard = []; const old = handle; handle = event => { heard.push(event); old(event); }",
        )
        .await;
    }
    ann.says("secret").await;
    ann.hears("secret").await;
    let third = stage.bob.open("").await;
    for page in [&bob, &second] {
        page.shows("window.heard.some(event => event.action === 'you')").await;
        let heard = page.run("return window.heard.map(event => event.action ?? event.type)").await;
        assert_eq!(heard, json!(["you"]));
        assert!(!page.heard("secret").await);
    }
    // A login in one tab is one in all.
    third.write("#login input", "carol").await;
    third.click("#login button").await;
    for page in [&bob, &second, &third] {
        page.is_in().await;
        page.shows("document.getElementById('me').textContent === 'carol'").await;
        for of_bob in ["removed", "for bob alone"] {
            assert!(!page.heard(of_bob).await, "{of_bob}: of the user before");
        }
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: .ci/browser"]
async fn a_notification_reaches_all_tabs_of_its_user() {
    let stage = Stage::set().await;
    let (ann, bob) = (stage.ann.enter("", "ann").await, stage.bob.enter("", "bob").await);
    let second = stage.bob.open("?ws").await;
    second.is_in().await;
    ann.click("[aria-label='Notify bob']").await;
    stage.ann.driver.send_alert_text("lunch?").await.expect("a prompt");
    stage.ann.driver.accept_alert().await.expect("a prompt");
    for page in [&bob, &second] {
        page.shows("document.querySelector('#notes li')?.textContent === 'ann: lunch?'").await;
    }
    assert!(ann.holds("document.querySelector('#notes li') === null").await);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: .ci/browser"]
async fn a_slow_tab_is_told_what_it_missed_and_loads_it() {
    let stage = Stage::set().await;
    let (ann, bob) = (stage.ann.enter("", "ann").await, stage.bob.enter("", "bob").await);
    bob.click("#slow").await;
    bob.state("connected").await;
    ann.click("#burst").await;
    ann.hears("100 of 100").await;
    bob.shows("document.getElementById('notes').textContent.includes('This tab was slow and missed')").await;
    bob.hears("100 of 100").await;
    bob.picture("lagged").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: .ci/browser"]
async fn a_server_that_was_started_anew_is_found_again_and_knows_nobody() {
    let mut stage = Stage::set().await;
    let (ann, bob) = (stage.ann.enter("", "ann").await, stage.bob.enter("?ws", "bob").await);
    assert!(stage.server.terminate().await);
    for page in [&ann, &bob] {
        page.state("reconnecting").await;
    }
    bob.picture("reconnecting").await;
    stage.server = Server::start_at(&stage.server.address.replace("http://", "")).await;
    for page in [&ann, &bob] {
        page.state("connected").await;
        page.write("#login input", "somebody").await;
        page.click("#login button").await;
        page.is_in().await;
    }
    stage.end().await;
}
