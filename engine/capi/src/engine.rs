//! The engine's operations.

use std::mem::MaybeUninit;

use holocast::{Identity as EngineIdentity, Limits, Realtime};

use crate::Params;
use crate::channel::Channel;
use crate::config::{Config, signing_keys};
use crate::raw::{Bytes, Client, Identity, List, Text, place, tell, there};
use crate::receipts::Receipts;
use crate::status::{Failure, Status, guard};

/// The engine: it knows which connection listens to what. Many threads may use one handle at once. The engine lives until its last handle,
/// connection and lane are freed.
#[derive(Debug)]
pub struct Engine {
    pub(crate) realtime: Realtime<Params>,
    pub(crate) limits: Limits,
}

/// How many connections a broadcast reached, and how many it could not because their queues were full.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Connections whose queue took it.
    pub(crate) reached: usize,
    /// Connections whose queue was full.
    pub(crate) refused: usize,
}

/// What an engine holds and has done. At rest accepted = taken + queued + released + withheld.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Stats {
    /// Live connections.
    connections: u64,
    /// Channels with a binding or a revocation.
    channels: u64,
    /// Connections bound by at least one component, once per channel.
    members: u64,
    /// Bindings of all members.
    bindings: u64,
    /// Revocations kept.
    revocations: u64,
    /// Broadcasts to a channel or nobody.
    broadcasts: u64,
    /// Messages that queues took.
    accepted: u64,
    /// Messages handed out.
    taken: u64,
    /// Messages waiting.
    queued: u64,
    /// Messages released with their connection, or by a reset.
    released: u64,
    /// Messages not handed out because the connection's user had changed.
    withheld: u64,
    /// Messages that no queue took because it was full.
    refused: u64,
}

/// An engine with these settings; null: with the default ones.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_engine_new(
    config: Option<&Config>,
    engine: Option<&mut MaybeUninit<Option<Box<Engine>>>>,
) -> Status {
    guard(|| {
        let out = place(engine, "engine")?;
        let default = Config::default();
        let config = config.unwrap_or(&default);
        *out = Some(Box::new(Engine { realtime: config.build()?, limits: config.limits() }));
        Ok(())
    })
}

/// Another handle to the same engine, to be freed on its own.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_engine_clone(
    engine: Option<&Engine>,
    clone: Option<&mut MaybeUninit<Option<Box<Engine>>>>,
) -> Status {
    guard(|| {
        let out = place(clone, "clone")?;
        let engine = there(engine, "engine")?;
        *out = Some(Box::new(Engine { realtime: engine.realtime.clone(), limits: engine.limits }));
        Ok(())
    })
}

/// Frees a handle; null is fine. Ends nothing: connections and lanes go on.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_engine_free(engine: Option<Box<Engine>>) {
    guard(|| {
        drop(engine);
        Ok(())
    });
}

/// Replaces the keys of receipt tokens, each of 32 random bytes or more: the first signs, all verify. Copied.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_set_signing_keys(engine: Option<&Engine>, keys: List<Bytes>) -> Status {
    guard(|| {
        there(engine, "engine")?.realtime.set_signing_keys(signing_keys(&keys)?);
        Ok(())
    })
}

/// Binds every live connection that matches the identity to the channel, for a component, at one instant, and takes back the identity's
/// own revocations. Each gets SUBSCRIBED with a receipt. How many matched is written to matched, unless that is null.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_subscribe(
    engine: Option<&Engine>,
    identity: Option<&Identity>,
    channel: Option<&Channel>,
    cid: Text,
    matched: Option<&mut MaybeUninit<usize>>,
) -> Status {
    guard(|| {
        let (engine, identity) = (there(engine, "engine")?, there(identity, "identity")?.read()?);
        let channel = &there(channel, "channel")?.channel;
        tell(matched, engine.realtime.subscribe(&identity, channel, cid.read("the cid")?)?);
        Ok(())
    })
}

/// Drops a binding from every live connection that matches the identity, at one instant, and remembers it against receipts. Each gets
/// UNSUBSCRIBED. How many matched is written to matched, unless that is null.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_unsubscribe(
    engine: Option<&Engine>,
    identity: Option<&Identity>,
    channel: Option<&Channel>,
    cid: Text,
    matched: Option<&mut MaybeUninit<usize>>,
) -> Status {
    guard(|| {
        let (engine, identity) = (there(engine, "engine")?, there(identity, "identity")?.read()?);
        let channel = &there(channel, "channel")?.channel;
        tell(matched, engine.realtime.unsubscribe(&identity, channel, cid.read("the cid")?)?);
        Ok(())
    })
}

/// A kick: drops all bindings to the channel from every live connection that matches the identity, at one instant, and remembers it
/// against receipts. How many lost something is written to lost, unless that is null; each of them gets UNSUBSCRIBED.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_unsubscribe_all(
    engine: Option<&Engine>,
    identity: Option<&Identity>,
    channel: Option<&Channel>,
    lost: Option<&mut MaybeUninit<usize>>,
) -> Status {
    guard(|| {
        let (engine, identity) = (there(engine, "engine")?, there(identity, "identity")?.read()?);
        tell(lost, engine.realtime.unsubscribe_all(&identity, &there(channel, "channel")?.channel)?);
        Ok(())
    })
}

/// Delivers an action once to every connection with a binding on the channel; waits for nobody. The params are copied once, for all
/// receivers together. Whom it reached is written to reach, unless that is null.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_broadcast_action(
    engine: Option<&Engine>,
    channel: Option<&Channel>,
    action: Text,
    params: Bytes,
    reach: Option<&mut MaybeUninit<Reach>>,
) -> Status {
    guard(|| broadcast(engine, &[], channel, action, params, reach))
}

/// As holocast_broadcast_action, to all but the connections that match any of the excluded identities.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_broadcast_action_except(
    engine: Option<&Engine>,
    excluded: List<Identity>,
    channel: Option<&Channel>,
    action: Text,
    params: Bytes,
    reach: Option<&mut MaybeUninit<Reach>>,
) -> Status {
    guard(|| {
        let excluded = excluded.read("excluded")?.iter().map(Identity::read);
        broadcast(engine, &excluded.collect::<Result<Vec<_>, _>>()?, channel, action, params, reach)
    })
}

fn broadcast(
    engine: Option<&Engine>,
    excluded: &[EngineIdentity],
    channel: Option<&Channel>,
    action: Text,
    params: Bytes,
    reach: Option<&mut MaybeUninit<Reach>>,
) -> Result<(), Failure> {
    let (engine, channel) = (there(engine, "engine")?, &there(channel, "channel")?.channel);
    let action = action.read("the action")?;
    let holocast::Reach { reached, refused } =
        engine.realtime.broadcast_action_except(excluded, channel, action, params.params()?)?;
    tell(reach, Reach { reached, refused });
    Ok(())
}

/// Binds a component of the client's own instance, authorized by its current user, without an event. The fresh receipt is written to
/// receipts, to be freed; null if it was bound already. Without a live connection only the receipt is issued.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_put_subscription(
    engine: Option<&Engine>,
    client: Option<&Client>,
    channel: Option<&Channel>,
    cid: Text,
    receipts: Option<&mut MaybeUninit<Option<Box<Receipts>>>>,
) -> Status {
    guard(|| {
        let out = place(receipts, "receipts")?;
        let (engine, client) = (there(engine, "engine")?, there(client, "client")?.read()?);
        let channel = &there(channel, "channel")?.channel;
        let receipt = engine.realtime.put_subscription(&client, channel, cid.read("the cid")?)?;
        *out = Receipts::new(&engine.realtime, receipt.into_iter().collect());
        Ok(())
    })
}

/// Unbinds a component of the client's own instance, without an event, and remembers it against receipts. Whether it was bound is written to
/// dropped, unless that is null.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_delete_subscription(
    engine: Option<&Engine>,
    client: Option<&Client>,
    channel: Option<&Channel>,
    cid: Text,
    dropped: Option<&mut MaybeUninit<bool>>,
) -> Status {
    guard(|| {
        let (engine, client) = (there(engine, "engine")?, there(client, "client")?.read()?);
        let channel = &there(channel, "channel")?.channel;
        tell(dropped, engine.realtime.delete_subscription(&client, channel, cid.read("the cid")?)?);
        Ok(())
    })
}

/// Gives a live connection another session and user: login, logout, rotation. What another user authorized is dropped. Whether the
/// instance has a live connection is written to found, unless that is null; without one nothing is kept.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_identify(
    engine: Option<&Engine>,
    client: Option<&Client>,
    found: Option<&mut MaybeUninit<bool>>,
) -> Status {
    guard(|| {
        let (engine, client) = (there(engine, "engine")?, there(client, "client")?.read()?);
        tell(found, engine.realtime.identify(&client)?);
        Ok(())
    })
}

/// Ends the connection of an instance, with all its bindings; its receiver gets CLOSED. Whether it had one is written to ended, unless
/// that is null.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_disconnect(
    engine: Option<&Engine>,
    instance: Text,
    ended: Option<&mut MaybeUninit<bool>>,
) -> Status {
    guard(|| {
        let engine = there(engine, "engine")?;
        tell(ended, engine.realtime.disconnect(instance.read("the instance")?));
        Ok(())
    })
}

/// Ends all connections, each with CLOSED after what is queued for it, which can still be taken. Whatever would connect, bind or broadcast
/// ends with HOLOCAST_STATUS_SHUT_DOWN from here on. How many connections were told is written to told, unless that is null. There is no
/// way back.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_shutdown(
    engine: Option<&Engine>,
    told: Option<&mut MaybeUninit<usize>>,
) -> Status {
    guard(|| {
        tell(told, there(engine, "engine")?.realtime.shutdown());
        Ok(())
    })
}

/// What the engine holds and has done. Walks over all channels and connections.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_stats_of(
    engine: Option<&Engine>,
    stats: Option<&mut MaybeUninit<Stats>>,
) -> Status {
    guard(|| {
        let (engine, out) = (there(engine, "engine")?, there(stats, "stats")?);
        let stats = engine.realtime.stats();
        out.write(Stats {
            connections: stats.connections,
            channels: stats.channels,
            members: stats.members,
            bindings: stats.bindings,
            revocations: stats.revocations,
            broadcasts: stats.broadcasts,
            accepted: stats.accepted,
            taken: stats.taken,
            queued: stats.queued,
            released: stats.released,
            withheld: stats.withheld,
            refused: stats.refused,
        });
        Ok(())
    })
}
