//! GETSET: puts a string under a key and answers the old one.

use super::{old_string, reply_old};
use crate::command::live;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::Expiry;
use crate::engine::value::Content;

pub(super) static SPEC: Spec = Spec {
    name: "getset",
    syntax: "key value",
    summary: "Puts the string under the key and answers the string that was there.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[example("GETSET state open", "(nil)"), example("GETSET state closed", "\"open\"")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let content = Content::string(args.next_bytes()?);
    let result = live::edit(context, key, |slot| {
        let old = old_string(slot)?;
        Ok::<_, CommandError>((slot.swap(content, Expiry::NEVER), old))
    })?;
    let (_replaced, old) = result?;
    context.count_lookup(old.is_some());
    reply_old(&mut context.reply, old.as_ref());
    Ok(Outcome::Reply)
}
