//! Tells the harness what it was built from, for the results that it writes.

use std::env;
use std::process::Command;

fn main() {
    let compiler = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let compiler = told(&compiler, &["--version"]);
    let commit = told("git", &["describe", "--always", "--dirty", "--abbrev=12"]);
    let profile = env::var("PROFILE").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().replace('\x1f', " ");
    println!("cargo:rustc-env=HOLOCAST_COMPILER={compiler}");
    println!("cargo:rustc-env=HOLOCAST_COMMIT={commit}");
    println!("cargo:rustc-env=HOLOCAST_FLAGS={}", format!("{profile} {flags}").trim());
    // Without git's files the commit is as unknown as without git.
    for file in ["index", "logs/HEAD"] {
        println!("cargo:rerun-if-changed={}", told("git", &["rev-parse", "--git-path", file]));
    }
    println!("cargo:rerun-if-changed=../engine/src");
    println!("cargo:rerun-if-changed=src");
}

/// The first line that a command prints; "unknown" if it can't be run.
fn told(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.as_deref().and_then(|text| text.lines().next()).unwrap_or("unknown").to_owned()
}
