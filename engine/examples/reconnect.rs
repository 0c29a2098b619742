//! A browser loses its connection and comes back with the receipts that it kept; what was revoked in between stays out:
//! `cargo run -p holocast --example reconnect`.

use std::error::Error;

use holocast::{Client, Connection, Event, Identity, Realtime, Receipt, SigningKey, channel};

fn main() -> Result<(), Box<dyn Error>> {
    // Every server that shares the key accepts the others' tokens. A real key is random and secret.
    let realtime = Realtime::builder().signing_keys([SigningKey::new([7; 32])?]).build()?;
    let tab = Client::new("tab-1").with_session("s1").with_user(7);
    let (room, news) = (channel!("room", 42), channel!("news"));

    let mut connection = realtime.connect(&tab)?.connection;
    realtime.subscribe(&Identity::user(7), &room, "page")?;
    realtime.subscribe(&Identity::user(7), &news, "layout")?;

    // The receipts leave for the browser as signed strings; the server keeps none of them.
    let mut browser = Vec::new();
    for receipt in receipts(&mut connection) {
        let token = realtime.sign(&receipt)?;
        println!("keep {token}");
        browser.push(token);
    }

    // The train enters a tunnel: the connection is gone, and its bindings with it.
    drop(connection);
    assert_eq!(realtime.broadcast_action(&room, "message", "nobody hears this")?.reached, 0);

    // Meanwhile the user is banned from the room. No connection matches; the revocation is remembered against the receipts.
    assert_eq!(realtime.unsubscribe_all(&Identity::user(7), &room)?, 0);

    // Anybody can send anything: a changed token is an error, and binds nothing.
    let forged = browser[0].replacen("hc1.", "hc1.A", 1);
    println!("forged: {}", realtime.verify(&forged).expect_err("the signature is of another text"));

    // Back again, with every token that the browser kept. A token that verifies may still be revoked: `reconnect` decides.
    let presented: Vec<Receipt> =
        browser.iter().map(|token| realtime.verify(token)).collect::<Result<_, _>>()?;
    let back = realtime.reconnect(&tab, &presented)?;
    for receipt in &back.receipts {
        println!("restored {} as {}", receipt.channel(), receipt.cid());
    }
    assert_eq!(back.receipts.len(), 1);
    assert_eq!(realtime.broadcast_action(&room, "message", "banned")?.reached, 0);
    assert_eq!(realtime.broadcast_action(&news, "add", "welcome back")?.reached, 1);
    Ok(())
}

/// The receipts among what is queued.
fn receipts(connection: &mut Connection<&str>) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    while let Ok(event) = connection.try_recv() {
        if let Event::Subscribed(receipt) = event {
            receipts.push(receipt);
        }
    }
    receipts
}
