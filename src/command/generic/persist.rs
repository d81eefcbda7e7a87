//! PERSIST: takes the expiry off a key.

use super::set_expiry::expiry_of;
use crate::command::live;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::Expiry;

pub(super) static SPEC: Spec = Spec {
    name: "persist",
    syntax: "key",
    summary: "Removes the expiry of the key; answers 1 if there was one, else 0.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("SET session token EX 60", "OK"),
        example("PERSIST session", "(integer) 1"),
        example("TTL session", "(integer) -1"),
        example("PERSIST session", "(integer) 0"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let removed = live::edit(context, key, |slot| match expiry_of(slot)? {
        None | Some(Expiry::NEVER) => Ok::<_, CommandError>(false),
        Some(_) => Ok(slot.set_expiry(Expiry::NEVER)),
    })?;
    context.reply.integer(i64::from(removed?));
    Ok(Outcome::Reply)
}
