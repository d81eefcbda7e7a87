//! CLIENT GETNAME: the name the connection gave itself.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "client|getname",
    syntax: "",
    summary: "Answers the name of this connection.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[
        example("CLIENT GETNAME", "(nil)"),
        example("CLIENT SETNAME worker-1", "OK"),
        example("CLIENT GETNAME", "\"worker-1\""),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let name = context.session.client.labels().name;
    if name.is_empty() {
        context.reply.null()
    } else {
        context.reply.text(&name)
    }
    Ok(Outcome::Reply)
}
