//! Who lives in a slot. All of it changes by one compare-and-swap: identities, lease and end can't contradict each other (I4, I6).

use std::sync::Arc;

use super::joined::Ticket;
use crate::event::CloseReason;
use crate::identity::{Client, Identity};
use crate::queue::Parker;

/// Whether a tenant's connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Live,
    Closed(CloseReason),
}

/// One state of a slot's tenancy; immutable.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) client: Client,
    /// Under which number the identity index knows this state.
    pub(crate) ticket: Ticket,
    /// Which receiving half holds the lease; grows with every connect, over all tenants of the slot (I6).
    pub(crate) generation: u32,
    /// Changes of user so far, over all tenants of the slot (I4).
    pub(crate) auth: u32,
    /// What `auth` was when the tenancy began; no other tenancy of the slot has a count in common with this one.
    pub(crate) born: u32,
    pub(crate) state: State,
    pub(crate) parker: Arc<Parker>,
}

impl Tenant {
    /// Of a slot that never had one.
    pub(crate) fn nobody() -> Self {
        Self {
            client: Client::new(""),
            ticket: 0,
            generation: 0,
            auth: 0,
            born: 0,
            state: State::Closed(CloseReason::Disconnected),
            parker: Arc::new(Parker::new()),
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Whether a member written under this authorization count is of this tenancy.
    pub(crate) fn is_of(&self, auth: u32) -> bool {
        (self.born..=self.auth).contains(&auth)
    }
}

impl Client {
    /// Whether the identity addresses this client.
    pub(crate) fn matches(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Instance(instance) => self.instance() == instance,
            Identity::Session(session) => self.session() == Some(session),
            Identity::User(user) => self.user() == Some(user),
        }
    }

    /// The identities that it may share with other connections: session and user.
    pub(crate) fn shared_identities(&self) -> impl Iterator<Item = Identity> + use<> {
        let session = self.session().cloned().map(Identity::Session);
        let user = self.user().cloned().map(Identity::User);
        session.into_iter().chain(user)
    }
}
