//! RANDOMKEY: a key chosen at random.

use crate::command::live;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "randomkey",
    syntax: "",
    summary: "Answers a key of the database, chosen at random; null when it has none.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(1),
    flags: Flags::READONLY,
    keys: Keys::NONE,
    examples: &[example("RANDOMKEY", "(nil)"), example("SET only 1", "OK"), example("RANDOMKEY", "\"only\"")],
    subcommands: &[],
    run,
};

/// How many keys are tried before one is answered whose quota state has ended: such keys are swept in time.
const TRIES: usize = 100;

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let mut chosen = None;
    for _ in 0..TRIES {
        let random = context.scratch.random();
        chosen = context.engine().random_key(context.session.database, random, context.now);
        match &chosen {
            Some(key) if live::has_ended(context, key)? => {}
            _ => break,
        }
    }
    match chosen {
        Some(key) => context.reply.bulk(&key),
        None => context.reply.null(),
    }
    Ok(Outcome::Reply)
}
