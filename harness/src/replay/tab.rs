//! One instance of a trace: who it says it is, and what its browser keeps.

use std::task::Waker;

use holocast::{Client, Id, Text};

use super::wallet::Wallet;

/// A browser tab as the trace knows it. It outlives its connections.
pub(super) struct Tab {
    pub(super) name: Text,
    /// The session and user it last connected with or was identified with.
    session: Option<Id>,
    user: Option<Id>,
    pub(super) wallet: Wallet,
    /// Puts this tab on the list of those that got something.
    pub(super) waker: Waker,
}

impl Tab {
    pub(super) fn new(name: Text, waker: Waker) -> Self {
        Tab { name, session: None, user: None, wallet: Wallet::default(), waker }
    }

    /// Who the tab says it is.
    pub(super) fn client(&self) -> Client {
        Client::from_parts(self.name.clone(), self.session.clone(), self.user.clone())
    }

    pub(super) fn is_now(&mut self, client: &Client) {
        self.session = client.session().cloned();
        self.user = client.user().cloned();
    }
}
