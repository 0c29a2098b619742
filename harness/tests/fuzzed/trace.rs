//! The body of the fuzz target `trace`: a whole trace as bytes.
//!
//! Every line is an operation that prints and reads back the same, or refused with the field and a short reason. The replay of what
//! comes before the first bad line shows what the sequential model says, with queues of its own and on lanes, and counts the same when it
//! shows nothing. The failure names the line. Called by the target and by `regressions.rs`.

use std::collections::BTreeMap;
use std::io::Cursor;

use holocast::{Client, CloseReason, Key};
use holocast_harness::failure::Failure;
use holocast_harness::replay::replay;
use holocast_harness::trace::{BadLine, EventWriter, Lines, Op, Params, Source};
use serde_json::json;

use crate::model::{Changed, End, Model, Policy, Proof, ReceiverId, Said, Settings, Taken};

/// Messages cut what they quote.
const LONGEST_MESSAGE: usize = 400;

/// What a compressed input may grow to.
const MOST_LINES: usize = 10_000;

pub(crate) fn run(input: &[u8]) {
    unpacks(input);
    let (expected, fault) = modelled(input);
    for lanes in [0, 2] {
        let mut shown = Vec::new();
        let summary = replay("trace", input, lanes, Some(&mut shown), || ());
        assert_eq!(
            String::from_utf8_lossy(&shown),
            String::from_utf8_lossy(&expected.events),
            "{lanes} lanes"
        );
        let quiet = replay("trace", input, lanes, None::<Vec<u8>>, || ());
        for outcome in [summary, quiet] {
            match (outcome, &fault) {
                (Ok(summary), None) => {
                    assert_eq!(summary.operations, expected.operations, "{lanes} lanes");
                    assert_eq!(summary.deliveries, expected.deliveries, "{lanes} lanes");
                }
                (Err(failure), Some(start)) => {
                    assert_eq!(failure.exit_code(), 2, "{failure}");
                    let message = failure.to_string();
                    assert!(message.starts_with(start.as_str()), "{message:?} should start with {start:?}");
                    assert!(!message.contains('\n') && message.len() < LONGEST_MESSAGE, "{message}");
                }
                (outcome, fault) => panic!("the replay ended with {outcome:?}, the reading with {fault:?}"),
            }
        }
    }
}

/// The way of a file: plain or compressed, whole or cut, it is read or refused.
fn unpacks(input: &[u8]) {
    let Ok(source) = Source::new("input".into(), Cursor::new(input.to_vec()), None) else { return };
    let mut lines = Lines::new(source.reader);
    for _ in 0..MOST_LINES {
        match lines.next_line() {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => return assert!(!error.to_string().is_empty()),
        }
    }
}

/// One line read, printed and read again.
fn read(line: &str) -> Result<Op, BadLine> {
    let op = Op::parse(line);
    match &op {
        Ok(Op::InvalidChannel) => {}
        Ok(op) => {
            let printed = printed(op);
            assert_eq!(Op::parse(&printed).as_ref(), Ok(op), "{printed} was printed for {line}");
        }
        Err(bad) => {
            let message = bad.to_string();
            assert!(!message.contains('\n') && message.len() < LONGEST_MESSAGE, "{message}");
            if let Some(field) = bad.field() {
                assert!(message.contains(field), "{message:?} names no field {field:?}");
            }
        }
    }
    op
}

/// The line of an operation, by the JSON forms of what it holds.
fn printed(op: &Op) -> String {
    let arrival = |op: &str, client: &Client| {
        let (instance, session, user) = (client.instance(), client.session(), client.user());
        json!({"op": op, "instance": instance, "session": session, "user": user}).to_string()
    };
    match op {
        Op::Connect { client } => arrival("connect", client),
        Op::Reconnect { client } => arrival("reconnect", client),
        Op::Identify { client } => arrival("identify", client),
        Op::Disconnect { instance } => json!({"op": "disconnect", "instance": instance}).to_string(),
        Op::Subscribe { identity, channel, cid } => {
            json!({"op": "subscribe", "identity": identity, "channel": channel, "cid": cid}).to_string()
        }
        Op::Unsubscribe { identity, channel, cid } => {
            json!({"op": "unsubscribe", "identity": identity, "channel": channel, "cid": cid}).to_string()
        }
        Op::UnsubscribeAll { identity, channel } => {
            json!({"op": "unsubscribe_all", "identity": identity, "channel": channel}).to_string()
        }
        // Params are a text already, that no tree of values holds exactly.
        Op::Broadcast { channel, action, params } => {
            let (channel, action) = (json!(channel), json!(action));
            let params = params.as_str();
            format!(r#"{{"op":"broadcast","channel":{channel},"action":{action},"params":{params}}}"#)
        }
        Op::BroadcastExcept { excluded, channel, action, params } => {
            let (excluded, channel, action) = (json!(excluded), json!(channel), json!(action));
            let params = params.as_str();
            format!(
                r#"{{"op":"broadcast_except","excluded":{excluded},"channel":{channel},"action":{action},"params":{params}}}"#
            )
        }
        Op::Transition { instance, bindings } => {
            json!({"op": "transition", "instance": instance, "bindings": bindings}).to_string()
        }
        Op::Deltas { instance, adds, drops } => {
            json!({"op": "deltas", "instance": instance, "adds": adds, "drops": drops}).to_string()
        }
        Op::InvalidChannel => json!({"op": "broadcast", "channel": null, "action": ""}).to_string(),
    }
}

/// What the model shows.
struct Expected {
    events: Vec<u8>,
    operations: u64,
    deliveries: u64,
}

/// Runs the model up to the first bad line; of that, how the failure's message begins.
fn modelled(input: &[u8]) -> (Expected, Option<String>) {
    let mut events = Vec::new();
    let mut pages = Pages::new(&mut events);
    let mut fault = None;
    let lines = input.split_inclusive(|byte| *byte == b'\n');
    for (number, line) in lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line)).enumerate() {
        let start = format!("trace: line {}: ", number + 1);
        let Ok(line) = str::from_utf8(line) else {
            fault = Some(start);
            break;
        };
        match read(line) {
            Ok(op) => pages.run(op),
            Err(bad) => {
                fault = Some(start + &Failure::from(bad).to_string());
                break;
            }
        }
    }
    let (operations, deliveries) = (pages.op, pages.deliveries);
    (Expected { events, operations, deliveries }, fault)
}

/// What a browser keeps (section 8), by the model's account.
#[derive(Default)]
struct Page {
    client: Option<Client>,
    receiver: Option<ReceiverId>,
    held: BTreeMap<Key, Proof>,
}

/// All browsers, in the order of their instances, and the model.
struct Pages<'a> {
    model: Model,
    pages: BTreeMap<String, Page>,
    params: Vec<Params>,
    op: u64,
    deliveries: u64,
    writer: EventWriter<&'a mut Vec<u8>>,
}

impl<'a> Pages<'a> {
    fn new(events: &'a mut Vec<u8>) -> Self {
        // No queue of a replay is ever full, and nothing expires while it runs.
        let settings = Settings { capacity: usize::MAX, policy: Policy::Close, lifetime_ms: u64::MAX };
        Pages {
            model: Model::new(settings, 0),
            pages: BTreeMap::new(),
            params: Vec::new(),
            op: 0,
            deliveries: 0,
            writer: EventWriter::new(events),
        }
    }

    fn run(&mut self, op: Op) {
        self.model.step(0);
        match op {
            Op::Connect { client } => {
                self.page(client.instance()).held.clear();
                self.connect(&client);
            }
            Op::Reconnect { client } => self.connect(&client),
            Op::Disconnect { instance } => {
                if let Some(receiver) = self.page(&instance).receiver.take() {
                    self.model.drop_receiver(receiver);
                }
            }
            Op::Identify { client } => {
                if self.model.identify(&client) {
                    self.page(client.instance()).client = Some(client.clone());
                }
            }
            Op::Subscribe { identity, channel, cid } => {
                self.model.subscribe(&identity, &channel, &cid);
            }
            Op::Unsubscribe { identity, channel, cid } => {
                self.model.unsubscribe(&identity, &channel, &cid);
            }
            Op::UnsubscribeAll { identity, channel } => {
                self.model.unsubscribe_all(&identity, &channel);
            }
            Op::Broadcast { channel, action, params } => {
                self.params.push(params);
                self.model.broadcast(&[], &channel, &action, self.params.len() as u64 - 1);
            }
            Op::BroadcastExcept { excluded, channel, action, params } => {
                self.params.push(params);
                self.model.broadcast(&excluded, &channel, &action, self.params.len() as u64 - 1);
            }
            Op::Transition { instance, bindings } => {
                let (client, claimed) = self.known(&instance);
                let changed = self.model.transition(&client, &bindings, &claimed);
                self.keep(&instance, changed);
            }
            Op::Deltas { instance, adds, drops } => {
                let (client, _) = self.known(&instance);
                let changed = self.model.apply(&client, &adds, &drops);
                self.keep(&instance, changed);
            }
            Op::InvalidChannel => {
                self.writer.invalid_channel(self.op).expect("a vector takes everything");
            }
        }
        let names: Vec<String> = self.pages.keys().cloned().collect();
        names.iter().for_each(|name| self.drain(name));
        self.op += 1;
    }

    fn page(&mut self, instance: &str) -> &mut Page {
        self.pages.entry(instance.to_owned()).or_default()
    }

    /// Who an instance said it was when it last did, and what its browser holds.
    fn known(&mut self, instance: &str) -> (Client, Vec<Proof>) {
        let page = self.page(instance);
        let client = page.client.clone().unwrap_or_else(|| Client::new(instance));
        (client, page.held.values().cloned().collect())
    }

    fn keep(&mut self, instance: &str, changed: Changed) {
        let held = &mut self.page(instance).held;
        for key in &changed.dropped {
            held.remove(key);
        }
        held.extend(changed.receipts.into_iter().map(|proof| (proof.key(), proof)));
    }

    fn connect(&mut self, client: &Client) {
        let (_, presented) = self.known(client.instance());
        let welcome = self.model.connect(client, &presented);
        self.keep(client.instance(), Changed { receipts: welcome.receipts, dropped: Vec::new() });
        if self.page(client.instance()).receiver.is_some() {
            // A superseded one is told before its successor.
            self.drain(client.instance());
        }
        let page = self.page(client.instance());
        (page.client, page.receiver) = (Some(client.clone()), Some(welcome.receiver));
    }

    /// Takes all that is due to an instance, and shows it.
    fn drain(&mut self, instance: &str) {
        let Some(receiver) = self.page(instance).receiver else { return };
        while let Taken::Event(said) = self.model.take(receiver, false) {
            let op = self.op;
            let shown = match said {
                Said::Broadcast { action, params, cids, .. } => {
                    self.deliveries += 1;
                    self.writer.broadcast(op, instance, &action, &self.params[params as usize], cids.iter())
                }
                Said::Subscribed(proof) => {
                    let shown = self.writer.subscribed(op, instance, &proof.channel, &proof.cid);
                    self.page(instance).held.insert(proof.key(), proof);
                    shown
                }
                Said::Unsubscribed(keys) => {
                    let held = &mut self.page(instance).held;
                    keys.iter().for_each(|key| drop(held.remove(key)));
                    self.writer.unsubscribed(op, instance, &keys)
                }
                Said::Closed(End::Superseded) => self.writer.closed(op, instance, CloseReason::Superseded),
                Said::Closed(_) | Said::Lagged(_) => panic!("no trace fills a queue: {said:?}"),
            };
            shown.expect("a vector takes everything");
        }
    }
}
