//! One tokio task for every lane: from the call to the last receipt.

use std::sync::Arc;

use holocast::{Channel, Lane};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::Lanes;
use super::drain::read;
use crate::compare::parked::{self, Flavour, Parked, Receipts, STOP};
use crate::compare::peer::Peer;
use crate::compare::peers::Holocast;
use crate::compare::turns::Sample;
use crate::compare::world::Contestant;

struct Tasks {
    name: &'static str,
    engine: Arc<Holocast>,
    members: usize,
    room: Channel,
    runtime: Runtime,
    tasks: Vec<JoinHandle<Lane<u64>>>,
    receipts: Arc<Receipts>,
}

pub(super) fn park(lanes: Lanes, flavour: Flavour) -> Box<dyn Parked> {
    let name = lanes.name();
    let Lanes { engine, lanes, members, room } = lanes;
    let runtime = flavour.runtime();
    let receipts = Arc::new(Receipts::default());
    let tasks = lanes
        .into_iter()
        .map(|mut lane| {
            let receipts = Arc::clone(&receipts);
            runtime.spawn(async move {
                loop {
                    let (taken, params) = read(lane.recv().await);
                    receipts.note(taken);
                    if params == Some(STOP) {
                        return lane;
                    }
                }
            })
        })
        .collect();
    Box::new(Tasks { name, engine: Arc::new(engine), members, room, runtime, tasks, receipts })
}

impl Tasks {
    fn broadcast(&self, params: u64) -> std::time::Duration {
        let (engine, room) = (Arc::clone(&self.engine), self.room.clone());
        parked::broadcast(&self.runtime, &self.receipts, self.members, move || engine.publish(&room, params))
    }
}

impl Parked for Tasks {
    fn name(&self) -> &'static str {
        self.name
    }

    fn round(&mut self, deliveries: usize) -> Sample {
        parked::rounds(deliveries, self.members, || self.broadcast(1))
    }

    fn unpark(self: Box<Self>) -> Box<dyn Contestant> {
        self.broadcast(STOP);
        let Tasks { engine, members, room, runtime, tasks, .. } = *self;
        let lanes = parked::joined(runtime, tasks);
        let engine = Arc::into_inner(engine).expect("the publisher has gone");
        Box::new(Lanes { engine, lanes, members, room })
    }
}
