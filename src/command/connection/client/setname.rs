//! CLIENT SETNAME: names the connection.

use super::label::checked;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "client|setname",
    syntax: "connection-name",
    summary: "Names this connection; an empty name takes the name away.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[
        example("CLIENT SETNAME worker-1", "OK"),
        example(
            "CLIENT SETNAME \"two words\"",
            "(error) ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        example("CLIENT GETNAME", "\"worker-1\""),
        example("CLIENT SETNAME \"\"", "OK"),
        example("CLIENT GETNAME", "(nil)"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let name = checked(args.next_bytes()?, "Client names")?;
    context.session.client.label(|labels| labels.name = name);
    context.reply.ok();
    Ok(Outcome::Reply)
}
