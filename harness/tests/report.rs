//! `holocast report` as its user meets it, and the schema of what it reads.

use std::fs;
use std::path::Path;
use std::process::Command;

use holocast_harness::results::{Results, SCHEMA_VERSION};
use tempfile::TempDir;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/results.schema.json");

/// Runs the command in a folder of its own: exit code, standard error.
fn report(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holocast"));
    let output =
        command.current_dir(folder).arg("report").args(arguments).output().expect("the command starts");
    assert!(output.stdout.is_empty());
    (output.status.code().expect("it exits"), String::from_utf8(output.stderr).expect("it writes text"))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

#[test]
fn report_writes_one_page_of_one_document_or_two() {
    let folder = folder();
    Results::here().write(&folder.path().join("a.json")).unwrap();
    assert_eq!(report(folder.path(), &["a.json"]), (0, String::new()));
    assert_eq!(report(folder.path(), &["a.json", "a.json", "-o", "two.html"]), (0, String::new()));
    let [one, two] =
        ["report.html", "two.html"].map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
    assert!(one.contains("Nothing was measured") && !one.contains("Before and after"));
    assert!(two.contains("Before and after"));
}

#[test]
fn report_refuses_in_one_line_what_is_no_document_of_its_version() {
    let folder = folder();
    Results::here().write(&folder.path().join("good.json")).unwrap();
    let next = SCHEMA_VERSION + 1;
    for (content, why) in [
        ("", "EOF"),
        ("not JSON", "expected"),
        ("[]", "invalid"),
        ("{}", "missing field `schema_version`"),
        (r#"{"schema_version":1}"#, "missing field `command`"),
        (
            &format!(r#"{{"schema_version":{next},"of":"a later time"}}"#),
            "schema_version is 2; this command reads 1",
        ),
    ] {
        fs::write(folder.path().join("bad.json"), content).unwrap();
        for arguments in [&["bad.json"][..], &["good.json", "bad.json"]] {
            let (code, text) = report(folder.path(), arguments);
            assert_eq!((code, text.matches('\n').count()), (2, 1), "{text}");
            assert!(text.starts_with("holocast: bad.json: ") && text.contains(why), "{text}");
        }
    }
    assert!(!folder.path().join("report.html").exists());
}

#[test]
fn report_ends_with_2_where_it_can_neither_read_nor_write() {
    let folder = folder();
    Results::here().write(&folder.path().join("good.json")).unwrap();
    for arguments in [
        &["missing.json"][..],
        &["."],
        &[],
        &["good.json", "good.json", "good.json"],
        &["good.json", "--out", "missing/page.html"],
    ] {
        let (code, text) = report(folder.path(), arguments);
        assert_eq!((code, text.matches('\n').count()), (2, 1), "{text}");
    }
}

#[test]
fn the_published_schema_is_that_of_what_report_reads() {
    let schema = schemars::schema_for!(Results);
    let made = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
    if std::env::var_os("HOLOCAST_RENEW").is_some_and(|value| value == "1") {
        fs::write(SCHEMA, &made).expect("docs/ can be written");
    }
    // As values: in which order the keys of an object stand depends on what else is built with it.
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let published = fs::read_to_string(SCHEMA).unwrap_or_default();
    assert!(
        value(&published) == value(&made),
        "docs/results.schema.json is not the schema of the types in harness/src/results. If the change is meant, and \
         schema_version grew where a field changed its meaning or went, renew it: \
         HOLOCAST_RENEW=1 cargo test -p holocast-harness --test report schema"
    );
}
