//! Commands on limits.

mod cl_throttle;
mod gcra;
mod peek;
mod reset;
mod take;
mod top;
mod verdict;

use crate::dispatch::Spec;

pub(super) static COMMANDS: &[&Spec] =
    &[&take::SPEC, &peek::SPEC, &reset::SPEC, &top::SPEC, &cl_throttle::SPEC, &gcra::SPEC];
