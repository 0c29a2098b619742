//! `holocast stress` as its user meets it.

use std::process::{Command, Output};

fn stress(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holocast"));
    let Output { status, stdout, stderr } =
        command.arg("stress").args(arguments).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("the command writes text");
    (status.code().expect("the command exits"), text(stdout), text(stderr))
}

#[test]
fn a_short_run_ends_with_figures_and_no_fault() {
    let (code, out, err) = stress(&["--duration", "1", "--seed", "7"]);
    assert_eq!(code, 0, "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].contains(" 1 rounds: ") && lines[0].contains(" deliveries audited"), "{out}");
    assert_eq!(lines[1], "no fault; seed 7");
}

#[test]
fn one_round_can_be_run_again() {
    let (code, out, _) = stress(&["--seed", "7", "--round", "3", "--threads", "1"]);
    assert!(code == 0 && out.contains(" 1 rounds: "), "{out}");
    let (code, out, _) = stress(&["--round", &u64::MAX.to_string(), "--threads", "1"]);
    assert!(code == 0 && out.contains(" 1 rounds: "), "{out}");
}

#[test]
fn a_wrong_duration_is_refused_in_one_line() {
    for (wrong, why) in
        [("0", "not between"), ("400d", "not between"), ("5x", "not a whole number"), ("", "")]
    {
        let (code, out, err) = stress(&["--duration", wrong]);
        assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{wrong}: {err}");
        assert!(err.contains(why), "{err}");
    }
}
