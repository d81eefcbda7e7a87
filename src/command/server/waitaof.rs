//! WAITAOF: until the disk and the truth have what was written.

use crate::dispatch::args::integer;
use crate::dispatch::ports::Copies;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "waitaof",
    syntax: "numlocal numreplicas timeout",
    summary: "Waits until this disk (numlocal 1) and the truth (numreplicas 1) have all earlier writes, at most so many milliseconds (0: as long as it takes); answers how many do.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(4),
    flags: Flags::BLOCKING.with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[
        example("WAITAOF 0 0 0", "1) (integer) 0\n2) (integer) 0"),
        example("WAITAOF 0 1 10", "1) (integer) 0\n2) (integer) 0"),
        example("WAITAOF 2 0 0", "(error) ERR value is out of range, must be between 0 and 1"),
        example(
            "WAITAOF 1 0 0",
            "(error) ERR WAITAOF cannot be used with numlocal 1 when there is no truth (--truth none): all data is in memory only",
        ),
        example("WAITAOF 0 0 soon", "(error) ERR timeout is not an integer or out of range"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let local = args.next_integer()?;
    let Some(local) = u64::try_from(local).ok().filter(|local| *local <= 1) else {
        return Err(CommandError::other("value is out of range, must be between 0 and 1").into());
    };
    let replicas = args.next_integer()?;
    let Ok(replicas) = u64::try_from(replicas) else {
        return Err(CommandError::other("value is out of range, must be positive").into());
    };
    let timeout_ms = integer(args.next_bytes()?)
        .map_err(|_| CommandError::other("timeout is not an integer or out of range"))?;
    let timeout_ms = u64::try_from(timeout_ms).map_err(|_| CommandError::other("timeout is negative"))?;
    let durability = &context.ports.durability;
    if local > durability.copies().local {
        return Err(CommandError::other(format!(
            "WAITAOF cannot be used with numlocal 1 when {}",
            crate::dispatch::ports::NO_TRUTH
        ))
        .into());
    }
    let waiting = durability.wait(Copies { local, replicas }, timeout_ms);
    let protocol = context.session.protocol;
    Ok(Outcome::Suspend(Box::pin(async move {
        let reached = waiting.await;
        let mut answer = Vec::new();
        let mut reply = ReplyWriter::new(&mut answer, protocol);
        reply.array(2);
        reply.amount(reached.local);
        reply.amount(reached.replicas);
        answer
    })))
}
