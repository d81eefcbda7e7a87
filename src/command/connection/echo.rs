//! ECHO: answers what it is given.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "echo",
    syntax: "message",
    summary: "Answers the message.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::FAST.with(Flags::LOADING),
    keys: Keys::NONE,
    examples: &[example("ECHO hello", "\"hello\"")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let message = args.next_bytes()?;
    context.reply.bulk(message);
    Ok(Outcome::Reply)
}
