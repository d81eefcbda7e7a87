//! The commands: one file each, with its one `SPEC` and its handler.
//!
//! **Owns** what each command reads, does and answers. **Does not own** state, sockets, checks that hold for all commands.
//! **May use** `dispatch`, `engine`, `quota`, `resp`.
//!
//! A new command is a file in its group's folder and a line in the group's table.

mod connection;
mod expiry;
mod generic;
pub mod glob;
mod help;
mod live;
mod quota;
mod server;
mod string;

use crate::dispatch::{CommandTable, Spec};

/// The version of Redis whose commands these are: what HELLO and INFO tell clients that look for features by version.
pub const REDIS_VERSION: &str = "7.0.15";

/// Every command there is.
#[must_use]
pub fn table() -> CommandTable {
    let groups: [&[&'static Spec]; 5] =
        [quota::COMMANDS, string::COMMANDS, generic::COMMANDS, connection::COMMANDS, server::COMMANDS];
    CommandTable::new(&groups.concat())
}
