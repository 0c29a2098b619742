//! Real traffic replays with exactly the deliveries that the rules give, counted by a model that knows nothing of the engine.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead};
use std::path::Path;

use holocast_harness::replay::replay;
use holocast_harness::trace::Source;
use serde::Deserialize;

/// The fields of the four operations that the trace consists of.
#[derive(Deserialize)]
struct Line<'a> {
    op: &'a str,
    instance: Option<&'a str>,
    user: Option<u64>,
    identity: Option<(&'a str, u64)>,
    channel: Option<(&'a str, u64)>,
    #[serde(borrow)]
    excluded: Option<Vec<(&'a str, &'a str)>>,
}

/// Who is in which channel, and how many a broadcast reaches. Nobody in this trace disconnects, reconnects or has two cids.
#[derive(Default)]
struct Model {
    tabs_of: HashMap<u64, Vec<String>>,
    members: HashMap<u64, HashSet<String>>,
    operations: u64,
    deliveries: u64,
}

impl Model {
    fn run(&mut self, line: &Line<'_>) {
        self.operations += 1;
        let channel = line.channel.map(|(tag, number)| {
            assert_eq!(tag, "irc");
            number
        });
        match line.op {
            "connect" => {
                let (user, instance) = (line.user.expect("a user"), line.instance.expect("an instance"));
                let tabs = self.tabs_of.entry(user).or_default();
                assert!(!tabs.iter().any(|tab| tab == instance), "{instance} connects twice");
                tabs.push(instance.to_owned());
            }
            "subscribe" | "unsubscribe" => {
                let ("user", user) = line.identity.expect("an identity") else { panic!("not a user") };
                let members = self.members.entry(channel.expect("a channel")).or_default();
                for tab in self.tabs_of.get(&user).into_iter().flatten() {
                    if line.op == "subscribe" {
                        members.insert(tab.clone())
                    } else {
                        members.remove(tab)
                    };
                }
            }
            "broadcast_except" => {
                let Some(members) = self.members.get(&channel.expect("a channel")) else { return };
                let excluded = line.excluded.as_ref().expect("a list");
                assert!(excluded.iter().all(|(kind, _)| *kind == "instance"));
                let out = excluded.iter().filter(|(_, instance)| members.contains(*instance)).count();
                self.deliveries += (members.len() - out) as u64;
            }
            other => panic!("the model does not know {other}"),
        }
    }
}

#[test]
fn b1_b2_the_irc_trace_delivers_exactly_what_the_rules_give() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/irc-ubuntu.jsonl.gz");
    if !path.exists() {
        println!("skipped: the trace (../shared/data/irc-ubuntu.jsonl.gz) is not here");
        return;
    }
    let mut model = Model::default();
    for line in Source::open(&path).expect("it opens").reader.lines() {
        let line = line.expect("it reads");
        model.run(&serde_json::from_str(&line).expect("an operation of the trace"));
    }
    assert_eq!(model.operations, 289_885);

    for lanes in [0, 3] {
        let source = Source::open(&path).expect("it opens");
        let summary =
            replay(&source.name, source.reader, lanes, None::<io::Sink>, || ()).expect("it replays");
        println!("on {lanes} lanes: {summary}");
        assert_eq!(summary.operations, model.operations);
        assert_eq!(summary.deliveries, model.deliveries);
    }
}
