//! Ten small programs that a server is made of, each as short as it gets, and each run.
//!
//! A tab is what `connect` returned next to the socket that it feeds. Where a program reads badly the interface is at fault.

use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join;
use holocast::{
    Client, CloseReason, Connection, Error, Event, Identity, Overflow, Realtime, TryRecvError, channel,
};

/// The params of all broadcasts that are queued.
fn heard<P: Send + Sync + Clone + 'static>(tab: &mut Connection<P>) -> Vec<P> {
    let mut heard = Vec::new();
    while let Ok(event) = tab.try_recv() {
        if let Event::Broadcast(delivery) = event {
            heard.push(delivery.params().clone());
        }
    }
    heard
}

#[test]
fn notify_a_user() -> Result<(), Error> {
    let realtime = Realtime::new();
    let inbox = channel!("inbox", 7);

    // Whenever one of the user's tabs connects, the page's bell listens.
    let mut tabs = Vec::new();
    for name in ["phone", "laptop"] {
        let client = Client::new(name).with_user(7);
        tabs.push(realtime.connect(&client)?.connection);
        realtime.put_subscription(&client, &inbox, "bell")?;
    }

    // From anywhere, later.
    let reach = realtime.broadcast_action(&inbox, "notify", "your parcel is here")?;
    assert_eq!(reach.reached, 2);
    assert!(tabs.iter_mut().all(|tab| heard(tab) == ["your parcel is here"]));
    Ok(())
}

#[test]
fn a_chat_room() -> Result<(), Error> {
    let realtime = Realtime::new();
    let room = channel!("room", 42);
    let mut ann = realtime.connect(&Client::new("tab-1").with_user("ann"))?.connection;
    let mut bob = realtime.connect(&Client::new("tab-2").with_user("bob"))?.connection;

    for user in ["ann", "bob"] {
        realtime.subscribe(&Identity::user(user), &room, "messages")?;
    }
    realtime.broadcast_action(&room, "say", "hello")?;
    realtime.unsubscribe(&Identity::user("bob"), &room, "messages")?;
    realtime.broadcast_action(&room, "say", "has Bob left?")?;

    assert_eq!(heard(&mut ann), ["hello", "has Bob left?"]);
    assert_eq!(heard(&mut bob), ["hello"]);
    Ok(())
}

#[test]
fn a_typing_indicator_without_an_echo() -> Result<(), Error> {
    let realtime = Realtime::new();
    let room = channel!("room", 42);
    let ann = Client::new("tab-1").with_user("ann");
    let bob = Client::new("tab-2").with_user("bob");
    let mut typing = realtime.connect(&ann)?.connection;
    let mut reading = realtime.connect(&bob)?.connection;
    realtime.put_subscription(&ann, &room, "typing")?;
    realtime.put_subscription(&bob, &room, "typing")?;

    realtime.broadcast_action_except(&[Identity::instance("tab-1")], &room, "typing", "ann")?;

    assert!(heard(&mut typing).is_empty());
    assert_eq!(heard(&mut reading), ["ann"]);
    Ok(())
}

#[test]
fn a_live_dashboard_whose_slow_tabs_reload() -> Result<(), Box<dyn std::error::Error>> {
    let realtime = Realtime::builder().queue_capacity(2).overflow(Overflow::DropNewest).build()?;
    let prices = realtime.channel(&channel!("prices"))?;
    let mut slow = realtime.connect(&Client::new("tab-1"))?.connection;
    realtime.put_subscription(&Client::new("tab-1"), prices.channel(), "chart")?;

    for price in 100..110 {
        prices.broadcast_action("tick", price)?;
    }

    let (mut shown, mut reloads) = (Vec::new(), 0);
    while let Ok(event) = slow.try_recv() {
        match event {
            Event::Broadcast(tick) => shown.push(*tick.params()),
            // Missed some: the page asks for the whole chart.
            Event::Lagged(_) => reloads += 1,
            _ => {}
        }
    }
    assert_eq!((shown, reloads), (vec![100, 101], 1));
    Ok(())
}

#[test]
fn a_presence_list() -> Result<(), Error> {
    let realtime = Realtime::<()>::new();
    let room = channel!("room", 42);
    let tabs = [("tab-1", "ann"), ("tab-2", "ann"), ("tab-3", "bob")];
    let mut connections = Vec::new();
    for (tab, user) in tabs {
        let client = Client::new(tab).with_user(user);
        connections.push(realtime.connect(&client)?.connection);
        realtime.put_subscription(&client, &room, "messages")?;
    }
    let present = || {
        let members = realtime.members_of(&room);
        let mut users: Vec<String> =
            members.iter().filter_map(|member| Some(member.client.user()?.to_string())).collect();
        users.sort();
        users.dedup();
        users.len()
    };

    assert_eq!(present(), 2);
    connections.pop();
    assert_eq!(present(), 1);
    Ok(())
}

#[test]
fn a_kick_that_holds_and_a_pardon() -> Result<(), Error> {
    let realtime = Realtime::new();
    let room = channel!("room", 42);
    let client = Client::new("tab-1").with_user("troll");
    let tab = realtime.connect(&client)?.connection;
    // What the browser keeps.
    let receipt = realtime.put_subscription(&client, &room, "messages")?.expect("it was not bound");

    realtime.unsubscribe_all(&Identity::user("troll"), &room)?;
    drop(tab);
    let back = realtime.reconnect(&client, &[receipt])?;
    assert!(back.receipts.is_empty());
    assert_eq!(realtime.broadcast_action(&room, "say", "peace")?.reached, 0);

    realtime.subscribe(&Identity::user("troll"), &room, "messages")?;
    assert_eq!(realtime.broadcast_action(&room, "say", "welcome back")?.reached, 1);
    Ok(())
}

#[test]
fn log_out_everywhere() -> Result<(), Error> {
    let realtime = Realtime::new();
    let (inbox, news) = (channel!("inbox", 7), channel!("news"));
    let mut phone = realtime.connect(&Client::new("phone"))?.connection;
    let _laptop = realtime.connect(&Client::new("laptop").with_user(7))?;
    realtime.put_subscription(&Client::new("phone"), &news, "feed")?;
    realtime.identify(&Client::new("phone").with_user(7))?;
    realtime.subscribe(&Identity::user(7), &inbox, "bell")?;

    // After the sessions are gone from the host's own store.
    for client in realtime.connections_of(&Identity::user(7)) {
        realtime.identify(&client.without_user())?;
    }

    assert_eq!(realtime.broadcast_action(&inbox, "notify", "secret")?.reached, 0);
    // What nobody authorized goes on.
    realtime.broadcast_action(&news, "add", "sunny")?;
    assert_eq!(heard(&mut phone), ["sunny"]);
    Ok(())
}

#[test]
fn a_shutdown_that_tells_every_tab() -> Result<(), Error> {
    let realtime = Realtime::<()>::new();
    let mut tab = realtime.connect(&Client::new("tab-1"))?.connection;

    realtime.shutdown();

    assert!(matches!(tab.try_recv(), Ok(Event::Closed(CloseReason::Shutdown))));
    assert!(matches!(tab.try_recv(), Err(TryRecvError::Closed)));
    assert_eq!(realtime.connect(&Client::new("tab-2")).unwrap_err(), Error::ShutDown);
    Ok(())
}

#[test]
fn blocking_threads_instead_of_tasks() -> Result<(), Error> {
    let realtime = Realtime::new();
    let client = Client::new("tab-1");
    let mut tab = realtime.connect(&client)?.connection;
    realtime.put_subscription(&client, &channel!("news"), "feed")?;
    let writer = thread::spawn(move || {
        let mut lines = Vec::new();
        while let Some(event) = tab.blocking_recv() {
            if let Event::Broadcast(news) = event {
                lines.push(*news.params());
            }
        }
        lines
    });

    for line in ["one", "two"] {
        realtime.broadcast_action(&channel!("news"), "add", line)?;
        thread::sleep(Duration::from_millis(1));
    }
    // Unlike `disconnect` it lets the thread take what is queued.
    realtime.shutdown();
    assert_eq!(writer.join().expect("it does not panic"), ["one", "two"]);
    Ok(())
}

#[test]
fn a_stream_in_a_task() -> Result<(), Error> {
    let realtime = Realtime::new();
    let client = Client::new("tab-1");
    let tab = realtime.connect(&client)?.connection;
    realtime.put_subscription(&client, &channel!("news"), "feed")?;
    let reader = tab
        .filter_map(
            async |event| if let Event::Broadcast(news) = event { Some(*news.params()) } else { None },
        )
        .collect::<Vec<_>>();
    let writer = async {
        realtime.broadcast_action(&channel!("news"), "add", "one")?;
        realtime.shutdown();
        Ok::<(), Error>(())
    };

    let (written, read) = futures_executor::block_on(join(writer, reader));
    written?;
    assert_eq!(read, ["one"]);
    Ok(())
}
