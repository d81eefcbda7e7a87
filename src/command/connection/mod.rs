//! Commands on the client's own connection.

mod ping;

use crate::dispatch::Spec;

pub(super) static COMMANDS: &[&Spec] = &[&ping::SPEC];
