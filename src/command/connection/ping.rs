//! PING: answers, so that a client knows the connection lives.

use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "ping",
    syntax: "[message]",
    summary: "Answers PONG, or the message.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(1),
    flags: Flags::FAST.with(Flags::LOADING),
    keys: Keys::NONE,
    examples: &[example("PING", "PONG"), example("PING hello", "\"hello\"")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    if args.left() > 1 {
        return Err(CommandError::WrongArity(context.name().to_owned()).into());
    }
    match args.try_next() {
        Some(message) => context.reply.bulk(message),
        None => context.reply.simple("PONG"),
    }
    Ok(Outcome::Reply)
}
