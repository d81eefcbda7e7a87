//! ACL WHOAMI: the user of the connection.

use crate::command::connection::DEFAULT_USER;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "acl|whoami",
    syntax: "",
    summary: "Answers the name of the connection's user.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("ACL WHOAMI", "\"default\"")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    context.reply.text(DEFAULT_USER);
    Ok(Outcome::Reply)
}
