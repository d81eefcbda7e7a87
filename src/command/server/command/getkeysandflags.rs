//! COMMAND GETKEYSANDFLAGS: where the keys of a call are.

use super::keys::{keys_of_call, write_access};
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "command|getkeysandflags",
    syntax: "command [argument ...]",
    summary: "Answers the keys in a whole call, each with what is done with it.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of arguments.",
    arity: Arity::AtLeast(4),
    flags: Flags::LOADING,
    keys: Keys::NONE,
    examples: &[example("COMMAND GETKEYSANDFLAGS nothing x", "(error) ERR Invalid command specified")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let (spec, keys) = keys_of_call(context, args)?;
    context.reply.array(keys.len());
    for key in keys {
        context.reply.array(2);
        context.reply.bulk(key);
        write_access(&mut context.reply, spec);
    }
    Ok(Outcome::Reply)
}
