//! DBSIZE: how many keys the database has.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "dbsize",
    syntax: "",
    summary: "Answers the number of keys, those that ended but were not swept yet included.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1): a sum over a fixed number of shards.",
    arity: Arity::Exactly(1),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::NONE,
    examples: &[example("DBSIZE", "(integer) 0"), example("SET a 1", "OK"), example("DBSIZE", "(integer) 1")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let keys = context.engine().len(context.session.database);
    context.reply.count(keys);
    Ok(Outcome::Reply)
}
