//! Who is in the network: people, their tabs, and the rooms that they want.

use holocast::{Client, Id, Identity, Text};
use rand::Rng;
use rand_pcg::Pcg64Mcg;

use crate::cli::ChatArgs;

/// One in how many people is anonymous at first.
const ANONYMOUS: u32 = 8;

/// A person as one publisher's script knows them. Nothing here depends on what the engine answers, so a seed decides it all.
#[derive(Debug, Clone)]
pub(super) struct Person {
    user: Id,
    session: Id,
    pub(super) logged_in: bool,
    pub(super) tabs: Vec<Tab>,
    /// Rooms joined, by popularity.
    pub(super) rooms: Vec<usize>,
    /// How many rooms they want to be in.
    pub(super) wanted_rooms: usize,
}

/// One tab of a person.
#[derive(Debug, Clone)]
pub(super) struct Tab {
    /// Its number among all tabs of the network.
    pub(super) number: usize,
    pub(super) instance: Text,
    pub(super) live: bool,
}

impl Person {
    /// The address of all their tabs: the user, or the session while anonymous.
    pub(super) fn identity(&self) -> Identity {
        if self.logged_in {
            Identity::User(self.user.clone())
        } else {
            Identity::Session(self.session.clone())
        }
    }

    /// One of their tabs, as it would introduce itself now.
    pub(super) fn client(&self, tab: usize) -> Client {
        let user = self.logged_in.then(|| self.user.clone());
        Client::from_parts(self.tabs[tab].instance.clone(), Some(self.session.clone()), user)
    }
}

/// Everybody, in the shares of the publishers, and the names of all tabs.
pub(super) fn crowd(args: &ChatArgs, rng: &mut Pcg64Mcg) -> (Vec<Vec<Person>>, Vec<Text>) {
    let mut shares = vec![Vec::new(); args.threads as usize];
    let mut instances = Vec::new();
    for number in 0..args.users {
        // Most people have one tab and are in one room: of those seen on IRC, 13 to 21 in a hundred are in two or more.
        let tabs = match rng.random_range(0..10) {
            0..6 => 1,
            6..9 => 2,
            _ => 3,
        };
        let wanted_rooms = match rng.random_range(0..100) {
            0..82 => 1,
            82..93 => 2,
            _ => rng.random_range(3..=6),
        };
        let tabs = (0..tabs).map(|tab| {
            let instance = Text::from(format!("u{number}-tab{tab}"));
            instances.push(instance.clone());
            Tab { number: instances.len() - 1, instance, live: false }
        });
        let person = Person {
            user: Id::from(number),
            session: Id::from(format!("session-{number}")),
            logged_in: rng.random_range(0..ANONYMOUS) != 0,
            tabs: tabs.collect(),
            rooms: Vec::new(),
            wanted_rooms,
        };
        shares[(number % args.threads) as usize].push(person);
    }
    (shares, instances)
}
