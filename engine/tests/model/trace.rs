//! A script as a trace file that `holocast replay` runs: JSON Lines, one operation a line.
//!
//! Called when a script has failed. Only operations that the format has are written: takes, the clock and dropped
//! handlers are left out, a reconnect presents whatever the replaying client holds.

use std::fmt::Write as _;
use std::path::PathBuf;

use holocast::{Channel, Element, Id, Identity};

use super::Key;
use super::ops::{Login, Op, Tab};

/// The lines of the trace. The universe's names need no escaping.
pub(crate) fn lines(script: &[Op]) -> String {
    let mut out = String::new();
    for (step, op) in script.iter().enumerate() {
        for line in op_lines(step, op) {
            writeln!(out, "{{{line}}}").expect("strings take everything");
        }
    }
    out
}

/// Writes the trace to a file of its own in the temporary folder and names it.
pub(crate) fn save(script: &[Op]) -> std::io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("holocast-mismatch-{}.ops.jsonl", std::process::id()));
    std::fs::write(&path, lines(script))?;
    Ok(path)
}

fn op_lines(step: usize, op: &Op) -> Vec<String> {
    let addressed = |name: &str, who: &Identity, room: &Channel, cid: Option<&str>| {
        let cid = cid.map(|cid| format!(r#","cid":"{cid}""#)).unwrap_or_default();
        vec![format!(r#""op":"{name}","identity":{},"channel":{}{cid}"#, identity(who), channel(room))]
    };
    match op {
        Op::Broadcast { room, excluded, .. } => vec![broadcast(step, room.value(), excluded)],
        Op::Subscribe { who, room, part } => {
            addressed("subscribe", who.value(), room.value(), Some(part.value()))
        }
        Op::Unsubscribe { who, room, part } => {
            addressed("unsubscribe", who.value(), room.value(), Some(part.value()))
        }
        Op::UnsubscribeAll { who, room } => addressed("unsubscribe_all", who.value(), room.value(), None),
        Op::Connect { tab, login } => vec![arrival("connect", *tab, *login)],
        Op::Reconnect { tab, login, .. } => vec![arrival("reconnect", *tab, *login)],
        Op::Identify { tab, login } => vec![arrival("identify", *tab, *login)],
        Op::Disconnect { tab } | Op::Hangup { tab } => {
            vec![format!(r#""op":"disconnect","instance":"{}""#, tab.value())]
        }
        Op::Put { tab, room, part, .. } => {
            vec![deltas(*tab, &[(room.value().clone(), part.value().clone())], &[])]
        }
        Op::Delete { tab, room, part, .. } => {
            vec![deltas(*tab, &[], &[(room.value().clone(), part.value().clone())])]
        }
        Op::Apply { tab, adds, drops, .. } => vec![deltas(*tab, adds, drops)],
        Op::Transition { tab, bindings, .. } => {
            vec![format!(r#""op":"transition","instance":"{}","bindings":{}"#, tab.value(), keys(bindings))]
        }
        Op::Handler { tab, puts, deletes, posts, commit: true, .. } => {
            let mut lines = vec![deltas(*tab, puts, deletes)];
            lines.extend(posts.iter().map(|(room, excluded)| {
                let mut excluded = excluded.clone();
                excluded.push(Identity::instance(*tab.value()));
                broadcast(step, room.value(), &excluded)
            }));
            lines
        }
        Op::Handler { commit: false, .. }
        | Op::DropOld { .. }
        | Op::Take { .. }
        | Op::TakeOld { .. }
        | Op::Advance { .. }
        | Op::Sweep
        | Op::Refused { .. } => Vec::new(),
    }
}

fn arrival(name: &str, tab: Tab, login: Login) -> String {
    let (session, user) = login.value();
    let or_null = |value: &Option<Id>| value.as_ref().map_or_else(|| "null".to_string(), id);
    let (session, user) = (or_null(session), or_null(user));
    format!(r#""op":"{name}","instance":"{}","session":{session},"user":{user}"#, tab.value())
}

fn broadcast(step: usize, room: &Channel, excluded: &[Identity]) -> String {
    let (name, excluded) = if excluded.is_empty() {
        ("broadcast", String::new())
    } else {
        ("broadcast_except", format!(r#""excluded":{},"#, list(excluded, identity)))
    };
    format!(r#""op":"{name}",{excluded}"channel":{},"action":"add","params":{{"n":{step}}}"#, channel(room))
}

fn deltas(tab: Tab, adds: &[Key], drops: &[Key]) -> String {
    format!(r#""op":"deltas","instance":"{}","adds":{},"drops":{}"#, tab.value(), keys(adds), keys(drops))
}

fn keys(keys: &[Key]) -> String {
    list(keys, |(of, cid)| format!(r#"[{},"{cid}"]"#, channel(of)))
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(","))
}

fn identity(identity: &Identity) -> String {
    match identity {
        Identity::Instance(instance) => format!(r#"["instance","{instance}"]"#),
        Identity::Session(session) => format!(r#"["session",{}]"#, id(session)),
        Identity::User(user) => format!(r#"["user",{}]"#, id(user)),
    }
}

fn id(id: &Id) -> String {
    match id {
        Id::Int(number) => number.to_string(),
        Id::Str(text) => format!(r#""{text}""#),
    }
}

fn channel(channel: &Channel) -> String {
    if channel.elements().is_empty() {
        return format!(r#""{}""#, channel.tag());
    }
    let elements = list(channel.elements(), |element| match element {
        Element::Atom(name) => format!(r#"{{"atom":"{name}"}}"#),
        Element::Int(number) => number.to_string(),
        Element::Str(text) => format!(r#""{text}""#),
    });
    format!(r#"["{}",{}"#, channel.tag(), &elements[1..])
}
