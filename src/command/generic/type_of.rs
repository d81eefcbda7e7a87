//! TYPE: the type of a value.

use crate::command::live;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::engine::value::Kind;

pub(super) static SPEC: Spec = Spec {
    name: "type",
    syntax: "key",
    summary: "Answers string, throttle or quota; none where there is no value.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("SET greeting hello", "OK"),
        example("TYPE greeting", "string"),
        example("TYPE absent", "none"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let kind = live::peek(context, key, |view, _| view.kind())?;
    context.reply.simple(kind.map_or("none", Kind::name));
    Ok(Outcome::Reply)
}
