//! CONFIG: settings, read and changed while the server runs.
//!
//! **Owns** what these commands read and answer. **Does not own** the settings. **May use** `dispatch`, `resp`.

mod get;
mod resetstat;
mod rewrite;
mod set;

use crate::command::help;
use crate::dispatch::{Group, Spec};

pub(super) static SPEC: Spec = help::container(
    "config",
    "A container for commands on settings.",
    Group::Server,
    &[&get::SPEC, &resetstat::SPEC, &rewrite::SPEC, &set::SPEC, &HELP],
);

static HELP: Spec = help::help("config|help", Group::Server);
