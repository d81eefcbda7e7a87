//! ROLE: what this server is to others.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "role",
    syntax: "",
    summary: "Answers that this is a master without replicas.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(1),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example(
        "ROLE",
        "1) \"master\"
2) (integer) 0
3) (empty array)",
    )],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    context.reply.array(3);
    context.reply.text("master");
    context.reply.integer(0);
    context.reply.array(0);
    Ok(Outcome::Reply)
}
