//! GETEX: answers a string and changes when its key ends.

use super::options::Lifetime;
use super::{old_string, reply_old};
use crate::command::live;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::Expiry;

pub(super) static SPEC: Spec = Spec {
    name: "getex",
    syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
    summary: "Answers the string under the key and sets or removes its expiry.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("SET session token", "OK"),
        example("GETEX session EX 60", "\"token\""),
        example("TTL session", "(integer) 60"),
        example("GETEX session PERSIST", "\"token\""),
        example("TTL session", "(integer) -1"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let mut lifetime = Lifetime::Unnamed;
    while let Some(word) = args.try_next() {
        if !lifetime.read(word, ("persist", Lifetime::Persist), &mut args)? {
            return Err(CommandError::Syntax.into());
        }
    }
    // The expiry's number counts only where there is a string, as in Redis: its error is kept until that is known.
    let expiry = lifetime.expiry(context);
    let result = live::edit(context, key, |slot| {
        let Some(old) = old_string(slot)? else { return Ok(None) };
        match expiry? {
            Some(expiry) => {
                slot.set_expiry(expiry);
            }
            None if lifetime == Lifetime::Persist => {
                slot.set_expiry(Expiry::NEVER);
            }
            None => {}
        }
        Ok::<_, CommandError>(Some(old))
    })?;
    let old = result?;
    context.count_lookup(old.is_some());
    reply_old(&mut context.reply, old.as_ref());
    Ok(Outcome::Reply)
}
