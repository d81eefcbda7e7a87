//! Commands on the client's own connection.
//!
//! **Owns** the handshake and CLIENT. **Does not own** sockets, nor the list of connections.
//! **May use** `dispatch`, `engine`, `resp`.

mod auth;
mod client;
mod echo;
mod hello;
mod ping;
mod quit;
mod reset;
mod select;

pub(super) use auth::DEFAULT_USER;

use crate::dispatch::Spec;

pub(super) static COMMANDS: &[&Spec] = &[
    &auth::SPEC,
    &client::SPEC,
    &echo::SPEC,
    &hello::SPEC,
    &ping::SPEC,
    &quit::SPEC,
    &reset::SPEC,
    &select::SPEC,
];
