//! Commands on keys of any type.

use crate::dispatch::Spec;

pub(super) static COMMANDS: &[&Spec] = &[];
