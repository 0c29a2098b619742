//! The contestants, one file each.

mod dashmap_tokio_mpsc;
mod dashmap_tokio_mpsc_bounded;
mod floor;
mod holocast;
mod papaya_arc_swap_segqueue;
mod rwlock_crossbeam_channel;
mod rwlock_flume;
mod tokio_broadcast;

pub(super) use self::dashmap_tokio_mpsc::DashMapTokioMpsc;
pub(super) use self::dashmap_tokio_mpsc_bounded::DashMapTokioMpscBounded;
pub(super) use self::floor::Floor;
pub(super) use self::holocast::{Holocast, TABS};
pub(super) use self::papaya_arc_swap_segqueue::PapayaArcSwapSegQueue;
pub(super) use self::rwlock_crossbeam_channel::RwLockCrossbeamChannel;
pub(super) use self::rwlock_flume::RwLockFlume;
pub(super) use self::tokio_broadcast::TokioBroadcast;
