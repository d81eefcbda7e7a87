//! FLUSHALL: empties every database.

use super::flush::{free, read_mode};
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::engine::DATABASES;

pub(super) static SPEC: Spec = Spec {
    name: "flushall",
    syntax: "[ASYNC | SYNC]",
    summary: "Removes every key of every database.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1); memory is freed beside the commands that follow.",
    arity: Arity::AtLeast(1),
    flags: Flags::WRITE.with(Flags::DANGEROUS),
    keys: Keys::NONE,
    examples: &[
        example("SET a 1", "OK"),
        example("FLUSHALL ASYNC", "OK"),
        example("GET a", "(nil)"),
        example("FLUSHALL NOW", "(error) ERR syntax error"),
        example("FLUSHALL SYNC ASYNC", "(error) ERR syntax error"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    read_mode(args)?;
    free(context.engine().flush_all());
    (0..DATABASES)
        .filter_map(|database| u8::try_from(database).ok())
        .for_each(|database| context.forget_database(database));
    context.reply.ok();
    Ok(Outcome::Reply)
}
