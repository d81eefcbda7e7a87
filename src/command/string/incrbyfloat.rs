//! INCRBYFLOAT: adds to a number with a fraction.

use super::extended::Extended;
use crate::command::live;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::value::Content;
use crate::engine::{Expiry, Slot};

pub(super) static SPEC: Spec = Spec {
    name: "incrbyfloat",
    syntax: "key increment",
    summary: "Adds to the number under the key and answers the sum, in decimal digits without an exponent.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("SET price 0.1", "OK"),
        example("INCRBYFLOAT price 0.2", "\"0.3\""),
        example("SET price 5.0e3", "OK"),
        example("INCRBYFLOAT price 2.0e2", "\"5200\""),
        example("INCRBYFLOAT price abc", "(error) ERR value is not a valid float"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let increment = Extended::parse(args.next_bytes()?);
    let result = live::edit(context, key, |slot| {
        let (current, expiry) = number_of(slot)?;
        let sum = current.plus(increment.ok_or(CommandError::NotAFloat)?);
        let text = sum.ok_or(CommandError::NotFinite)?.to_text();
        slot.put(Content::string(text.as_bytes()), expiry);
        Ok::<_, CommandError>(text)
    })?;
    context.reply.text(&result?);
    Ok(Outcome::Reply)
}

/// The number in the slot, 0 where there is none, and the expiry of its key.
///
/// # Errors
/// When the value is no string, or no number.
pub(super) fn number_of(slot: &Slot<'_>) -> Result<(Extended, Expiry), CommandError> {
    let Some(view) = slot.view() else { return Ok((Extended::ZERO, Expiry::NEVER)) };
    let string = view.string().ok_or(CommandError::WrongType)?;
    let number = string.with_bytes(Extended::parse).ok_or(CommandError::NotAFloat)?;
    Ok((number, view.expiry()))
}
