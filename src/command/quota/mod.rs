//! Commands on limits.

mod cl_throttle;
mod gcra;
mod peek;
mod reset;
mod snapshot;
mod sync;
mod take;
mod top;
mod verdict;
mod verify;

use crate::dispatch::Spec;

pub(super) static COMMANDS: &[&Spec] = &[
    &take::SPEC,
    &peek::SPEC,
    &reset::SPEC,
    &top::SPEC,
    &sync::SPEC,
    &verify::SPEC,
    &snapshot::SPEC,
    &cl_throttle::SPEC,
    &gcra::SPEC,
];
