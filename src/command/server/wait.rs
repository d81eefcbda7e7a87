//! WAIT: until copies have what was written.

use crate::dispatch::args::integer;
use crate::dispatch::ports::Copies;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "wait",
    syntax: "numreplicas timeout",
    summary: "Waits until so many copies have all earlier writes, at most so many milliseconds (0: as long as it takes).",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::BLOCKING.with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[
        example("WAIT 0 0", "(integer) 0"),
        example("WAIT -1 0", "(integer) 0"),
        example("WAIT 1 10", "(integer) 0"),
        example("WAIT one 0", "(error) ERR value is not an integer or out of range"),
        example("WAIT 1 soon", "(error) ERR timeout is not an integer or out of range"),
        example("WAIT 1 -1", "(error) ERR timeout is negative"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let replicas = args.next_integer()?;
    let timeout_ms = integer(args.next_bytes()?)
        .map_err(|_| CommandError::other("timeout is not an integer or out of range"))?;
    let timeout_ms = u64::try_from(timeout_ms).map_err(|_| CommandError::other("timeout is negative"))?;
    let Some(replicas) = u64::try_from(replicas).ok().filter(|&replicas| replicas > 0) else {
        context.reply.integer(0);
        return Ok(Outcome::Reply);
    };
    let waiting = context.ports.durability.wait(Copies { local: 0, replicas }, timeout_ms);
    let protocol = context.session.protocol;
    Ok(Outcome::Suspend(Box::pin(async move {
        let reached = waiting.await;
        let mut answer = Vec::new();
        ReplyWriter::new(&mut answer, protocol).amount(reached.replicas);
        answer
    })))
}
