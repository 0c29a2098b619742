//! Traces replay byte for byte, with queues of their own and on lanes: those recorded from Hologram.Realtime v0.9.1, and our own for the
//! rules that are stricter.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use holocast_harness::replay::replay;

/// Every pair of operations and expected events in a folder, by name.
fn traces(folder: &Path) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a folder lists its files").path()).collect();
    paths.sort();
    let operations = paths.iter().filter_map(|path| path.to_str()?.strip_suffix(".ops.jsonl"));
    let read = |path: String| fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    operations
        .map(|name| (name.to_owned(), read(format!("{name}.ops.jsonl")), read(format!("{name}.out.jsonl"))))
        .collect()
}

/// Replays all traces, with and without output, on so many lanes each time, and names every one that differs.
fn assert_replays(traces: &[(String, Vec<u8>, Vec<u8>)], lanes: &[usize]) {
    let mut differing = Vec::new();
    for (name, operations, expected) in traces {
        for &lanes in lanes {
            differing.extend(differences(name, operations, expected, lanes));
        }
    }
    assert!(
        differing.is_empty(),
        "{} differences in {} traces\n{}",
        differing.len(),
        traces.len(),
        differing.join("\n")
    );
}

fn differences(name: &str, operations: &[u8], expected: &[u8], lanes: usize) -> Vec<String> {
    let mut differing = Vec::new();
    let mut events = Vec::new();
    let shown =
        replay(name, operations, lanes, Some(&mut events), || ()).expect("a trace holds only operations");
    if events != *expected {
        let (events, expected) = (String::from_utf8_lossy(&events), String::from_utf8_lossy(expected));
        let line = events.lines().zip(expected.lines()).position(|(event, expected)| event != expected);
        let line = line.unwrap_or_else(|| events.lines().count().min(expected.lines().count()));
        differing.push(format!(
            "{name} on {lanes} lanes: line {}\n  replayed {}\n  expected {}",
            line + 1,
            events.lines().nth(line).unwrap_or("nothing"),
            expected.lines().nth(line).unwrap_or("nothing")
        ));
    }
    let quiet =
        replay(name, operations, lanes, None::<io::Sink>, || ()).expect("a trace holds only operations");
    let deliveries =
        expected.split(|byte| *byte == b'\n').filter(|line| find(line, b"\"event\":\"broadcast\"")).count();
    for summary in [shown, quiet] {
        if summary.deliveries != deliveries as u64
            || summary.operations != operations.split(|byte| *byte == b'\n').count() as u64 - 1
        {
            differing.push(format!("{name} on {lanes} lanes: {summary}, expected {deliveries} deliveries"));
        }
    }
    differing
}

fn find(line: &[u8], wanted: &[u8]) -> bool {
    line.windows(wanted.len()).any(|window| window == wanted)
}

/// The recordings, if they are here.
fn recorded() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let recorded = traces(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/conformance"));
    match recorded.len() {
        0 => println!("skipped: the recordings (../shared/data/conformance) are not here"),
        some => println!("{some} recordings"),
    }
    recorded
}

/// Our own.
fn ours() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let ours = traces(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces"));
    assert!(ours.len() >= 11, "only {} traces are here", ours.len());
    ours
}

/// One lane, fewer than there are tabs, and one for each tab.
const ON_LANES: [usize; 4] = [1, 2, 3, 256];

#[test]
fn what_hologram_delivered_is_delivered() {
    assert_replays(&recorded(), &[0]);
}

#[test]
fn what_hologram_delivered_is_delivered_on_lanes() {
    assert_replays(&recorded(), &ON_LANES);
}

#[test]
fn v1_v2_v3_c3_r2_s1_s2_s7_s8_b1_the_stricter_rules_hold() {
    assert_replays(&ours(), &[0]);
}

#[test]
fn v1_v2_v3_c3_r2_s1_s2_s7_s8_b1_the_stricter_rules_hold_on_lanes() {
    assert_replays(&ours(), &ON_LANES);
}
