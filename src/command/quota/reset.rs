//! QUOTA.RESET: forgets what a subject has used.

use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::value::Kind;

pub(super) static SPEC: Spec = Spec {
    name: "quota.reset",
    syntax: "subject",
    summary: "Forgets what the subject has used of all its limits; answers 1 if there was anything, else 0.",
    group: Group::Quota,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example(
            "CL.THROTTLE user:7 0 1 60",
            "1) (integer) 0\n2) (integer) 1\n3) (integer) 0\n4) (integer) -1\n5) (integer) 60",
        ),
        example("QUOTA.RESET user:7", "(integer) 1"),
        example("QUOTA.RESET user:7", "(integer) 0"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let subject = args.next_bytes()?;
    let removed = context.edit(subject, |slot| match slot.view().map(|view| view.kind()) {
        None => Ok(None),
        Some(Kind::Quota | Kind::Throttle) => Ok(slot.remove()),
        Some(Kind::String) => Err(CommandError::WrongType),
    })?;
    let removed = removed?;
    // What it used may have ended by itself before: it is no longer among the denied all the same.
    context.forget_subjects(&[subject]);
    context.reply.integer(i64::from(removed.is_some()));
    Ok(Outcome::Reply)
}
