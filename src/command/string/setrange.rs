//! SETRANGE: overwrites a part of a string.

use super::{MAX_STRING_BYTES, STRING_TOO_LONG};
use crate::command::live;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "setrange",
    syntax: "key offset value",
    summary: "Overwrites bytes from the offset on, filling up with zeros, and answers the length.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::one(1),
    examples: &[
        example("SET greeting \"hello world\"", "OK"),
        example("SETRANGE greeting 6 redis", "(integer) 11"),
        example("GET greeting", "\"hello redis\""),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let offset = args.next_integer()?;
    let value = args.next_bytes()?;
    let offset = u64::try_from(offset).map_err(|_| CommandError::other("offset is out of range"))?;
    let length = live::edit(context, key, |slot| {
        let length = match slot.view() {
            None => 0,
            Some(view) => view.string().ok_or(CommandError::WrongType)?.len(),
        };
        if value.is_empty() {
            return Ok(length);
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(value.len());
        if end > MAX_STRING_BYTES {
            return Err(CommandError::other(STRING_TOO_LONG));
        }
        slot.change_bytes(|bytes| {
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(value);
        });
        Ok(length.max(end))
    })?;
    context.reply.count(length?);
    Ok(Outcome::Reply)
}
