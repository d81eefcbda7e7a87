//! COMMAND COUNT: how many commands there are.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "command|count",
    syntax: "",
    summary: "Answers the number of commands, subcommands not counted.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING,
    keys: Keys::NONE,
    examples: &[example(
        "COMMAND COUNT now",
        "(error) ERR wrong number of arguments for 'command|count' command",
    )],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let commands = context.ports.commands.top_level().count();
    context.reply.count(commands);
    Ok(Outcome::Reply)
}
