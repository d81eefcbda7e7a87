//! EXISTS: counts keys that exist.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::engine::View;

pub(super) static SPEC: Spec = Spec {
    name: "exists",
    syntax: "key [key ...]",
    summary: "Answers how many of the keys have a value; a key named twice counts twice.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(n)",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::range(1, -1, 1),
    examples: &[
        example("SET first 1", "OK"),
        example("EXISTS first absent", "(integer) 1"),
        example("EXISTS first first", "(integer) 2"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    count_present(context, args, false)
}

/// Answers how many of the keys have a value, all as of one point in time, and notes a use of them if `touch`.
pub(super) fn count_present(context: &mut Context<'_>, args: Args<'_>, touch: bool) -> Handled {
    let keys: Vec<&[u8]> = args.rest().collect();
    let mut present = 0;
    let (now, spans) = (context.now, &mut context.scratch.spans);
    let note = |_: usize, view: Option<View<'_>>| {
        present += usize::from(view.is_some_and(|view| !view.has_ended(now, spans)));
    };
    let engine = &context.ports.engine;
    if touch && !context.session.no_touch {
        engine.read_many(context.session.database, &keys, now, note)?;
    } else {
        engine.peek_many(context.session.database, &keys, now, note)?;
    }
    for position in 0..keys.len() {
        context.count_lookup(position < present);
    }
    context.reply.count(present);
    Ok(Outcome::Reply)
}
