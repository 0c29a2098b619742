//! Whom calls address: [`Identity`], and who stands behind a connection or a request: [`Client`].
//!
//! Both are plain values; that an identity exists does not mean that anybody matches it.

use std::fmt;

use crate::config::Limits;
use crate::error::NameError;
use crate::text::{Id, Text, quote};

/// An address that matches zero or more live connections.
///
/// # Examples
///
/// ```
/// use holocast::Identity;
///
/// let user = Identity::user(7);
/// assert_eq!(user.to_string(), "{:user, 7}");
/// assert_ne!(user, Identity::user("7"));
/// assert_ne!(user, Identity::session(7));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Identity {
    /// One browser tab; matches at most one connection.
    Instance(Text),
    /// One browser session; matches its tabs.
    Session(Id),
    /// One authenticated user; matches all tabs of all the user's sessions.
    User(Id),
}

impl Identity {
    /// The instance of this name.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::Identity::instance("tab-1").to_string(), "{:instance, \"tab-1\"}");
    /// ```
    pub fn instance(instance: impl Into<Text>) -> Self {
        Identity::Instance(instance.into())
    }

    /// The session of this id.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::Identity::session("s1").to_string(), "{:session, \"s1\"}");
    /// ```
    pub fn session(session: impl Into<Id>) -> Self {
        Identity::Session(session.into())
    }

    /// The user of this id.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::Identity::user(7).to_string(), "{:user, 7}");
    /// ```
    pub fn user(user: impl Into<Id>) -> Self {
        Identity::User(user.into())
    }

    /// Whether the id is within the limits of rule V3.
    ///
    /// # Errors
    ///
    /// [`NameError::TooLong`] for an id of more bytes than [`Limits::string_bytes`].
    ///
    /// # Examples
    ///
    /// ```
    /// use holocast::{Identity, Limits};
    ///
    /// assert!(Identity::user("ada").check(&Limits::default()).is_ok());
    /// assert!(Identity::user("a".repeat(1025)).check(&Limits::default()).is_err());
    /// ```
    pub fn check(&self, limits: &Limits) -> Result<(), NameError> {
        match self {
            Identity::Instance(instance) => limits.check_name("instance id", instance),
            Identity::Session(session) => limits.check_id("session id", session),
            Identity::User(user) => limits.check_id("user id", user),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Instance(instance) => {
                f.write_str("{:instance, ")?;
                quote(f, instance)?;
                f.write_str("}")
            }
            Identity::Session(session) => write!(f, "{{:session, {session}}}"),
            Identity::User(user) => write!(f, "{{:user, {user}}}"),
        }
    }
}

/// Who is on the other side of a connection or a request: the instance, its session and its user.
///
/// # Examples
///
/// ```
/// use holocast::Client;
///
/// let visitor = Client::new("tab-1").with_session("s1");
/// assert_eq!(visitor.user(), None);
/// let member = visitor.with_user(7);
/// assert_eq!(member.user(), Some(&7.into()));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    instance: Text,
    session: Option<Id>,
    user: Option<Id>,
}

impl Client {
    /// A client of this instance, without a session and anonymous.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = holocast::Client::new("tab-1");
    /// assert_eq!(client.session(), None);
    /// assert_eq!(client.user(), None);
    /// ```
    pub fn new(instance: impl Into<Text>) -> Self {
        Client { instance: instance.into(), session: None, user: None }
    }

    /// The client of these parts, as a request carries them.
    ///
    /// # Examples
    ///
    /// ```
    /// use holocast::{Client, Id};
    ///
    /// let client = Client::from_parts("tab-1", None, Some(Id::from(7)));
    /// assert_eq!(client, Client::new("tab-1").with_user(7));
    /// ```
    pub fn from_parts(instance: impl Into<Text>, session: Option<Id>, user: Option<Id>) -> Self {
        Client { instance: instance.into(), session, user }
    }

    /// The same client in this session.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = holocast::Client::new("tab-1").with_session("s1");
    /// assert_eq!(client.session(), Some(&"s1".into()));
    /// ```
    #[must_use]
    pub fn with_session(self, session: impl Into<Id>) -> Self {
        Client { session: Some(session.into()), ..self }
    }

    /// The same client, authenticated as this user.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = holocast::Client::new("tab-1").with_user(7);
    /// assert_eq!(client.user(), Some(&7.into()));
    /// ```
    #[must_use]
    pub fn with_user(self, user: impl Into<Id>) -> Self {
        Client { user: Some(user.into()), ..self }
    }

    /// The same client, anonymous: after a logout.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = holocast::Client::new("tab-1").with_user(7);
    /// assert_eq!(client.without_user(), holocast::Client::new("tab-1"));
    /// ```
    #[must_use]
    pub fn without_user(self) -> Self {
        Client { user: None, ..self }
    }

    /// The instance: one browser tab.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::Client::new("tab-1").instance(), "tab-1");
    /// ```
    pub fn instance(&self) -> &Text {
        &self.instance
    }

    /// The session, if the client has one.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::Client::new("tab-1").session(), None);
    /// ```
    pub fn session(&self) -> Option<&Id> {
        self.session.as_ref()
    }

    /// The user; nobody while the client is anonymous.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(holocast::Client::new("tab-1").user(), None);
    /// ```
    pub fn user(&self) -> Option<&Id> {
        self.user.as_ref()
    }

    /// Whether all three ids are within the limits of rule V3.
    ///
    /// # Errors
    ///
    /// [`NameError::TooLong`] for the first id of more bytes than [`Limits::string_bytes`].
    ///
    /// # Examples
    ///
    /// ```
    /// use holocast::{Client, Limits};
    ///
    /// assert!(Client::new("tab-1").check(&Limits::default()).is_ok());
    /// assert!(Client::new("t".repeat(1025)).check(&Limits::default()).is_err());
    /// ```
    pub fn check(&self, limits: &Limits) -> Result<(), NameError> {
        limits.check_name("instance id", &self.instance)?;
        if let Some(session) = &self.session {
            limits.check_id("session id", session)?;
        }
        if let Some(user) = &self.user {
            limits.check_id("user id", user)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v2_identities_of_different_kinds_or_types_differ() {
        let all = [
            Identity::instance("7"),
            Identity::session("7"),
            Identity::session(7),
            Identity::user("7"),
            Identity::user(7),
        ];
        for (i, left) in all.iter().enumerate() {
            for (j, right) in all.iter().enumerate() {
                assert_eq!(left == right, i == j, "{left} and {right}");
                assert_eq!(left.to_string() == right.to_string(), i == j, "{left} and {right}");
            }
        }
    }

    #[test]
    fn v3_an_id_at_the_limit_passes_and_one_beyond_is_named() {
        let limits = Limits { string_bytes: 4, ..Limits::default() };
        let fits = Client::new("aaaa").with_session("bbbb").with_user("cccc");
        assert_eq!(fits.check(&limits), Ok(()));
        let too_long = |what| Err(NameError::TooLong { what, bytes: 5, limit: 4 });
        assert_eq!(Client::new("aaaaa").check(&limits), too_long("instance id"));
        assert_eq!(fits.clone().with_session("bbbbb").check(&limits), too_long("session id"));
        assert_eq!(fits.clone().with_user("ccccc").check(&limits), too_long("user id"));
        assert_eq!(fits.with_user(i64::MIN).check(&limits), Ok(()));
        assert_eq!(Identity::instance("aaaaa").check(&limits), too_long("instance id"));
        assert_eq!(Identity::session("bbbbb").check(&limits), too_long("session id"));
        assert_eq!(Identity::user("ccccc").check(&limits), too_long("user id"));
    }
}
