//! One operation of a trace, typed, and the reading of it from one line.

use holocast::{Channel, Cid, Client, Identity, Key, Text};

use super::fields::{BadLine, Fields};
use super::json::Params;

/// What a line says. The fields are those of semantics, section 8.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the trace format")]
pub enum Op {
    Connect {
        client: Client,
    },
    Reconnect {
        client: Client,
    },
    Disconnect {
        instance: Text,
    },
    Identify {
        client: Client,
    },
    Subscribe {
        identity: Identity,
        channel: Channel,
        cid: Cid,
    },
    Unsubscribe {
        identity: Identity,
        channel: Channel,
        cid: Cid,
    },
    UnsubscribeAll {
        identity: Identity,
        channel: Channel,
    },
    Broadcast {
        channel: Channel,
        action: Text,
        params: Params,
    },
    BroadcastExcept {
        excluded: Vec<Identity>,
        channel: Channel,
        action: Text,
        params: Params,
    },
    Transition {
        instance: Text,
        bindings: Vec<Key>,
    },
    Deltas {
        instance: Text,
        adds: Vec<Key>,
        drops: Vec<Key>,
    },
    /// Any of these with something in a channel's place that is none: it changes nothing.
    InvalidChannel,
}

impl Op {
    /// Reads one line, without or with its line break.
    ///
    /// # Errors
    ///
    /// The line is no operation: bad JSON, an unknown `op`, a field missing, unknown, there twice or of another type.
    pub fn parse(line: &str) -> Result<Op, BadLine> {
        let mut fields = Fields::read(line)?;
        let op = match &*fields.op()? {
            "connect" => Op::Connect { client: fields.client()? },
            "reconnect" => Op::Reconnect { client: fields.client()? },
            "disconnect" => Op::Disconnect { instance: fields.name("instance")? },
            "identify" => Op::Identify { client: fields.client()? },
            "subscribe" => {
                let (identity, channel, cid) = (fields.identity()?, fields.channel()?, fields.cid()?);
                or_invalid(channel, |channel| Op::Subscribe { identity, channel, cid })
            }
            "unsubscribe" => {
                let (identity, channel, cid) = (fields.identity()?, fields.channel()?, fields.cid()?);
                or_invalid(channel, |channel| Op::Unsubscribe { identity, channel, cid })
            }
            "unsubscribe_all" => {
                let (identity, channel) = (fields.identity()?, fields.channel()?);
                or_invalid(channel, |channel| Op::UnsubscribeAll { identity, channel })
            }
            "broadcast" => {
                let (channel, action, params) = (fields.channel()?, fields.name("action")?, fields.params()?);
                or_invalid(channel, |channel| Op::Broadcast { channel, action, params })
            }
            "broadcast_except" => {
                let excluded = fields.excluded()?;
                let (channel, action, params) = (fields.channel()?, fields.name("action")?, fields.params()?);
                or_invalid(channel, |channel| Op::BroadcastExcept { excluded, channel, action, params })
            }
            "transition" => {
                let (instance, bindings) = (fields.name("instance")?, fields.keys("bindings")?);
                or_invalid(bindings, |bindings| Op::Transition { instance, bindings })
            }
            "deltas" => {
                let (instance, adds, drops) =
                    (fields.name("instance")?, fields.keys("adds")?, fields.keys("drops")?);
                or_invalid(adds.zip(drops), |(adds, drops)| Op::Deltas { instance, adds, drops })
            }
            unknown => {
                return Err(BadLine::new(
                    "op",
                    format!("unknown operation `{}`", super::fields::shown(unknown)),
                ));
            }
        };
        fields.end()?;
        Ok(op)
    }
}

fn or_invalid<T>(valid: Option<T>, op: impl FnOnce(T) -> Op) -> Op {
    valid.map_or(Op::InvalidChannel, op)
}

#[cfg(test)]
mod tests {
    use holocast::{Element, Id};

    use super::*;

    fn refused(line: &str) -> (Option<String>, String) {
        let bad = Op::parse(line).expect_err(line);
        (bad.field().map(str::to_owned), bad.to_string())
    }

    fn subscribe(channel: &str) -> Result<Op, BadLine> {
        Op::parse(&format!(r#"{{"op":"subscribe","identity":["user",7],"channel":{channel},"cid":"page"}}"#))
    }

    #[test]
    fn every_operation_is_read_with_its_fields_in_any_order() {
        let client = Client::new("i1").with_session("s").with_user(7);
        let key = (Channel::tagged("room", [42]).unwrap(), Cid::from("page"));
        for (line, op) in [
            (
                r#"{"op":"connect","instance":"i1","session":"s","user":7}"#,
                Op::Connect { client: client.clone() },
            ),
            (
                r#" {"user":7, "session":"s" ,"instance":"\u00691","op":"reconnect"} "#,
                Op::Reconnect { client: client.clone() },
            ),
            (r#"{"op":"disconnect","instance":"i1"}"#, Op::Disconnect { instance: "i1".into() }),
            (
                r#"{"op":"identify","instance":"i1","session":null,"user":null}"#,
                Op::Identify { client: Client::new("i1") },
            ),
            (
                r#"{"op":"broadcast","channel":"lobby","action":"add"}"#,
                Op::Broadcast {
                    channel: Channel::atom("lobby"),
                    action: "add".into(),
                    params: Params::empty(),
                },
            ),
            (
                r#"{"op":"broadcast_except","excluded":[["session","s"],["user",8]],"channel":["room",42],"action":"a","params":{}}"#,
                Op::BroadcastExcept {
                    excluded: vec![Identity::session("s"), Identity::user(8)],
                    channel: key.0.clone(),
                    action: "a".into(),
                    params: Params::empty(),
                },
            ),
            (
                r#"{"op":"unsubscribe_all","identity":["instance","i1"],"channel":["room",42]}"#,
                Op::UnsubscribeAll { identity: Identity::instance("i1"), channel: key.0.clone() },
            ),
            (
                r#"{"op":"deltas","instance":"i1","adds":[[["room",42],"page"]],"drops":[]}"#,
                Op::Deltas { instance: "i1".into(), adds: vec![key.clone()], drops: vec![] },
            ),
            (
                "{\"op\":\"transition\",\"instance\":\"i1\",\"bindings\":[[[\"room\",42],\"page\"]]}\r\n",
                Op::Transition { instance: "i1".into(), bindings: vec![key.clone()] },
            ),
        ] {
            assert_eq!(Op::parse(line), Ok(op), "{line}");
        }
    }

    #[test]
    fn v2_the_types_of_ids_and_elements_are_kept() {
        let connect = |user: &str| {
            Op::parse(&format!(r#"{{"op":"connect","instance":"i","session":null,"user":{user}}}"#)).unwrap()
        };
        assert_eq!(connect("7"), Op::Connect { client: Client::new("i").with_user(7) });
        assert_eq!(connect(r#""7""#), Op::Connect { client: Client::new("i").with_user(Id::from("7")) });
        let elements = [Element::Int(i64::MIN), Element::Str("x".into()), Element::atom("x")];
        let channel = Channel::tagged("t", elements).unwrap();
        let Ok(Op::Subscribe { channel: read, .. }) =
            subscribe(r#"["t",-9223372036854775808,"x",{"atom":"x"}]"#)
        else {
            panic!("not a subscribe");
        };
        assert_eq!(read, channel);
    }

    #[test]
    fn v1_anything_else_in_a_channels_place_is_an_invalid_channel() {
        let long = |n: usize| "x".repeat(n);
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for channel in [
            "42",
            "1.5",
            "null",
            "true",
            "[]",
            r#"["room"]"#,
            r#"[42,"x"]"#,
            r#"["room",1.5]"#,
            r#"["room",1.0]"#,
            r#"["room",null]"#,
            r#"["room",[1]]"#,
            r#"["room",{}]"#,
            r#"["room",{"atom":1}]"#,
            r#"["room",{"atom":"x","y":1}]"#,
            r#"{"atom":"x"}"#,
            r#"["room",{"atom":"x","atom":"x"}]"#,
            r#"[{"atom":"room"},1]"#,
            r#"["room",9223372036854775808]"#,
            r#"["room",-9223372036854775809]"#,
            r#"["room",123456789012345678901234567890]"#,
            r#"["room",1e999]"#,
            "1e999",
            &format!("[\"room\"{}]", ",1".repeat(16)),
            &format!("\"{}\"", long(256)),
            &format!("[\"{}\",1]", long(256)),
            &format!("[\"room\",\"{}\"]", long(1025)),
            &format!("[\"room\",{{\"atom\":\"{}\"}}]", long(256)),
            &deep,
            &format!("[\"room\",{deep}]"),
            &format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)),
        ] {
            assert_eq!(
                subscribe(channel),
                Ok(Op::InvalidChannel),
                "{}",
                crate::trace::fields::shown(channel)
            );
        }
        for channel in [
            format!("[\"room\"{}]", ",1".repeat(15)),
            format!("\"{}\"", long(255)),
            format!("[\"room\",\"{}\"]", long(1024)),
            format!("[\"room\",{{\"atom\":\"{}\"}}]", long(255)),
            r#"["room",9223372036854775807]"#.into(),
            r#""""#.into(),
        ] {
            assert!(matches!(subscribe(&channel), Ok(Op::Subscribe { .. })), "{channel}");
        }
        for field in ["adds", "drops"] {
            let other = if field == "adds" { "drops" } else { "adds" };
            let line =
                format!(r#"{{"op":"deltas","instance":"i","{field}":[["a","p"],[7,"p"]],"{other}":[]}}"#);
            assert_eq!(Op::parse(&line), Ok(Op::InvalidChannel));
        }
        assert_eq!(
            Op::parse(r#"{"op":"transition","instance":"i","bindings":[[null,"p"]]}"#),
            Ok(Op::InvalidChannel)
        );
    }

    #[test]
    fn an_invalid_channel_does_not_excuse_another_bad_field() {
        assert_eq!(
            refused(r#"{"op":"subscribe","identity":["user",7],"channel":7}"#).0.as_deref(),
            Some("cid")
        );
        assert_eq!(
            refused(r#"{"op":"deltas","instance":"i","adds":[[7,8]],"drops":[]}"#).0.as_deref(),
            Some("adds[0][1]")
        );
        assert_eq!(
            refused(r#"{"op":"broadcast","channel":7,"action":"a","params":[]}"#).0.as_deref(),
            Some("params")
        );
    }

    #[test]
    fn what_is_no_operation_is_refused_with_the_field_named() {
        let long = "x".repeat(1025);
        for (line, field) in [
            (r#"{"instance":"i"}"#, "op"),
            (r#"{"op":7}"#, "op"),
            (r#"{"op":"frobnicate"}"#, "op"),
            (r#"{"op":"connect","instance":"i","session":null}"#, "user"),
            (r#"{"op":"connect","instance":"i","user":null}"#, "session"),
            (r#"{"op":"connect","session":null,"user":null}"#, "instance"),
            (r#"{"op":"connect","instance":7,"session":null,"user":null}"#, "instance"),
            (r#"{"op":"connect","instance":null,"session":null,"user":null}"#, "instance"),
            (r#"{"op":"connect","instance":"i","session":1.5,"user":null}"#, "session"),
            (r#"{"op":"connect","instance":"i","session":null,"user":9223372036854775808}"#, "user"),
            (r#"{"op":"connect","instance":"i","session":null,"user":true}"#, "user"),
            (r#"{"op":"connect","instance":"i","session":null,"user":null,"receipts":[]}"#, "receipts"),
            (r#"{"op":"disconnect","instance":"i","user":7}"#, "user"),
            (r#"{"op":"disconnect","instance":"i","instance":"i"}"#, "instance"),
            (r#"{"op":"disconnect","instance":"\ud800"}"#, "instance"),
            (r#"{"op":"disconnect","instance":}"#, "instance"),
            (r#"{"op":"subscribe","identity":["tab","x"],"channel":"a","cid":"p"}"#, "identity"),
            (r#"{"op":"subscribe","identity":["instance",7],"channel":"a","cid":"p"}"#, "identity"),
            (r#"{"op":"subscribe","identity":["user",null],"channel":"a","cid":"p"}"#, "identity"),
            (r#"{"op":"subscribe","identity":["user",7,8],"channel":"a","cid":"p"}"#, "identity"),
            (r#"{"op":"subscribe","identity":["user",7],"cid":"p"}"#, "channel"),
            (r#"{"op":"subscribe","identity":["user",7],"channel":"\ud800","cid":"p"}"#, "channel"),
            (r#"{"op":"subscribe","identity":["user",7],"channel":["\ud800",1],"cid":"p"}"#, "channel"),
            (r#"{"op":"subscribe","identity":["user",7],"channel":"a","cid":7}"#, "cid"),
            (r#"{"op":"broadcast","channel":"a","params":{}}"#, "action"),
            (r#"{"op":"broadcast","channel":"a","action":"x","params":null}"#, "params"),
            (r#"{"op":"broadcast","channel":"a","action":"x","params":{"a":"\udc00"}}"#, "params"),
            (r#"{"op":"broadcast","channel":"a","action":"x","excluded":[]}"#, "excluded"),
            (r#"{"op":"broadcast_except","channel":"a","action":"x"}"#, "excluded"),
            (
                r#"{"op":"broadcast_except","excluded":[["user",7],7],"channel":"a","action":"x"}"#,
                "excluded[1]",
            ),
            (r#"{"op":"broadcast_except","excluded":"x","channel":"a","action":"x"}"#, "excluded"),
            (r#"{"op":"transition","instance":"i"}"#, "bindings"),
            (r#"{"op":"transition","instance":"i","bindings":[["a"]]}"#, "bindings[0]"),
            (r#"{"op":"transition","instance":"i","bindings":["a"]}"#, "bindings[0]"),
            (r#"{"op":"deltas","instance":"i","adds":[]}"#, "drops"),
            (&format!(r#"{{"op":"disconnect","instance":"{long}"}}"#), "instance"),
            (&format!(r#"{{"op":"identify","instance":"i","session":"{long}","user":null}}"#), "session"),
            (
                &format!(r#"{{"op":"subscribe","identity":["user","{long}"],"channel":"a","cid":"p"}}"#),
                "identity",
            ),
            (&format!(r#"{{"op":"subscribe","identity":["user",7],"channel":"a","cid":"{long}"}}"#), "cid"),
            (&format!(r#"{{"op":"broadcast","channel":"a","action":"{long}"}}"#), "action"),
            (
                &format!(r#"{{"op":"deltas","instance":"i","adds":[],"drops":[["a","{long}"]]}}"#),
                "drops[0][1]",
            ),
        ] {
            let (named, message) = refused(line);
            assert_eq!(named.as_deref(), Some(field), "{message}");
            assert!(message.contains(&format!("`{field}`")), "{message}");
            assert!(!message.contains('\n') && message.len() < 300, "{message}");
        }
    }

    #[test]
    fn a_line_that_is_no_object_is_refused_as_a_whole() {
        for line in [
            "",
            " ",
            "\r\n",
            "7",
            "null",
            "[]",
            "\"op\"",
            "{",
            "}",
            "{}{}",
            "{\"op\":\"disconnect\",\"instance\":\"i\"} x",
            "\u{feff}{}",
        ] {
            let (field, message) = refused(line);
            assert_eq!(field, None, "{line:?}: {message}");
        }
        for line in ["{}", "{\"op\"", "{\"op\":x"] {
            assert_eq!(refused(line).0.as_deref(), Some("op"));
        }
    }

    #[test]
    fn a_flood_of_unknown_fields_takes_linear_time() {
        let line =
            format!("{{{}}}", (0..200_000).map(|n| format!("\"f{n}\":0")).collect::<Vec<_>>().join(","));
        assert_eq!(refused(&line).0.as_deref(), Some("f0"));
    }
}
