//! FLUSHDB: empties the selected database.

use super::flush::{free, read_mode};
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "flushdb",
    syntax: "[ASYNC | SYNC]",
    summary: "Removes every key of the selected database.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1); memory is freed beside the commands that follow.",
    arity: Arity::AtLeast(1),
    flags: Flags::WRITE.with(Flags::DANGEROUS),
    keys: Keys::NONE,
    examples: &[
        example("SET a 1", "OK"),
        example("FLUSHDB ASYNC", "OK"),
        example("GET a", "(nil)"),
        example("FLUSHDB NOW", "(error) ERR syntax error"),
        example("FLUSHDB SYNC ASYNC", "(error) ERR syntax error"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    read_mode(args)?;
    free(context.engine().flush(context.session.database));
    context.forget_database(context.session.database);
    context.reply.ok();
    Ok(Outcome::Reply)
}
