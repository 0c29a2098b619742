//! Under shuttle: `HOLOCAST_SCHEDULES` says how many schedules each test explores; every schedule has a script of its own.

use shuttle::rand::Rng;

use crate::world::{self, Plan};

fn schedules() -> usize {
    let asked = std::env::var("HOLOCAST_SCHEDULES").ok();
    asked.map_or(2_500, |number| number.parse().expect("HOLOCAST_SCHEDULES is a number"))
}

/// One schedule of one script.
fn script(plan: Plan) {
    let history = world::run(plan, shuttle::rand::thread_rng().r#gen());
    if let Err(refuted) = history.check() {
        panic!("{}", history.explain(&refuted));
    }
}

/// S5, C2 to C5, B1, B5, B6: with queues of their own, under random schedules.
#[test]
fn random_schedules_are_linearizable() {
    shuttle::check_random(|| script(Plan { calls: 4, lanes: false }), schedules());
}

/// The same under schedules with few changes at the worst places (PCT).
#[test]
fn pct_schedules_are_linearizable() {
    shuttle::check_pct(|| script(Plan { calls: 4, lanes: false }), schedules(), 3);
}

/// The same with tabs on lanes.
#[test]
fn random_schedules_with_lanes_are_linearizable() {
    shuttle::check_random(|| script(Plan { calls: 4, lanes: true }), schedules());
}

/// The same with tabs on lanes, by PCT.
#[test]
fn pct_schedules_with_lanes_are_linearizable() {
    shuttle::check_pct(|| script(Plan { calls: 4, lanes: true }), schedules(), 3);
}
