//! MSET: puts several strings under their keys.

use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::value::{Content, Text};
use crate::engine::{Expiry, Slots};

pub(super) static SPEC: Spec = Spec {
    name: "mset",
    syntax: "key value [key value ...]",
    summary: "Puts each string under its key; others see all of them or none.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(n)",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::range(1, -1, 2),
    examples: &[
        example("MSET first 1 second 2", "OK"),
        example("GET second", "\"2\""),
        example("MSET first 1 second", "(error) ERR wrong number of arguments for 'mset' command"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let (keys, contents) = pairs(context, args)?;
    let _replaced = context.edit_many(&keys, |slots| put_all(slots, contents))?;
    context.reply.ok();
    Ok(Outcome::Reply)
}

/// The keys and values of a call.
pub(super) fn pairs<'a>(
    context: &Context<'_>,
    mut args: Args<'a>,
) -> Result<(Vec<&'a [u8]>, Vec<Content>), CommandError> {
    if !args.left().is_multiple_of(2) {
        return Err(CommandError::WrongArity(context.name().to_owned()));
    }
    let mut keys = Vec::with_capacity(args.left() / 2);
    let mut contents = Vec::with_capacity(args.left() / 2);
    while let (Some(key), Some(value)) = (args.try_next(), args.try_next()) {
        keys.push(key);
        contents.push(Content::string(value));
    }
    Ok((keys, contents))
}

/// Puts each value into its slot; answers the texts that were there, to be freed after the guards are gone.
pub(super) fn put_all(slots: &mut Slots<'_>, contents: Vec<Content>) -> Vec<Text> {
    let mut replaced = Vec::new();
    for (position, content) in contents.into_iter().enumerate() {
        replaced.extend(slots.slot(position).swap(content, Expiry::NEVER));
    }
    replaced
}
