//! SETEX: puts a string under a key for some seconds.

use crate::command::expiry::Term;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::engine::value::Content;

pub(super) static SPEC: Spec = Spec {
    name: "setex",
    syntax: "key seconds value",
    summary: "Puts the string under the key; it ends after that many seconds.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::one(1),
    examples: &[
        example("SETEX session 60 token", "OK"),
        example("TTL session", "(integer) 60"),
        example("SETEX session 0 token", "(error) ERR invalid expire time in 'setex' command"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    set_for(context, args, Term::Seconds)
}

/// Sets the key for the time that the second argument tells, counted in `term`.
pub(super) fn set_for(context: &mut Context<'_>, mut args: Args<'_>, term: Term) -> Handled {
    let key = args.next_bytes()?;
    let number = args.next_integer()?;
    let expiry = term.positive(number, context.now, context.name())?;
    let content = Content::string(args.next_bytes()?);
    let _replaced = context.edit(key, |slot| slot.swap(content, expiry))?;
    context.reply.ok();
    Ok(Outcome::Reply)
}
