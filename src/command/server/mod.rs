//! Commands on the server.

use crate::dispatch::Spec;

pub(super) static COMMANDS: &[&Spec] = &[];
