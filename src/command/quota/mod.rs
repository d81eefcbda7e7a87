//! Commands on limits.

use crate::dispatch::Spec;

pub(super) static COMMANDS: &[&Spec] = &[];
