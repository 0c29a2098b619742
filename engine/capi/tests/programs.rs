//! C programs against the header and both libraries, compiled with every warning an error; run as they are, and by command under valgrind:
//!
//!     cargo test -p holocast-capi --test programs -- --include-ignored
//!
//! `CC` names another compiler than `cc`. Where there is none the tests skip.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const FLAGS: [&str; 5] = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];
/// What the static library needs besides itself.
const SYSTEM: [&str; 3] = ["-lpthread", "-ldl", "-lm"];
/// What valgrind ends a program with that it has reported something about.
const REPORTED: i32 = 66;

#[derive(Clone, Copy)]
enum Linked {
    Statically,
    Dynamically,
}

/// Where cargo puts the libraries that it has built for the tests.
fn libraries() -> PathBuf {
    let test = env::current_exe().expect("the test has a path");
    test.parent().expect("it lies in a folder").to_owned()
}

fn compiler() -> Option<OsString> {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    if Command::new(&compiler).arg("--version").output().is_ok() {
        return Some(compiler);
    }
    eprintln!("skipped: there is no C compiler {}", compiler.display());
    None
}

fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ends with {}\n{said}", output.status);
    output
}

/// Compiles a program; nothing if there is no compiler.
fn compiled(source: &Path, linked: Linked) -> Option<(TempDir, PathBuf)> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = TempDir::new().expect("a scratch folder");
    let (program, libraries) = (scratch.path().join("program"), libraries());
    let mut command = Command::new(compiler()?);
    command.args(FLAGS).arg("-g").arg("-I").arg(package.join("include"));
    command.arg("-I").arg(package.join("tests/c")).arg(source);
    match linked {
        Linked::Statically => command.arg(libraries.join("libholocast_c.a")).args(SYSTEM),
        Linked::Dynamically => {
            let path = format!("-Wl,-rpath,{}", libraries.display());
            command.arg("-L").arg(&libraries).args(["-lholocast_c", "-lpthread"]).arg(path)
        }
    };
    succeeds(command.arg("-o").arg(&program));
    Some((scratch, program))
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name)
}

fn runs(source: &Path, linked: Linked) {
    if let Some((_scratch, program)) = compiled(source, linked) {
        succeeds(&mut Command::new(program));
    }
}

/// Runs a program under valgrind: what it ends with, and what valgrind says.
fn under_valgrind(source: &Path) -> Option<(Option<i32>, String)> {
    let (_scratch, program) = compiled(source, Linked::Statically)?;
    let mut command = Command::new("valgrind");
    // What is reachable at the end is left out: README.md, "Memory".
    command.args([
        "--leak-check=full",
        "--errors-for-leak-kinds=definite,possible",
        "--show-leak-kinds=definite,possible",
    ]);
    // A thread that waits for another one gets its turn.
    command.arg("--fair-sched=yes").arg(format!("--error-exitcode={REPORTED}")).arg(program);
    let output = command.output().expect("valgrind is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    eprintln!("{said}");
    Some((output.status.code(), said))
}

fn is_clean(source: &Path) {
    if let Some((code, said)) = under_valgrind(source) {
        assert_eq!(code, Some(0));
        assert!(said.contains("ERROR SUMMARY: 0 errors"));
    }
}

/// The C of the first example in README.md.
fn example() -> (TempDir, PathBuf) {
    let readme = include_str!("../README.md");
    let (_, behind) = readme.split_once("```c\n").expect("README.md has an example");
    let (code, _) = behind.split_once("```").expect("which ends");
    let scratch = TempDir::new().expect("a scratch folder");
    let path = scratch.path().join("example.c");
    std::fs::write(&path, code).expect("the example is written");
    (scratch, path)
}

#[test]
fn the_header_is_c99_and_cpp11() {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/holocast.h");
    let reads = |compiler: OsString, language: [&str; 3]| {
        // A header by itself has functions that nobody calls.
        let checks = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-unused-function", "-fsyntax-only"];
        succeeds(Command::new(compiler).args(language).args(checks).arg(&header));
    };
    if let Some(compiler) = compiler() {
        reads(compiler, ["-std=c99", "-x", "c"]);
    }
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if Command::new(&compiler).arg("--version").output().is_ok() {
        reads(compiler, ["-std=c++11", "-x", "c++"]);
    }
}

#[test]
fn the_demo_goes_through_all_operations() {
    runs(&program("demo.c"), Linked::Statically);
    runs(&program("demo.c"), Linked::Dynamically);
}

#[test]
fn q5_wakers_call_loops_that_sleep() {
    runs(&program("wakers.c"), Linked::Statically);
}

#[test]
fn the_example_of_the_readme_runs() {
    let (_scratch, path) = example();
    runs(&path, Linked::Dynamically);
}

#[test]
#[ignore = "needs valgrind"]
fn the_demo_leaks_nothing() {
    is_clean(&program("demo.c"));
}

#[test]
#[ignore = "needs valgrind"]
fn wakers_leak_nothing() {
    is_clean(&program("wakers.c"));
}

#[test]
#[ignore = "needs valgrind"]
fn the_example_of_the_readme_leaks_nothing() {
    let (_scratch, path) = example();
    is_clean(&path);
}

#[test]
#[ignore = "needs valgrind"]
fn a_leak_is_found() {
    if let Some((code, said)) = under_valgrind(&program("leak.c")) {
        assert_eq!(code, Some(REPORTED));
        assert!(said.contains("definitely lost") && said.contains("holocast_connection_try_recv"));
    }
}
