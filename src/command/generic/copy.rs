//! COPY: copies a value to another key.

use crate::command::live;
use crate::dispatch::args::is_keyword;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::DATABASES;

pub(super) static SPEC: Spec = Spec {
    name: "copy",
    syntax: "source destination [DB destination-db] [REPLACE]",
    summary: "Copies the value with its expiry; answers 1 if so, 0 when the destination has a value.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(n) in the bytes of the value",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::range(1, 2, 1),
    examples: &[
        example("SET source value", "OK"),
        example("COPY source copy", "(integer) 1"),
        example("COPY source copy", "(integer) 0"),
        example("COPY source copy REPLACE", "(integer) 1"),
        example("COPY source source DB 1", "(integer) 1"),
        example("COPY source source", "(error) ERR source and destination objects are the same"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let from = (context.session.database, args.next_bytes()?);
    let mut to = (context.session.database, args.next_bytes()?);
    let mut replace = false;
    while let Some(word) = args.try_next() {
        if is_keyword(word, "replace") {
            replace = true;
        } else if is_keyword(word, "db") && args.left() > 0 {
            to.0 = database(args.next_integer()?)?;
        } else {
            return Err(CommandError::Syntax.into());
        }
    }
    if from == to {
        return Err(CommandError::other("source and destination objects are the same").into());
    }
    let (copied, _replaced) = live::edit_many(context, &[from, to], |slots| {
        // Not a word of this is written before it is known that all of it can be.
        let Some(content) = slots.slot(0).view().map(|view| view.copy()) else { return (false, None) };
        if !replace && slots.slot(1).is_present() {
            return (false, None);
        }
        (true, slots.slot(1).swap(content.0, content.1))
    })?;
    context.reply.integer(i64::from(copied));
    Ok(Outcome::Reply)
}

/// The database with this number.
fn database(number: i64) -> Result<u8, CommandError> {
    if i32::try_from(number).is_err() {
        return Err(CommandError::other(format!(
            "value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        )));
    }
    u8::try_from(number)
        .ok()
        .filter(|&number| usize::from(number) < DATABASES)
        .ok_or(CommandError::DatabaseIndex)
}
