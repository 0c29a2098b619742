//! Who takes part, in the order of the turns.

use super::lanes::{self, Lanes};
use super::peer::Peer;
use super::peers::{
    DashMapTokioMpsc, DashMapTokioMpscBounded, Floor, Holocast, PapayaArcSwapSegQueue,
    RwLockCrossbeamChannel, RwLockFlume, TokioBroadcast,
};
use super::world::{Contestant, World};

/// Connections for which there is a second crowd on two lanes, so that the largest sizes take no more memory than one more peer.
const ON_TWO_LANES: std::ops::RangeInclusive<usize> = 2..=100_000;

/// Names of all, and what each is.
pub(super) fn legend() -> [(&'static str, &'static str); 10] {
    fn of<P: Peer>() -> (&'static str, &'static str) {
        (P::NAME, P::ABOUT)
    }
    let [one, two] = lanes::LEGEND;
    [
        of::<Floor>(),
        of::<Holocast>(),
        one,
        two,
        of::<TokioBroadcast>(),
        of::<DashMapTokioMpsc>(),
        of::<DashMapTokioMpscBounded>(),
        of::<RwLockFlume>(),
        of::<RwLockCrossbeamChannel>(),
        of::<PapayaArcSwapSegQueue>(),
    ]
}

/// Everybody with a crowd of so many; `only_ours`: the engine alone, with queues and with lanes.
pub(super) fn crowd(connections: usize, only_ours: bool) -> Vec<Box<dyn Contestant>> {
    fn new<P: Peer>(connections: usize) -> Box<dyn Contestant> {
        Box::new(World::<P>::new(connections))
    }
    let mut crowd: Vec<Box<dyn Contestant>> = Vec::new();
    if !only_ours {
        crowd.push(new::<Floor>(connections));
    }
    crowd.push(new::<Holocast>(connections));
    crowd.push(Box::new(Lanes::new(connections, 1)));
    if ON_TWO_LANES.contains(&connections) {
        crowd.push(Box::new(Lanes::new(connections, 2)));
    }
    if only_ours {
        return crowd;
    }
    crowd.extend([
        new::<TokioBroadcast>(connections),
        new::<DashMapTokioMpsc>(connections),
        new::<DashMapTokioMpscBounded>(connections),
        new::<RwLockFlume>(connections),
        new::<RwLockCrossbeamChannel>(connections),
        new::<PapayaArcSwapSegQueue>(connections),
    ]);
    crowd
}
