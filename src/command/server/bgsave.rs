//! BGSAVE: asks for a snapshot.

use crate::dispatch::args::is_keyword;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "bgsave",
    syntax: "[SCHEDULE]",
    summary: "Begins a snapshot of everything; with SCHEDULE also behind one that is being written.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(1),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[
        example("BGSAVE", "(error) ERR there are no snapshots (--snapshots none)"),
        example("BGSAVE now", "(error) ERR syntax error"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let is_scheduled = args.rest().any(|word| is_keyword(word, "schedule"));
    if args.left() > usize::from(is_scheduled) {
        return Err(CommandError::Syntax.into());
    }
    let snapshots = &context.ports.snapshots;
    let is_running = snapshots.is_running();
    if is_running && !is_scheduled {
        return Err(CommandError::other("Background save already in progress").into());
    }
    snapshots.ask().map_err(CommandError::other)?;
    // The two texts of Redis.
    context.reply.simple(if is_running {
        "Background saving scheduled"
    } else {
        "Background saving started"
    });
    Ok(Outcome::Reply)
}
