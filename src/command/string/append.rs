//! APPEND: adds bytes to the end of a string.

use super::{MAX_STRING_BYTES, STRING_TOO_LONG};
use crate::command::live;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::Expiry;
use crate::engine::value::Content;

pub(super) static SPEC: Spec = Spec {
    name: "append",
    syntax: "key value",
    summary: "Adds the bytes to the end of the string under the key and answers its new length.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("APPEND log one", "(integer) 3"),
        example("APPEND log ,two", "(integer) 7"),
        example("GET log", "\"one,two\""),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let value = args.next_bytes()?;
    let length = live::edit(context, key, |slot| {
        let length = match slot.view() {
            None => {
                slot.put(Content::string(value), Expiry::NEVER);
                return Ok(value.len());
            }
            Some(view) => view.string().ok_or(CommandError::WrongType)?.len(),
        };
        if length.saturating_add(value.len()) > MAX_STRING_BYTES {
            return Err(CommandError::other(STRING_TOO_LONG));
        }
        slot.change_bytes(|bytes| bytes.extend_from_slice(value));
        Ok(length + value.len())
    })?;
    context.reply.count(length?);
    Ok(Outcome::Reply)
}
