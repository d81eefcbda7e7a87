//! SETNX: puts a string under a key that is absent.

use crate::command::live;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::engine::Expiry;
use crate::engine::value::Content;

pub(super) static SPEC: Spec = Spec {
    name: "setnx",
    syntax: "key value",
    summary: "Puts the string under the key if there is no value; answers 1 if so, else 0.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("SETNX lock a", "(integer) 1"),
        example("SETNX lock b", "(integer) 0"),
        example("GET lock", "\"a\""),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let content = Content::string(args.next_bytes()?);
    let set = live::edit(context, key, |slot| {
        let absent = !slot.is_present();
        if absent {
            slot.put(content, Expiry::NEVER);
        }
        absent
    })?;
    context.reply.integer(i64::from(set));
    Ok(Outcome::Reply)
}
