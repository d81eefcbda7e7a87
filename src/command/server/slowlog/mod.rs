//! SLOWLOG: the commands that took long.
//!
//! **Owns** what these commands answer. **Does not own** the log. **May use** `dispatch`, `resp`.

mod get;
mod len;
mod reset;

use crate::command::help;
use crate::dispatch::{Group, Spec};

pub(super) static SPEC: Spec = help::container(
    "slowlog",
    "A container for commands on the log of slow commands.",
    Group::Server,
    &[&get::SPEC, &len::SPEC, &reset::SPEC, &HELP],
);

static HELP: Spec = help::help("slowlog|help", Group::Server);
