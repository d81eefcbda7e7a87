//! GETDEL: answers a string and deletes its key.

use super::reply_old;
use super::shared::of_content;
use crate::command::live;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "getdel",
    syntax: "key",
    summary: "Answers the string under the key and deletes the key.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("SET once token", "OK"),
        example("GETDEL once", "\"token\""),
        example("GETDEL once", "(nil)"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let taken = live::edit(context, key, |slot| {
        if slot.view().is_some_and(|view| view.string().is_none()) {
            return Err(CommandError::WrongType);
        }
        Ok(slot.remove())
    })?;
    let old = taken?.and_then(|(content, _)| of_content(content));
    context.count_lookup(old.is_some());
    reply_old(&mut context.reply, old.as_ref());
    Ok(Outcome::Reply)
}
