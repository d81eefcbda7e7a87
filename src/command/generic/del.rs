//! DEL: deletes keys.

use crate::command::live;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::engine::Expiry;
use crate::engine::value::{Content, Kind};

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

/// Deletes every key that is named. The values are freed after the guards are gone. Quotas among them are forgotten in the counts of
/// QUOTA.TOP, those too that had ended by themselves.
pub(super) fn remove_all(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let keys = live::in_session(context, args.rest());
    let removed: Vec<Option<(Content, Expiry)>> = if let [(_, key)] = keys[..] {
        vec![live::edit(context, key, |slot| slot.remove())?]
    } else {
        live::edit_many(context, &keys, |slots| {
            (0..keys.len()).map(|position| slots.slot(position).remove()).collect()
        })?
    };
    let is_string = |removed: &Option<(Content, Expiry)>| {
        removed.as_ref().is_some_and(|(content, _)| content.kind() == Kind::String)
    };
    let others = keys.iter().zip(&removed).filter(|(_, removed)| !is_string(removed));
    let subjects: Vec<&[u8]> = others.map(|((_, key), _)| *key).collect();
    if !subjects.is_empty() {
        context.forget_subjects(&subjects);
    }
    context.reply.count(removed.iter().flatten().count());
    Ok(Outcome::Reply)
}
