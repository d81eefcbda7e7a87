//! DEL: deletes keys.

use crate::command::live;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "del",
    syntax: "key [key ...]",
    summary: "Deletes the keys; answers how many had a value.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(n)",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE,
    keys: Keys::range(1, -1, 1),
    examples: &[example("MSET first 1 second 2", "OK"), example("DEL first second absent", "(integer) 2")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    remove_all(context, args)
}

/// Deletes every key that is named. The values are freed after the guards are gone.
pub(super) fn remove_all(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let keys = live::in_session(context, args.rest());
    let removed: Vec<_> = if let [(_, key)] = keys[..] {
        live::edit(context, key, |slot| slot.remove())?.into_iter().collect()
    } else {
        live::edit_many(context, &keys, |slots| {
            (0..keys.len()).filter_map(|position| slots.slot(position).remove()).collect()
        })?
    };
    context.reply.count(removed.len());
    Ok(Outcome::Reply)
}
