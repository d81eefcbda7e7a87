//! RENAME: gives a value another key.

use crate::command::live;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, Stop, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "rename",
    syntax: "key newkey",
    summary: "Moves the value with its expiry to the other key, whatever was there.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE,
    keys: Keys::range(1, 2, 1),
    examples: &[
        example("SET old value", "OK"),
        example("RENAME old new", "OK"),
        example("GET new", "\"value\""),
        example("RENAME old new", "(error) ERR no such key"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    rename(context, args, true)?;
    context.reply.ok();
    Ok(Outcome::Reply)
}

/// Moves a value; `false` when the other key has one and `overwrite` is not set.
///
/// # Errors
/// [`CommandError::NoSuchKey`] when there is nothing to move.
pub(super) fn rename(context: &mut Context<'_>, args: Args<'_>, overwrite: bool) -> Result<bool, Stop> {
    let keys = live::in_session(context, args.rest());
    let same = keys[0] == keys[1];
    let result = live::edit_many(context, &keys, |slots| {
        if !slots.slot(0).is_present() {
            return Err(CommandError::NoSuchKey);
        }
        if same || (!overwrite && slots.slot(1).is_present()) {
            return Ok((same && overwrite, None));
        }
        let moved = slots.slot(0).remove().expect("its presence was just seen under the same guard");
        Ok((true, slots.slot(1).swap_moved(moved.0, moved.1)))
    })?;
    let (renamed, _replaced) = result?;
    Ok(renamed)
}
