//! CLIENT PAUSE: stops the running of commands for a while.

use crate::clock::Timestamp;
use crate::dispatch::args::integer;
use crate::dispatch::args::is_keyword;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "client|pause",
    syntax: "timeout [WRITE | ALL]",
    summary: "Holds back the commands of all clients, or those that write, for so many milliseconds.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(3),
    flags: Flags::ADMIN
        .with(Flags::DANGEROUS)
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::NO_PAUSE),
    keys: Keys::NONE,
    examples: &[
        example("CLIENT PAUSE soon", "(error) ERR timeout is not an integer or out of range"),
        example("CLIENT PAUSE -1", "(error) ERR timeout is negative"),
        example("CLIENT PAUSE 1 READ", "(error) ERR CLIENT PAUSE mode must be WRITE or ALL"),
        example("CLIENT PAUSE 0", "OK"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let timeout_ms = integer(args.next_bytes()?)
        .map_err(|_| CommandError::other("timeout is not an integer or out of range"))?;
    let timeout_ms = u64::try_from(timeout_ms).map_err(|_| CommandError::other("timeout is negative"))?;
    let writes_only = match args.try_next() {
        None => false,
        Some(mode) if is_keyword(mode, "all") => false,
        Some(mode) if is_keyword(mode, "write") => true,
        Some(_) => return Err(CommandError::other("CLIENT PAUSE mode must be WRITE or ALL").into()),
    };
    if args.left() > 0 {
        return Err(CommandError::other(TOO_MANY).into());
    }
    let until = context.now.plus_micros(timeout_ms.saturating_mul(MICROS_PER_MILLISECOND));
    context.ports.clients.pause(until.min(Timestamp::MAX), writes_only);
    context.reply.ok();
    Ok(Outcome::Reply)
}

/// As Redis tells it.
const TOO_MANY: &str = "unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.";

const MICROS_PER_MILLISECOND: u64 = 1_000;

#[cfg(test)]
mod tests {
    use crate::dispatch::ports::Clients as _;
    use crate::dispatch::testing::{HARNESS_START, Harness};

    #[test]
    fn all_or_only_writes_until_unpaused() {
        let mut harness = Harness::new(crate::command::table());
        let until = HARNESS_START.plus_micros(100_000);
        assert_eq!(harness.call("CLIENT PAUSE 100 write"), b"+OK\r\n");
        assert!(harness.outside.paused_until(true) == until && harness.outside.paused_until(false) < until);
        assert_eq!(harness.call("PING"), b"+PONG\r\n");
        assert_eq!(harness.call("CLIENT PAUSE 100"), b"+OK\r\n");
        assert_eq!(harness.outside.paused_until(false), until);
        assert_eq!(harness.call("CLIENT UNPAUSE"), b"+OK\r\n", "an operator can end a pause of all commands");
        assert!(harness.outside.paused_until(true) < HARNESS_START);
        assert_eq!(harness.call("CLIENT PAUSE 9223372036854775807"), b"+OK\r\n");
    }
}
