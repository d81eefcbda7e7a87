//! DEBUG: for tests of servers and clients.
//!
//! **Owns** the refusal. **Does not own** what is switched. **May use** `dispatch`.

mod set_active_expire;
mod sleep;

use crate::dispatch::{CommandError, Context};

const REFUSED: &str = "DEBUG command not allowed. It is allowed where the setting enable-debug-command is yes, which takes a new start.";

/// Refuses unless `enable-debug-command` is set.
fn check_allowed(context: &Context<'_>) -> Result<(), CommandError> {
    if context.ports.settings.debug_allowed() { Ok(()) } else { Err(CommandError::other(REFUSED)) }
}

use crate::command::help;
use crate::dispatch::{Group, Spec};

pub(super) static SPEC: Spec = help::container(
    "debug",
    "A container for commands for tests.",
    Group::Server,
    &[&set_active_expire::SPEC, &sleep::SPEC, &HELP],
);

static HELP: Spec = help::help("debug|help", Group::Server);
