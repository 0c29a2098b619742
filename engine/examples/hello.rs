//! Two tabs, a room, a broadcast and a kick: `cargo run -p holocast --example hello`.

use holocast::{Client, Connection, Event, Identity, Realtime, channel};

fn main() -> Result<(), holocast::Error> {
    let realtime: Realtime<&str> = Realtime::new();

    // Ada has two tabs open, Bob has one. A server keeps each `Connection` next to the socket that it feeds.
    let ada = Identity::user("ada");
    let mut phone = realtime.connect(&Client::new("tab-1").with_session("s1").with_user("ada"))?.connection;
    let mut laptop = realtime.connect(&Client::new("tab-2").with_session("s2").with_user("ada"))?.connection;
    let mut bob = realtime.connect(&Client::new("tab-3").with_session("s3").with_user("bob"))?.connection;

    // One call binds all tabs of a user, at one instant.
    let room = channel!("room", 42);
    assert_eq!(realtime.subscribe(&ada, &room, "page")?, 2);
    realtime.subscribe(&Identity::user("bob"), &room, "page")?;

    // Whoever subscribed before hears what is broadcast after, in order.
    realtime.broadcast_action(&room, "message", "hello, room")?;
    // To all but the tab that wrote it, which has shown it already.
    realtime.broadcast_action_except(
        &[Identity::instance("tab-1")],
        &room,
        "message",
        "hello from my phone",
    )?;

    // Kicked: every binding of Ada's to the room is gone, and receipts from before are worth nothing.
    realtime.unsubscribe_all(&ada, &room)?;
    let reach = realtime.broadcast_action(&room, "message", "is Ada gone?")?;
    assert_eq!(reach.reached, 1);

    print("Ada's phone", &mut phone);
    print("Ada's laptop", &mut laptop);
    print("Bob", &mut bob);
    Ok(())
}

/// Prints all that is queued.
fn print(who: &str, connection: &mut Connection<&str>) {
    while let Ok(event) = connection.try_recv() {
        match event {
            Event::Broadcast(delivery) => {
                let cids: Vec<_> = delivery.cids().map(|cid| cid.as_str()).collect();
                println!(
                    "{who}: {} {} {:?} for {cids:?}",
                    delivery.channel(),
                    delivery.action(),
                    delivery.params()
                );
            }
            Event::Subscribed(receipt) => {
                println!("{who}: may listen to {} as {}", receipt.channel(), receipt.cid())
            }
            Event::Unsubscribed(keys) => {
                keys.iter()
                    .for_each(|(channel, cid)| println!("{who}: no longer listens to {channel} as {cid}"));
            }
            Event::Lagged(missed) => println!("{who}: missed {missed}"),
            Event::Closed(reason) => println!("{who}: closed, {reason}"),
            _ => {}
        }
    }
}
