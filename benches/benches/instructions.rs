//! How many instructions the hot paths take, counted by callgrind in one thread.
//!
//! `.ci/instructions` runs it and holds the counts against `benches/instructions.json`. They do not depend on the machine's load;
//! that makes them the speed check that continuous integration can hold. Each benchmark is a process of its own, in which all of
//! the paths have run before the one that counts; set-up and the drop of what is returned are not counted.

#![expect(missing_docs, reason = "the modules that gungraun's macros make")]

use std::hint::black_box;
use std::mem::ManuallyDrop;

use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use holocast::{Channel, Client, Connection, HotChannel, Identity, Realtime};
use holocast_benches::{CID, Crowd, drain};

/// Connections of the room.
const MEMBERS: usize = 1_000;

/// Messages that wait in each queue before the first is taken.
const BURST: usize = 8;

/// Changes, or broadcasts to one: so many that what happens once in a while, such as a new block, has its share.
const REPEATS: usize = 64;

/// Who come and go, one after the other. The tables' hashes depend on where things lie in memory, so on the path of the program, and
/// a key's place in a table on its hash: one guest alone takes up to 5 % more or fewer from one binary to the next.
const GUESTS: usize = 1_000;

/// A room of 1,000 that has been in use. Nothing of it is ever torn down: that would only take time.
struct Scene {
    crowd: ManuallyDrop<Crowd>,
    room: Channel,
    /// A room with one member.
    alone: HotChannel<u64>,
    /// One of the room.
    member: Identity,
    /// Those who are not connected.
    guests: Vec<Client>,
}

impl Scene {
    fn parts(&mut self) -> (&Realtime<u64>, &mut [Connection<u64>]) {
        self.crowd.parts()
    }

    fn publish(&self) {
        self.publish_except(&[]);
    }

    fn publish_except(&self, excluded: &[Identity]) {
        black_box(self.crowd.realtime().broadcast_action_except(excluded, &self.room, "message", 1))
            .expect("names within the limits");
    }

    fn publish_hot(&self) {
        black_box(self.alone.broadcast_action("message", 1)).expect("names within the limits");
    }

    fn leave_and_join(&self) {
        let realtime = self.crowd.realtime();
        realtime.unsubscribe(&self.member, &self.room, CID).expect("names within the limits");
        realtime.subscribe(&self.member, &self.room, CID).expect("names within the limits");
    }

    fn come_and_go(&self, guest: &Client) {
        drop(black_box(self.crowd.realtime().connect(guest)).expect("names within the limits"));
    }

    fn take_all(&mut self) -> usize {
        drain(self.parts().1)
    }
}

/// The room, with so many messages in each queue.
fn scene(waiting: usize) -> ManuallyDrop<Scene> {
    let mut crowd = Crowd::new(MEMBERS + GUESTS);
    let room = crowd.room(MEMBERS);
    let one = crowd.room(1);
    let alone = crowd.realtime().channel(&one).expect("names within the limits");
    let member = Identity::instance(Crowd::client(MEMBERS / 2).instance());
    let guests = (MEMBERS..MEMBERS + GUESTS).map(Crowd::client).collect();
    let mut scene = Scene { crowd: ManuallyDrop::new(crowd), room, alone, member, guests };
    let first = Crowd::client(MEMBERS + GUESTS);
    for _ in 0..2 {
        scene.publish();
        scene.publish_except(std::slice::from_ref(&scene.member));
        scene.publish_hot();
        scene.leave_and_join();
        scene.come_and_go(&first);
        scene.take_all();
    }
    (0..waiting).for_each(|_| scene.publish());
    ManuallyDrop::new(scene)
}

#[library_benchmark(setup = scene)]
#[bench::to_1000(0)]
fn publish(scene: ManuallyDrop<Scene>) -> ManuallyDrop<Scene> {
    scene.publish();
    scene
}

#[library_benchmark(setup = scene)]
#[bench::to_999_of_1000(0)]
fn publish_except(scene: ManuallyDrop<Scene>) -> ManuallyDrop<Scene> {
    scene.publish_except(std::slice::from_ref(&scene.member));
    scene
}

#[library_benchmark(setup = scene)]
#[bench::to_1(0)]
fn publish_hot(scene: ManuallyDrop<Scene>) -> ManuallyDrop<Scene> {
    (0..REPEATS).for_each(|_| scene.publish_hot());
    scene
}

// Takes until there is nothing left, from each of 1,000 queues.
#[library_benchmark(setup = scene)]
#[bench::nothing(0)]
#[bench::one(1)]
#[bench::burst_of_8(BURST)]
fn take(mut scene: ManuallyDrop<Scene>) -> ManuallyDrop<Scene> {
    black_box(scene.take_all());
    scene
}

#[library_benchmark(setup = scene)]
#[bench::in_1000(0)]
fn unsubscribe_subscribe(scene: ManuallyDrop<Scene>) -> ManuallyDrop<Scene> {
    (0..REPEATS / 2).for_each(|_| scene.leave_and_join());
    scene
}

#[library_benchmark(setup = scene)]
#[bench::beside_1000(0)]
fn connect_drop(scene: ManuallyDrop<Scene>) -> ManuallyDrop<Scene> {
    scene.guests.iter().for_each(|guest| scene.come_and_go(guest));
    scene
}

library_benchmark_group!(
    name = hot_paths,
    benchmarks = [publish, publish_except, publish_hot, take, unsubscribe_subscribe, connect_drop]
);
main!(
    // Instructions alone: what a simulated cache says would hold for no machine.
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = hot_paths
);
