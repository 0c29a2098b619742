//! The command as its user meets it: exit codes, one-line errors, help, files plain and compressed.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

const TRACE: &str = concat!(
    r#"{"op":"connect","instance":"i1","session":"s","user":7}"#,
    "\n",
    r#"{"op":"subscribe","identity":["user",7],"channel":["room",42],"cid":"page"}"#,
    "\n",
    r#"{"op":"broadcast","channel":["room",42],"action":"add","params":{"n":1}}"#,
    "\n",
);

const EVENTS: &str = concat!(
    r#"{"op":1,"instance":"i1","event":"subscribed","keys":[[["room",42],"page"]]}"#,
    "\n",
    r#"{"op":2,"instance":"i1","event":"broadcast","action":"add","params":{"n":1},"cids":["page"]}"#,
    "\n",
);

struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Scratch(tempfile::tempdir().expect("a scratch folder"))
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("a scratch file");
        path
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn holocast() -> Command {
    Command::new(env!("CARGO_BIN_EXE_holocast"))
}

fn ran(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("the command writes text");
    (status.code().expect("the command exits"), text(stdout), text(stderr))
}

fn replay(paths: &[&Path]) -> (i32, String, String) {
    ran(holocast().arg("replay").args(paths))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

/// Exit code 2, nothing on standard output, one line on standard error that holds all of `words`.
fn assert_refused((code, out, err): (i32, String, String), words: &[&str]) {
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert_eq!(err.matches('\n').count(), 1, "{err}");
    assert!(err.starts_with("holocast: "), "{err}");
    for word in words {
        assert!(err.contains(word), "{word:?} is not in {err:?}");
    }
}

#[test]
fn a_trace_prints_its_events_and_a_summary() {
    let scratch = Scratch::new();
    let (code, out, err) = replay(&[&scratch.file("t.jsonl", TRACE)]);
    assert_eq!((code, out.as_str()), (0, EVENTS), "{err}");
    assert!(err.contains("t.jsonl: 3 operations, 1 deliveries, "), "{err}");
    assert!(err.trim_end().ends_with(" deliveries per second"), "{err}");
    assert_eq!(err.matches('\n').count(), 1, "no progress bar where there is no terminal: {err}");
}

#[test]
fn plain_compressed_and_piped_traces_are_the_same() {
    let scratch = Scratch::new();
    let without_break = TRACE.trim_end();
    let (first, rest) = TRACE.split_at(TRACE.find('\n').expect("a line") + 1);
    for (name, content) in [
        ("plain", TRACE.as_bytes().to_vec()),
        ("no-last-break", without_break.into()),
        ("crlf", TRACE.replace('\n', "\r\n").into()),
        ("gzip-by-its-bytes.txt", gzip(TRACE)),
        ("members.gz", [gzip(first), gzip(rest)].concat()),
    ] {
        let (code, out, err) = replay(&[&scratch.file(name, &content)]);
        assert_eq!((code, out.as_str()), (0, EVENTS), "{name}: {err}");
        let mut piped = holocast()
            .args(["replay", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        piped.stdin.take().expect("a pipe").write_all(&content).expect("it reads");
        let Output { status, stdout, .. } = piped.wait_with_output().expect("it ends");
        assert_eq!((status.code(), stdout.as_slice()), (Some(0), EVENTS.as_bytes()), "{name}, piped");
    }
}

#[test]
fn an_empty_trace_is_a_trace() {
    let scratch = Scratch::new();
    for content in [Vec::new(), gzip("")] {
        let (code, out, err) = replay(&[&scratch.file("empty", content)]);
        assert_eq!((code, out.as_str()), (0, ""), "{err}");
        assert!(err.contains("0 operations, 0 deliveries"), "{err}");
    }
}

#[test]
fn several_files_are_several_traces() {
    let scratch = Scratch::new();
    let (a, b) = (scratch.file("a", TRACE), scratch.file("b", TRACE));
    let (code, out, err) = replay(&[&a, &b]);
    // Each counts its operations from 0, and the second knows nothing of the first.
    assert_eq!((code, out), (0, EVENTS.repeat(2)));
    assert!(err.contains("2 traces: 6 operations, 2 deliveries"), "{err}");
}

#[test]
fn out_writes_a_file_and_quiet_nothing() {
    let scratch = Scratch::new();
    let (trace, target) = (scratch.file("t", TRACE), scratch.path().join("events"));
    let (code, out, _) = ran(holocast().arg("replay").arg(&trace).arg("--out").arg(&target));
    assert_eq!((code, out.as_str()), (0, ""));
    assert_eq!(fs::read_to_string(&target).expect("it was written"), EVENTS);
    let (code, out, err) = ran(holocast().arg("replay").arg("--quiet").arg(&trace));
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.contains("3 operations, 1 deliveries"), "{err}");
}

#[test]
fn on_any_number_of_lanes_the_events_are_the_same() {
    let scratch = Scratch::new();
    let connects = TRACE.lines().next().expect("a line");
    let taken_over = format!("{TRACE}{connects}\n{}", TRACE.lines().nth(2).expect("a line"));
    let trace = scratch.file("t", taken_over);
    let (code, expected, _) = replay(&[&trace]);
    assert!(code == 0 && expected.contains("superseded") && expected.starts_with(EVENTS), "{expected}");
    for lanes in ["0", "1", "3", "256"] {
        let (code, out, err) = ran(holocast().args(["replay", "--lanes", lanes]).arg(&trace));
        assert_eq!((code, &out), (0, &expected), "{err}");
        let (code, out, err) = ran(holocast().args(["replay", "-q", "--lanes", lanes]).arg(&trace));
        assert_eq!((code, out.as_str()), (0, ""), "{err}");
        assert!(err.contains("5 operations, 2 deliveries"), "{err}");
    }
}

#[test]
fn a_bad_line_names_file_line_and_field_after_the_events_before_it() {
    let scratch = Scratch::new();
    for (line, words) in [
        (r#"{"op":"subscribe","identity":["user",7],"channel":"a"}"#, "field `cid`: missing"),
        (
            r#"{"op":"subscribe","identity":["user",7],"channel":"a","cid":7}"#,
            "field `cid`: expected a string, found 7",
        ),
        (r#"{"op":"disconnect","instance":"i1","why":"x"}"#, "field `why`: unknown"),
        (r#"{"op":"disconnect","instance":"i1","user":7}"#, "field `user`: unknown"),
        (r#"{"op":"explode"}"#, "field `op`: unknown operation `explode`"),
        (r#"{"op":"connect","instance":"i1","session":null}"#, "field `user`: missing"),
        (r#"{"op":"disconnect","instance":"i1"}}"#, "bad JSON"),
        (r#"{"op":"disconnect","instance":"i1""#, "bad JSON"),
        ("", "bad JSON"),
        ("[]", "expected an object"),
    ] {
        for quiet in [false, true] {
            let trace = scratch.file("bad.jsonl", format!("{TRACE}{line}\n{TRACE}"));
            let mut command = holocast();
            command.arg("replay").arg(&trace);
            let (code, out, err) = ran(if quiet { command.arg("-q") } else { &mut command });
            assert_eq!((code, out.as_str()), (2, if quiet { "" } else { EVENTS }), "{line}: {err}");
            assert_eq!(err.matches('\n').count(), 1, "{err}");
            assert!(
                err.starts_with("holocast: ") && err.contains("bad.jsonl: line 4: ") && err.contains(words),
                "{line}: {err}"
            );
        }
    }
    let (code, _, err) =
        replay(&[&scratch.file("latin1", [TRACE.as_bytes(), b"{\"op\":\"\xe9\"}\n"].concat())]);
    assert!(code == 2 && err.contains("line 4: bad JSON: not UTF-8 at byte 8"), "{err}");
}

#[test]
fn an_invalid_channel_is_an_event_not_an_error() {
    let scratch = Scratch::new();
    let trace = scratch
        .file("t", format!("{TRACE}{}\n", r#"{"op":"broadcast","channel":["room",1.5],"action":"add"}"#));
    let (code, out, err) = replay(&[&trace]);
    assert_eq!((code, out), (0, format!("{EVENTS}{}\n", r#"{"op":3,"error":"invalid_channel"}"#)), "{err}");
}

#[test]
fn files_that_cannot_be_read_or_written_are_refused() {
    let scratch = Scratch::new();
    let trace = scratch.file("t", TRACE);
    let absent = scratch.path().join("absent");
    assert_refused(replay(&[&absent]), &["absent: no such file or directory"]);
    assert_refused(replay(&[scratch.path()]), &["is a directory"]);
    let whole = gzip(&TRACE.repeat(100));
    let cut = scratch.file("cut.gz", &whole[..whole.len() / 2]);
    let (code, _, err) = replay(&[&cut]);
    assert!(code == 2 && err.contains("cut.gz: line "), "{err}");
    let nowhere = absent.join("events");
    assert_refused(ran(holocast().arg("replay").arg(&trace).arg("-o").arg(&nowhere)), &["absent/events: "]);
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    for (arguments, word) in [
        (&["--frobnicate"][..], "--frobnicate"),
        (&["frobnicate"], "frobnicate"),
        (&["replay"], "<FILE>"),
        (&["replay", "a", "-q", "-o", "b"], "--quiet"),
        (&["replay", "--seed", "1", "a"], "--seed"),
        (&["replay", "--lanes", "257", "a"], "257 is not in 0..=256"),
        (&["replay", "--lanes", "-1", "a"], "-1"),
        (&["replay", "--lanes", "some", "a"], "some"),
        (&["replay", "a", "--lanes"], "--lanes"),
        (&["run", "--threads", "0"], "--threads"),
        (&["run", "--duration", "-1"], "-1"),
        (&["run", "--duration", "nan"], "nan"),
        (&["run", "--seed", "many"], "many"),
        (&["run", "--format", "xml"], "xml"),
    ] {
        assert_refused(ran(holocast().args(arguments)), &[word, "--help"]);
    }
}

#[test]
fn help_and_version_are_printed_and_succeed() {
    for (arguments, words) in [
        (&["--help"][..], &["replay", "run", "Exit codes", "Usage: holocast"][..]),
        (
            &["replay", "--help"],
            &["<FILE>", "--out", "--quiet", "--lanes <N>", "standard input", "fresh engine", "gzip"],
        ),
        (
            &["run", "--help"],
            &["--format", "--out", "--seed", "--duration", "--rate", "--threads", "--list", "[WORKLOAD]"],
        ),
        (&["--version"], &["holocast "]),
    ] {
        let (code, out, err) = ran(holocast().args(arguments));
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        for word in words {
            assert!(out.contains(word), "{word:?} is not in the help of {arguments:?}:\n{out}");
        }
        assert!(out.lines().all(|line| line.chars().count() <= 120), "{out}");
    }
}

#[test]
fn whoever_stops_reading_is_no_error() {
    let scratch = Scratch::new();
    // Far more than a pipe and all buffers hold.
    let trace = scratch.file(
        "long",
        TRACE.to_owned()
            + &TRACE.lines().nth(2).map(|line| format!("{line}\n")).expect("a line").repeat(50_000),
    );
    let mut child = holocast()
        .arg("replay")
        .arg(&trace)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = [0; 10];
    let mut out = child.stdout.take().expect("a pipe");
    out.read_exact(&mut first).expect("it writes");
    drop(out);
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    assert_eq!((status.code(), stderr.as_slice()), (Some(0), &b""[..]));
}
