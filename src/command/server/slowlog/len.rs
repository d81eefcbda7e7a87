//! SLOWLOG LEN: how many slow commands are kept.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "slowlog|len",
    syntax: "",
    summary: "Answers the number of entries.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING),
    keys: Keys::NONE,
    examples: &[example("SLOWLOG LEN", "(integer) 0")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let entries = context.ports.slow_log.len();
    context.reply.count(entries);
    Ok(Outcome::Reply)
}
