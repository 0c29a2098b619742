//! A small run through real sockets: all that is due comes, in order, and the figures are printed.

use std::process::{Command, Output};

#[test]
fn every_delivery_that_is_due_comes_through_its_socket() {
    let command = &mut Command::new(env!("CARGO_BIN_EXE_holocast-load"));
    let figures = std::env::temp_dir().join(format!("holocast-load-{}.json", std::process::id()));
    let load = ["--connections=60", "--rooms=4", "--rate=50", "--seconds=1", "--payload=20", "--json"];
    let Output { status, stdout, stderr } = command.args(load).arg(&figures).output().expect("it starts");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{out}{err}");
    // 50 broadcasts to 15 connections each.
    assert!(out.contains("50 broadcasts") && out.contains(" 750 deliveries, all counted"), "{out}");
    let json = std::fs::read_to_string(&figures).expect("it was asked for");
    std::fs::remove_file(&figures).expect("it is there");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["through_sockets"]["received"], 750);
    assert!(json["engine_alone"]["publish_ns"].as_f64().is_some_and(|ns| ns > 0.0), "{json}");
}
