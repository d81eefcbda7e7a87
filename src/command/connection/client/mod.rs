//! CLIENT: what clients know of themselves and of each other.
//!
//! **Owns** the texts of CLIENT LIST and the filters of CLIENT KILL. **Does not own** the list of connections.
//! **May use** `dispatch`, `resp`.

mod caching;
mod getname;
mod getredir;
mod id;
mod info;
mod kill;
mod kind;
pub(super) mod label;
mod line;
mod list;
mod no_evict;
mod no_touch;
mod pause;
mod reply;
mod setinfo;
mod setname;
mod tracking;
mod trackinginfo;
mod unpause;

use crate::command::help;
use crate::dispatch::args::is_keyword;
use crate::dispatch::{CommandError, Group, Spec};

pub(super) static SPEC: Spec = help::container(
    "client",
    "A container for commands on connections.",
    Group::Connection,
    &[
        &caching::SPEC,
        &getname::SPEC,
        &getredir::SPEC,
        &id::SPEC,
        &info::SPEC,
        &kill::SPEC,
        &list::SPEC,
        &no_evict::SPEC,
        &no_touch::SPEC,
        &pause::SPEC,
        &reply::SPEC,
        &setinfo::SPEC,
        &setname::SPEC,
        &tracking::SPEC,
        &trackinginfo::SPEC,
        &unpause::SPEC,
        &HELP,
    ],
);

static HELP: Spec = help::help("client|help", Group::Connection);

/// Reads ON or OFF.
fn on_or_off(word: &[u8]) -> Result<bool, CommandError> {
    match word {
        _ if is_keyword(word, "on") => Ok(true),
        _ if is_keyword(word, "off") => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}
