//! `holocast compare` as its user meets it: all contestants, a table, a document, one-line errors.

use std::collections::BTreeSet;
use std::process::Command;

use holocast_harness::results::Results;

fn compare(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_holocast"))
        .arg("compare")
        .args(arguments)
        .output()
        .expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("the command writes text");
    (output.status.code().expect("the command exits"), text(output.stdout), text(output.stderr))
}

#[test]
fn every_contestant_delivers_everything_and_has_its_row() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("compare.json");
    let (code, table, errors) = compare(&["--quick", "hot", "--json", &file.to_string_lossy()]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let results = Results::read(&file).expect("the document that it wrote");
    assert_eq!(results.schema_version, 1);
    let peers: BTreeSet<&str> = results.rows.iter().map(|row| row.peer.as_str()).collect();
    assert_eq!(peers.len(), 9);
    for peer in peers {
        assert!(table.contains(peer), "{peer} in {table}");
    }
    for row in &results.rows {
        assert_eq!((row.workload.as_str(), row.subscribers), ("hot", 1));
        let total = row.total_ns.expect("a total");
        assert!(row.min <= total && total <= row.max, "{row:?}");
        assert!(row.ratio_to_floor.is_some() && row.ratio_to_holocast.is_some(), "{row:?}");
    }
}

#[test]
fn a_workload_that_there_is_not_is_one_line() {
    let (code, table, errors) = compare(&["warp"]);
    assert_eq!((code, table.as_str(), errors.lines().count()), (2, "", 1));
    assert!(errors.contains("\"warp\"") && errors.contains("fanout"), "{errors}");
}
