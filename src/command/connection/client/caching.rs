//! CLIENT CACHING: which keys to track, which needs tracking.

use crate::dispatch::{Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "client|caching",
    syntax: "YES | NO",
    summary: "Refuses: it is for clients with tracking on.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example(
        "CLIENT CACHING YES",
        "(error) ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
    )],
    subcommands: &[],
    run,
};

fn run(_context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    Err(CommandError::other(
        "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
    )
    .into())
}
