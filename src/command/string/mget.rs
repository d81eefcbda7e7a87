//! MGET: the values of several strings.

use super::reply_old;
use super::shared::OldString;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::engine::View;

pub(super) static SPEC: Spec = Spec {
    name: "mget",
    syntax: "key [key ...]",
    summary: "Answers the strings under the keys, all as of one point in time; null for what is no string.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(n)",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::range(1, -1, 1),
    examples: &[
        example("MSET first 1 second 2", "OK"),
        example(
            "MGET first absent second",
            "1) \"1\"
2) (nil)
3) \"2\"",
        ),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let keys: Vec<&[u8]> = args.rest().collect();
    let mut found: Vec<Option<OldString>> = Vec::with_capacity(keys.len());
    let note = |_: usize, view: Option<View<'_>>| {
        found.push(view.and_then(|view| view.string()).map(OldString::from));
    };
    let engine = &context.ports.engine;
    if context.session.no_touch {
        engine.peek_many(context.session.database, &keys, context.now, note)?;
    } else {
        engine.read_many(context.session.database, &keys, context.now, note)?;
    }
    context.reply.array(found.len());
    for string in &found {
        context.count_lookup(string.is_some());
        reply_old(&mut context.reply, string.as_ref());
    }
    Ok(Outcome::Reply)
}
