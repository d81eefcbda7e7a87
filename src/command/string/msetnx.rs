//! MSETNX: puts several strings under keys that are all absent.

use super::mset::{pairs, put_all};
use crate::command::live;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "msetnx",
    syntax: "key value [key value ...]",
    summary: "Puts each string under its key if none of the keys has a value; answers 1 if so, else 0.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(n)",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::range(1, -1, 2),
    examples: &[
        example("MSETNX first 1 second 2", "(integer) 1"),
        example("MSETNX second 3 third 4", "(integer) 0"),
        example("GET third", "(nil)"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let (keys, contents) = pairs(context, args)?;
    let keys = live::in_session(context, keys.into_iter());
    let set = live::edit_many(context, &keys, |slots| {
        let absent = (0..keys.len()).all(|position| !slots.slot(position).is_present());
        if absent {
            // Nothing large is freed here: a value is replaced only where the call names its key twice.
            put_all(slots, contents);
        }
        absent
    })?;
    context.reply.integer(i64::from(set));
    Ok(Outcome::Reply)
}
