//! `holocast run` as its user meets it: every built-in workload, small, passes its audit; formats, exit codes, files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use holocast_harness::results::Results;
use holocast_harness::run::{Size, find, measure, names};
use tempfile::TempDir;

/// A mix of every kind of operation, for a fifth of a second.
const SMALL: &str = "description = \"All kinds.\"\nthreads = 2\nrate = 4000\nspacing = \"random\"\nseconds = 0.2\nwarm_up_seconds = 0.05\n\
    crowd = { users = 100, tabs = [1, 4], anonymous_percent = 20, away_seconds = 0.01 }\n\
    rooms = { count = 10, per_user = [1, 3], cids = 2 }\n\
    mix = { broadcast = 5, broadcast_except = 5, join = 4, leave = 4, kick = 2, regrant = 2, drop = 3, supersede = 2, login = 2 }\n\
    receivers.threads = 2\n[[burst]]\nat_seconds = 0.1\npercent = 50\n";

fn holocast() -> Command {
    Command::new(env!("CARGO_BIN_EXE_holocast"))
}

fn ran(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("the command writes text");
    (status.code().expect("the command exits"), text(stdout), text(stderr))
}

fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a scratch file");
    path
}

#[test]
fn every_built_in_workload_passes_its_audit_in_small() {
    for name in names() {
        for mut variant in find(name, Size::Quick).expect(name) {
            let settings = &mut variant.settings;
            let shrink = settings.crowd.users.div_ceil(300);
            settings.crowd.users /= shrink;
            settings.rooms.count = settings.rooms.count.div_ceil(shrink);
            settings.rooms.members = settings.rooms.members.map(|members| members / shrink);
            for burst in &mut settings.burst {
                burst.at_seconds = 0.1;
            }
            (settings.seconds, settings.warm_up_seconds) = (0.2, 0.1);
            settings.rate = settings.rate.clamp(50.0, 3_000.0);
            let run = measure(&variant, 1).expect(name);
            assert_eq!(run.audit.faults, Vec::<String>::new(), "{name}, {}", variant.name);
            assert!(run.audit.passed && run.audit.accounts.accepted > 0, "{name}, {}", variant.name);
            assert!(run.audit.deliveries_due > 0 || name == "replay", "{name}, {}", variant.name);
        }
    }
}

#[test]
fn q2_whatever_a_full_queue_does_the_audit_understands_it() {
    for (receivers, capacity) in [("stalled_percent = 20", 3), ("lanes = true", 1)] {
        for overflow in ["close", "drop-newest", "reset"] {
            let text = format!("{SMALL}[queue]\ncapacity = {capacity}\noverflow = \"{overflow}\"\n")
                .replace("receivers.threads = 2", &format!("receivers = {{ threads = 2, {receivers} }}"));
            let variant = &holocast_harness::run::parse("small.toml", "small", &text, Size::Full)
                .expect("a workload")[0];
            let mut lost = 0;
            for seed in 1..=3 {
                let run = measure(variant, seed).expect("the engine refuses nothing");
                assert_eq!(run.audit.faults, Vec::<String>::new(), "{overflow}, {receivers}, seed {seed}");
                lost += run.audit.accounts.refused + run.audit.accounts.released;
            }
            assert!(lost > 0, "{overflow}, {receivers}: nothing overflowed");
        }
    }
}

#[test]
fn b5_the_audit_passes_whatever_the_threads() {
    for (threads, receivers) in [(1, 1), (4, 1), (1, 3), (3, 2)] {
        let text = SMALL
            .replace("threads = 2\nrate", &format!("threads = {threads}\nrate"))
            .replace("receivers.threads = 2", &format!("receivers.threads = {receivers}"));
        let variant =
            &holocast_harness::run::parse("small.toml", "small", &text, Size::Full).expect("a workload")[0];
        let run = measure(variant, 7).expect("the engine refuses nothing");
        assert_eq!(run.audit.faults, Vec::<String>::new());
        assert_eq!((run.publisher_threads, run.receiver_threads), (threads, receivers));
    }
}

#[test]
fn text_json_and_csv_say_the_same_and_out_writes_a_report() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let small = file(&folder, "small.toml", SMALL);
    let out = folder.path().join("reports/new");
    let run = |format: &str| {
        ran(holocast().arg("run").arg(&small).args(["--seed", "7", "--format", format, "--out"]).arg(&out))
    };
    let (code, text, err) = run("text");
    assert_eq!((code, err.as_str()), (0, ""), "no progress bar where there is no terminal");
    for word in ["small", "p99.99", "passed", "accounting (rule B5)", "report.html"] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours");
    let results = Results::read(&out.join("report.json")).expect("results");
    assert_eq!(
        (results.runs.len(), results.runs[0].seed, results.runs[0].workload.as_str()),
        (1, 7, "small")
    );
    let page = fs::read_to_string(out.join("report.html")).expect("a page");
    for loads in ["http:", "https:", "src=", "@import", "url(", "<script", "<link"] {
        assert!(
            !page.replace("http://www.w3.org/2000/svg", "").contains(loads),
            "the page loads nothing: {loads}"
        );
    }
    for section in ["Latency over time", "Throughput over time", "Machine", "Audit", "small"] {
        assert!(page.contains(section), "{section:?} is not in the page");
    }

    let (code, json, _) = run("json");
    let printed: Results = serde_json::from_str(&json).expect("results");
    assert_eq!(code, 0);
    // The same seed, the same operations; a machine that is behind may leave some undone.
    assert_eq!(printed.runs[0].operations, results.runs[0].operations);
    let (code, csv, _) = run("csv");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((code, lines.len()), (0, 2), "{csv}");
    assert!(lines[0].starts_with("workload,variant,") && lines[1].starts_with("small,,7,"), "{csv}");
    assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
}

#[test]
fn there_are_no_colours_whatever_the_environment() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let small = file(&folder, "small.toml", SMALL);
    let small = small.to_str().expect("a path in UTF-8");
    for environment in [("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")] {
        for (arguments, code) in
            [(vec!["run", small], 0), (vec!["run", "--help"], 0), (vec!["run", "--frob"], 2)]
        {
            let (ended, out, err) = ran(holocast().args(&arguments).env(environment.0, environment.1));
            assert_eq!(
                (ended, (out + &err).contains('\u{1b}')),
                (code, false),
                "{arguments:?}, {environment:?}"
            );
        }
    }
}

#[test]
fn a_trace_is_a_workload_at_a_chosen_rate() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let trace = file(&folder, "mine.jsonl", include_str!("../workloads/replay.jsonl"));
    let run = |rate: &str| {
        let (code, json, err) =
            ran(holocast().arg("run").arg(&trace).args(["--rate", rate, "--format", "json"]));
        assert_eq!(code, 0, "{err}");
        serde_json::from_str::<Results>(&json).expect("results").runs.swap_remove(0)
    };
    let (slow, fast) = (run("1000"), run("50000"));
    assert_eq!((slow.workload.as_str(), slow.operations.values().sum::<u64>()), ("mine", 500));
    assert_eq!(slow.operations, fast.operations);
    assert!((slow.planned_rate - 1_000.0).abs() < 1e-6 && (fast.planned_rate - 50_000.0).abs() < 1e-6);
    assert!(slow.seconds >= 0.49 && fast.seconds < slow.seconds, "{} {}", slow.seconds, fast.seconds);
}

#[test]
fn the_command_line_overrides_the_file() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let small = file(&folder, "small.toml", SMALL);
    let arguments = ["--duration", "0.1", "--rate", "1000", "--threads", "1", "--format", "json"];
    let (code, json, err) = ran(holocast().arg("run").arg(&small).args(arguments));
    let results: Results = serde_json::from_str(&json).expect("results");
    let run = &results.runs[0];
    assert_eq!((code, run.publisher_threads), (0, 1), "{err}");
    // A burst of half of some 250 tabs comes on top of the rate.
    let operations: u64 = run.operations.values().sum();
    assert!((150..600).contains(&operations), "{operations}");
}

#[test]
fn what_is_no_workload_is_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let unknown = file(&folder, "unknown.toml", "mix.broadcast = 1\nfrob = 3\n");
    let no_trace = file(&folder, "trace.toml", "trace = \"absent.jsonl\"\n");
    let bad_trace = file(&folder, "bad.toml", "trace = \"bad.jsonl\"\n");
    file(&folder, "bad.jsonl", "{\"op\":\"explode\"}\n");
    let blocked = file(&folder, "blocked", "");
    for (arguments, words) in [
        (vec![Path::new("frob")], ["no workload `frob`", "firehose"]),
        (vec![&unknown], ["unknown.toml", "frob"]),
        (vec![&no_trace], ["absent.jsonl", "no such file"]),
        (vec![&bad_trace], ["bad.jsonl: line 1", "explode"]),
        (vec![Path::new("herd"), Path::new("--rate"), Path::new("-5")], ["-5", "--help"]),
        (vec![Path::new("herd"), Path::new("--rate"), Path::new("1e9")], ["herd", "rate times seconds"]),
        (vec![Path::new("herd"), Path::new("--out"), &blocked], ["blocked", ""]),
    ] {
        let (code, out, err) = ran(holocast().arg("run").args(&arguments));
        assert_eq!((code, out.as_str(), err.matches('\n').count()), (2, "", 1), "{arguments:?}: {err}");
        for word in words {
            assert!(err.contains(word), "{word:?} is not in {err:?}");
        }
    }
}

#[test]
fn the_list_has_every_built_in_workload() {
    let (code, out, _) = ran(holocast().args(["run", "--list"]));
    assert_eq!((code, out.lines().count()), (0, names().count()));
    assert!(names().all(|name| out.contains(name)));
}
