//! The guide: what a server does with the engine, chapter by chapter. Documentation only; every snippet is compiled, and runs where it can.
//!
//! 1. [`connections`]: who is who: tabs, sessions, users; connect, reconnect, login, logout, the end.
//! 2. [`channels`]: what one can listen to, and which parts of a page do.
//! 3. [`authorization`]: granting, taking away, and why what was taken away stays away.
//! 4. [`backpressure`]: what a slow receiver costs, and whom.
//! 5. [`delivery`]: what arrives, in which order, and what may be lost.
//! 6. [`integration`]: the loop between a connection and a socket, in axum, actix, hyper, or none of them.
//! 7. [`million`]: file descriptors, memory and threads for a million connections.
//! 8. [`limits`]: the bounds, and what was traded for what.
//! 9. [`not_for`]: when something else serves you better.

#[doc = include_str!("../guide/connections.md")]
pub mod connections {}

#[doc = include_str!("../guide/channels.md")]
pub mod channels {}

#[doc = include_str!("../guide/authorization.md")]
pub mod authorization {}

#[doc = include_str!("../guide/backpressure.md")]
pub mod backpressure {}

#[doc = include_str!("../guide/delivery.md")]
pub mod delivery {}

#[doc = include_str!("../guide/integration.md")]
pub mod integration {}

#[doc = include_str!("../guide/million.md")]
pub mod million {}

#[doc = include_str!("../guide/limits.md")]
pub mod limits {}

#[doc = include_str!("../guide/not_for.md")]
pub mod not_for {}
