//! On the system's threads: `HOLOCAST_HISTORIES` says how many histories are checked, `HOLOCAST_SEED` where they begin.

use crate::runtime::Random;
use crate::world::{self, Plan};

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

fn check(plan: Plan) {
    let mut seeds = Random::new(setting("HOLOCAST_SEED", 1));
    let histories = setting("HOLOCAST_HISTORIES", 2_000);
    let (mut calls, mut overlapping, mut states) = (0, 0, 0);
    for _ in 0..histories {
        let seed = seeds.next();
        let history = world::run(plan, seed);
        match history.check() {
            Ok(looked_at) => states += looked_at,
            Err(refuted) => panic!("seed {seed}: {}", history.explain(&refuted)),
        }
        let (beside, all) = history.overlapping();
        (calls, overlapping) = (calls + all, overlapping + beside);
    }
    let share = 100 * overlapping / calls.max(1);
    println!(
        "{histories} histories of {calls} calls, {share} % of them beside another; {states} states looked at"
    );
    assert!(overlapping > 0, "nothing ran at once: nothing was tested");
}

/// S5, C2 to C5, B1, B4 to B6: with queues of their own.
#[test]
fn histories_of_real_threads_are_linearizable() {
    check(Plan { calls: 8, lanes: false });
}

/// The same with tabs on lanes.
#[test]
fn histories_of_real_threads_with_lanes_are_linearizable() {
    check(Plan { calls: 8, lanes: true });
}
