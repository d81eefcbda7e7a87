//! SUBSTR: the old name of GETRANGE.

use super::getrange::run;
use crate::dispatch::{Arity, Flags, Group, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "substr",
    syntax: "key start end",
    summary: "Answers the bytes from start to end, both included, as GETRANGE does.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(n)",
    arity: Arity::Exactly(4),
    flags: Flags::READONLY,
    keys: Keys::one(1),
    examples: &[example("SET greeting \"hello world\"", "OK"), example("SUBSTR greeting 0 4", "\"hello\"")],
    subcommands: &[],
    run,
};
