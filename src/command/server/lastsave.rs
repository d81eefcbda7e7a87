//! LASTSAVE: when the last snapshot was.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec};

pub(super) static SPEC: Spec = Spec {
    name: "lastsave",
    syntax: "",
    summary: "Answers, in seconds since 1970, the time that the last snapshot shows; before the first one, that of the start.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::FAST).with(Flags::LOADING),
    keys: Keys::NONE,
    examples: &[],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let ports = context.ports;
    let at = ports.snapshots.last_at().unwrap_or_else(|| ports.lifecycle.started_at());
    context.reply.amount(at.as_secs());
    Ok(Outcome::Reply)
}
