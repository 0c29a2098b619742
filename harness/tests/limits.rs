//! Hostile JSON in traces: depth, numbers and strings that no operation is made of are refused with line and field, or kept as they are;
//! none costs stack, and what came before has happened.

use holocast_harness::replay::replay;
use holocast_harness::trace::{Op, Params};

const DEPTH: usize = 100_000;

fn deep(open: &str, close: &str) -> String {
    format!("{}1{}", open.repeat(DEPTH), close.repeat(DEPTH))
}

/// Far less stack than a hundred thousand frames take.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let small = std::thread::Builder::new().stack_size(512 << 10).spawn(work).expect("there is memory");
    small.join().expect("no panic");
}

/// One tab in the room, then the line: what is shown of the line, or the failure.
fn after_a_subscribe(line: &str) -> Result<String, String> {
    let trace = format!(
        "{}\n{}\n{line}\n",
        r#"{"op":"connect","instance":"i","session":null,"user":null}"#,
        r#"{"op":"subscribe","identity":["instance","i"],"channel":"a","cid":"p"}"#,
    );
    let mut shown = Vec::new();
    let replayed = replay("t", trace.as_bytes(), 0, Some(&mut shown), || ());
    let shown = String::from_utf8(shown).expect("JSON is text");
    let (first, rest) = shown.split_once('\n').expect("the subscribe was shown");
    assert!(first.starts_with(r#"{"op":1,"instance":"i","event":"subscribed""#), "{first}");
    match replayed {
        Ok(_) => Ok(rest.trim_end().to_owned()),
        Err(failure) => {
            assert_eq!((failure.exit_code(), rest), (2, ""), "{failure}");
            Err(failure.to_string())
        }
    }
}

/// Section 8, V4: params of any depth are kept, shown, printed and dropped; nothing recurses.
#[test]
fn v4_params_nested_100000_deep_are_delivered_as_they_are() {
    on_a_small_stack(|| {
        for nested in [deep("[", "]"), deep("{\"a\":", "}"), deep("[{\"b\":", "}]")] {
            let line =
                format!(r#"{{"op":"broadcast","channel":"a","action":"x","params":{{"n":{nested}}}}}"#);
            let expected = format!(
                r#"{{"op":2,"instance":"i","event":"broadcast","action":"x","params":{{"n":{nested}}},"cids":["p"]}}"#
            );
            assert!(after_a_subscribe(&line).is_ok_and(|shown| shown == expected));
            let op = Op::parse(&line).expect("an operation");
            assert!(op == op.clone() && format!("{op:?}").len() > 2 * DEPTH);
            let cut = format!(
                r#"{{"op":"broadcast","channel":"a","action":"x","params":{{"n":{}"#,
                "[".repeat(DEPTH)
            );
            let refused = after_a_subscribe(&cut).expect_err("it breaks off");
            assert!(refused.starts_with("t: line 3: field `params`: bad JSON"), "{refused}");
        }
    });
}

/// Section 8: in every other field depth is refused, with the field named; in a channel's place it is an invalid channel.
#[test]
fn v1_anything_nested_100000_deep_elsewhere_is_refused_with_its_field() {
    on_a_small_stack(|| {
        for nested in [deep("[", "]"), deep("{\"a\":", "}")] {
            for (line, field) in [
                (format!(r#"{{"op":{nested}}}"#), "op"),
                (format!(r#"{{"op":"disconnect","instance":{nested}}}"#), "instance"),
                (format!(r#"{{"op":"connect","instance":"j","session":null,"user":{nested}}}"#), "user"),
                (format!(r#"{{"op":"unsubscribe_all","identity":{nested},"channel":"a"}}"#), "identity"),
                (
                    format!(r#"{{"op":"unsubscribe_all","identity":["user",{nested}],"channel":"a"}}"#),
                    "identity",
                ),
                (
                    format!(r#"{{"op":"subscribe","identity":["user",7],"channel":"a","cid":{nested}}}"#),
                    "cid",
                ),
                (
                    format!(
                        r#"{{"op":"broadcast_except","excluded":[{nested}],"channel":"a","action":"x"}}"#
                    ),
                    "excluded[0]",
                ),
                (
                    format!(r#"{{"op":"deltas","instance":"i","adds":[["a",{nested}]],"drops":[]}}"#),
                    "adds[0][1]",
                ),
                (format!(r#"{{"op":"frobnicate","depth":{nested}}}"#), "depth"),
            ] {
                let refused = after_a_subscribe(&line).expect_err(field);
                assert!(refused.starts_with(&format!("t: line 3: field `{field}`")), "{refused}");
                assert!(refused.len() < 300 && !refused.contains('\n'), "{refused}");
            }
            for line in [
                format!(r#"{{"op":"broadcast","channel":{nested},"action":"x"}}"#),
                format!(r#"{{"op":"broadcast","channel":["a",{nested}],"action":"x"}}"#),
                format!(r#"{{"op":"transition","instance":"i","bindings":[[{nested},"p"]]}}"#),
            ] {
                let shown = after_a_subscribe(&line);
                assert_eq!(shown.as_deref(), Ok(r#"{"op":2,"error":"invalid_channel"}"#));
            }
        }
    });
}

/// Section 8: a string that is no text is refused wherever it stands.
#[test]
fn lone_surrogates_are_refused_in_every_field() {
    for text in [r#""\ud800""#, r#""\udfff""#, r#""\ud800\ud800""#, r#""\udc00\ud800""#, r#""a\ud83d b""#] {
        for (line, field) in [
            (format!(r#"{{"op":{text}}}"#), "op"),
            (format!(r#"{{"op":"disconnect","instance":{text}}}"#), "instance"),
            (format!(r#"{{"op":"connect","instance":"j","session":{text},"user":null}}"#), "session"),
            (format!(r#"{{"op":"unsubscribe_all","identity":["user",{text}],"channel":"a"}}"#), "identity"),
            (format!(r#"{{"op":"unsubscribe_all","identity":["user",7],"channel":{text}}}"#), "channel"),
            (
                format!(r#"{{"op":"unsubscribe_all","identity":["user",7],"channel":["a",{text}]}}"#),
                "channel",
            ),
            (
                format!(
                    r#"{{"op":"unsubscribe_all","identity":["user",7],"channel":["a",{{"atom":{text}}}]}}"#
                ),
                "channel",
            ),
            (format!(r#"{{"op":"subscribe","identity":["user",7],"channel":"a","cid":{text}}}"#), "cid"),
            (format!(r#"{{"op":"broadcast","channel":"a","action":{text}}}"#), "action"),
            (
                format!(r#"{{"op":"broadcast","channel":"a","action":"x","params":{{"a":[{text}]}}}}"#),
                "params",
            ),
            (format!(r#"{{"op":"broadcast","channel":"a","action":"x","params":{{{text}:1}}}}"#), "params"),
            (format!(r#"{{"op":"transition","instance":"i","bindings":[["a",{text}]]}}"#), "bindings[0][1]"),
        ] {
            let refused = after_a_subscribe(&line).expect_err(field);
            assert!(refused.starts_with(&format!("t: line 3: field `{field}`")), "{refused}");
        }
    }
}

/// V1, V2: no number is rounded to fit: beyond 64 bits it is no id and no element; in params it stays as it was written.
#[test]
fn numbers_beyond_64_bits_are_refused_or_kept_digit_by_digit() {
    for number in [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "123456789012345678901234567890",
        "1.0",
        "1e3",
        "1e999",
        "-1E-999",
        "-0.0",
    ] {
        for (line, field) in [
            (format!(r#"{{"op":"connect","instance":"j","session":{number},"user":null}}"#), "session"),
            (format!(r#"{{"op":"identify","instance":"j","session":null,"user":{number}}}"#), "user"),
            (format!(r#"{{"op":"unsubscribe_all","identity":["user",{number}],"channel":"a"}}"#), "identity"),
        ] {
            let refused = after_a_subscribe(&line).expect_err(field);
            assert!(refused.starts_with(&format!("t: line 3: field `{field}`")), "{refused}");
        }
        for channel in [format!("[\"a\",{number}]"), number.to_owned()] {
            let line = format!(r#"{{"op":"broadcast","channel":{channel},"action":"x"}}"#);
            assert_eq!(
                after_a_subscribe(&line).as_deref(),
                Ok(r#"{"op":2,"error":"invalid_channel"}"#),
                "{channel}"
            );
        }
        let params = format!("{{\"n\":[{number},{{\"{number}\":{number}}}]}}");
        assert_eq!(Params::from_json(&params).as_ref().map(Params::as_str), Ok(params.as_str()));
        let line = format!(r#"{{"op":"broadcast","channel":"a","action":"x","params":{params}}}"#);
        let shown = after_a_subscribe(&line).expect("params hold any number");
        assert!(shown.contains(&format!("\"params\":{params}")), "{shown}");
    }
}
