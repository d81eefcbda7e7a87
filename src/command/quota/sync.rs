//! QUOTA.SYNC: until the truth has the change that a verdict's number stands for.

use crate::dispatch::ports::Synced;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "quota.sync",
    syntax: "seq [TIMEOUT milliseconds]",
    summary: "Waits until the truth has the take that answered this seq: DURABLE; LOST if a crash came before; REFUSED if it refuses a row of that batch; PENDING when the time is over.",
    group: Group::Quota,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(2),
    flags: Flags::BLOCKING.with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[
        example("QUOTA.SYNC 1", "(error) ERR there is no truth (--truth none): all data is in memory only"),
        example("QUOTA.SYNC first", "(error) ERR value is not an integer or out of range"),
        example("QUOTA.SYNC 1 TIMEOUT soon", "(error) ERR timeout is not an integer or out of range"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let token = u64::try_from(args.next_integer()?)
        .map_err(|_| CommandError::other("a seq is a number that QUOTA.TAKE has answered"))?;
    let mut timeout_ms = 0;
    if args.take_keyword("timeout") {
        timeout_ms = crate::dispatch::args::integer(args.next_bytes()?)
            .ok()
            .and_then(|millis| u64::try_from(millis).ok())
            .ok_or_else(|| CommandError::other("timeout is not an integer or out of range"))?;
    }
    args.finish()?;
    let syncing = context.ports.durability.sync(token, timeout_ms);
    let protocol = context.session.protocol;
    Ok(Outcome::Later(Box::pin(async move {
        let synced = syncing.await;
        let mut answer = Vec::new();
        let mut reply = ReplyWriter::new(&mut answer, protocol);
        match synced {
            Ok(Synced::Durable) => reply.simple("DURABLE"),
            Ok(Synced::Lost) => reply.simple("LOST"),
            Ok(Synced::Pending) => reply.simple("PENDING"),
            Ok(Synced::Refused) => reply.simple("REFUSED"),
            Err(text) => reply.error(&format!("ERR {text}")),
        }
        answer
    })))
}
