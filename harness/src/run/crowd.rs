//! Who is there and where they could be: people, their tabs, the rooms. Facts that hold for a whole run.

use holocast::{Channel, Cid, Client, Element, Id, Identity, Text};
use rand::Rng;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::workload::{Law, Workload};

/// Everybody and every place, by number.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) people: Vec<Person>,
    pub(super) tabs: Vec<Tab>,
    pub(super) rooms: Vec<Channel>,
    /// Rooms by popularity; shuffled, so that a popular room is nothing special to the engine.
    pub(super) ranks: Vec<u32>,
    pub(super) cids: Vec<Cid>,
}

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) user: Id,
    pub(super) session: Id,
    pub(super) first_tab: u32,
    pub(super) tabs: u32,
    pub(super) logged_in: bool,
    /// How many rooms they want to be in.
    pub(super) wanted_rooms: u32,
    /// Whether they are in their rooms from the start.
    pub(super) member: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Tab {
    pub(super) person: u32,
    pub(super) instance: Text,
}

impl Crowd {
    pub(super) fn new(workload: &Workload, seed: u64) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let (size, places) = (&workload.crowd, &workload.rooms);
        let mut tabs = Vec::new();
        let members = places.members.unwrap_or(size.users);
        let people = (0..size.users).map(|number| {
            let first_tab = tabs.len() as u32;
            let count = rng.random_range(size.tabs[0]..=size.tabs[1]);
            tabs.extend(
                (0..count)
                    .map(|tab| Tab { person: number, instance: Text::from(format!("u{number}-tab{tab}")) }),
            );
            Person {
                user: Id::from(number),
                session: Id::from(format!("session-{number}")),
                first_tab,
                tabs: count,
                logged_in: rng.random_range(0.0..100.0) >= size.anonymous_percent,
                wanted_rooms: match places.law {
                    Law::Zipf => rng.random_range(places.per_user[0]..=places.per_user[1]).min(places.count),
                    Law::One | Law::Own => 1,
                },
                member: number < members,
            }
        });
        let people: Vec<Person> = people.collect();
        let rooms = match places.law {
            Law::Zipf => places.count,
            Law::One => 1,
            Law::Own => size.users,
        };
        let mut ranks: Vec<u32> = (0..rooms).collect();
        if places.law == Law::Zipf {
            ranks.shuffle(&mut rng);
        }
        Crowd {
            people,
            tabs,
            rooms: (0..rooms).map(|number| holocast::channel!("room", number)).collect(),
            ranks,
            cids: (0..places.cids).map(|number| Cid::from(format!("part-{number}"))).collect(),
        }
    }

    /// Nobody that a script could move: the tabs of a trace.
    pub(super) fn of_instances(instances: Vec<Text>) -> Self {
        Crowd {
            people: Vec::new(),
            tabs: instances.into_iter().map(|instance| Tab { person: 0, instance }).collect(),
            rooms: Vec::new(),
            ranks: Vec::new(),
            cids: Vec::new(),
        }
    }

    /// The numbers of a person's tabs.
    pub(super) fn tabs_of(&self, person: u32) -> std::ops::Range<u32> {
        let Person { first_tab, tabs, .. } = self.people[person as usize];
        first_tab..first_tab + tabs
    }

    /// The address of all of a person's tabs: the user, or the session while anonymous.
    pub(super) fn identity(&self, person: u32, logged_in: bool) -> Identity {
        let Person { user, session, .. } = &self.people[person as usize];
        if logged_in { Identity::User(user.clone()) } else { Identity::Session(session.clone()) }
    }

    /// A tab as it introduces itself.
    pub(super) fn client(&self, tab: u32, logged_in: bool) -> Client {
        let Tab { person, instance } = &self.tabs[tab as usize];
        let Person { user, session, .. } = &self.people[*person as usize];
        Client::from_parts(instance.clone(), Some(session.clone()), logged_in.then(|| user.clone()))
    }

    /// The number of a room by its channel; that of no room if it is none of this crowd's.
    pub(super) fn room(channel: &Channel) -> u32 {
        match channel.elements() {
            [.., Element::Int(number)] => u32::try_from(*number).unwrap_or(u32::MAX),
            _ => u32::MAX,
        }
    }
}
