//! SET: puts a string under a key.

use super::options::{Condition, Lifetime, SetOptions};
use super::shared::OldString;
use super::{old_string, reply_old};
use crate::command::live;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::value::{Content, Text};
use crate::engine::{Expiry, Slot};

pub(super) static SPEC: Spec = Spec {
    name: "set",
    syntax: "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    summary: "Puts the string under the key, whatever was there.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::one(1),
    examples: &[
        example("SET greeting hello", "OK"),
        example("SET greeting world NX GET", "\"hello\""),
        example("SET absent value XX", "(nil)"),
        example("SET lock token NX PX 30000", "OK"),
        example("PTTL lock", "(integer) 30000"),
        example("SET lock token EX 0", "(error) ERR invalid expire time in 'set' command"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let value = args.next_bytes()?;
    let options = SetOptions::read(args)?;
    let expiry = options.lifetime.expiry(context)?;
    let content = Content::string(value);
    let answer_old = options.answer_old;
    let result = live::edit(context, key, |slot| apply(slot, content, expiry, options))?;
    let (_replaced, old, done) = result?;
    if answer_old {
        context.count_lookup(old.is_some());
        reply_old(&mut context.reply, old.as_ref());
    } else if done {
        context.reply.ok();
    } else {
        context.reply.null();
    }
    Ok(Outcome::Reply)
}

/// The text that was replaced, which is freed after the guard is gone; the old value where it was asked for; whether the
/// value was set.
type Applied = (Option<Text>, Option<OldString>, bool);

fn apply(
    slot: &mut Slot<'_>,
    content: Content,
    expiry: Option<Expiry>,
    options: SetOptions<'_>,
) -> Result<Applied, CommandError> {
    let old = if options.answer_old { old_string(slot)? } else { None };
    let held_back = match options.condition {
        Condition::Always => false,
        Condition::IfAbsent => slot.is_present(),
        Condition::IfPresent => !slot.is_present(),
    };
    if held_back {
        return Ok((None, old, false));
    }
    let kept = match options.lifetime {
        Lifetime::Keep => slot.view().map(|view| view.expiry()),
        _ => None,
    };
    let replaced = slot.swap(content, expiry.or(kept).unwrap_or(Expiry::NEVER));
    Ok((replaced, old, true))
}
