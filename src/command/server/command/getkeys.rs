//! COMMAND GETKEYS: where the keys of a call are.

use super::keys::keys_of_call;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "command|getkeys",
    syntax: "command [argument ...]",
    summary: "Answers the keys in a whole call.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of arguments.",
    arity: Arity::AtLeast(4),
    flags: Flags::LOADING,
    keys: Keys::NONE,
    examples: &[
        example("COMMAND GETKEYS GET a", "1) \"a\""),
        example("COMMAND GETKEYS MEMORY USAGE a", "1) \"a\""),
        example("COMMAND GETKEYS PING x", "(error) ERR The command has no key arguments"),
        example("COMMAND GETKEYS nothing x", "(error) ERR Invalid command specified"),
        example("COMMAND GETKEYS GET a b", "(error) ERR Invalid number of arguments specified for command"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let (_, keys) = keys_of_call(context, args)?;
    context.reply.array(keys.len());
    keys.iter().for_each(|key| context.reply.bulk(key));
    Ok(Outcome::Reply)
}
