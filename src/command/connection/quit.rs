//! QUIT: ends the connection, after its reply.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "quit",
    syntax: "",
    summary: "Closes the connection.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(1),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_AUTH).with(Flags::NO_SCRIPT).with(Flags::NO_PAUSE),
    keys: Keys::NONE,
    examples: &[example("QUIT", "OK")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    context.session.close = true;
    context.reply.ok();
    Ok(Outcome::Reply)
}
