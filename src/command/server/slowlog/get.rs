//! SLOWLOG GET: the newest slow commands.

use crate::dispatch::args::integer;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "slowlog|get",
    syntax: "[count]",
    summary: "Answers the newest slow commands, newest first; 10 of them if no count is given, all for -1.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of entries answered.",
    arity: Arity::AtLeast(2),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING),
    keys: Keys::NONE,
    examples: &[
        example("SLOWLOG GET", "(empty array)"),
        example("SLOWLOG GET -2", "(error) ERR count should be greater than or equal to -1"),
        example("SLOWLOG GET few", "(error) ERR count should be greater than or equal to -1"),
    ],
    subcommands: &[],
    run,
};

/// Entries that are answered when no number is asked for.
const DEFAULT_COUNT: usize = 10;

/// As Redis tells it.
const TOO_MANY: &str = "unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.";

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let count = match args.try_next() {
        None => DEFAULT_COUNT,
        Some(count) => read_count(count)?,
    };
    if args.left() > 0 {
        return Err(CommandError::other(TOO_MANY).into());
    }
    let entries = context.ports.slow_log.newest(count);
    context.reply.array(entries.len());
    for (number, entry) in &entries {
        let reply = &mut context.reply;
        reply.array(6);
        reply.amount(*number);
        reply.amount(entry.at.as_secs());
        reply.amount(entry.micros);
        reply.array(entry.words.len());
        entry.words.iter().for_each(|word| reply.bulk(word));
        reply.text(&entry.address);
        reply.text(&entry.client_name);
    }
    Ok(Outcome::Reply)
}

/// Reads a count; -1 means all.
fn read_count(word: &[u8]) -> Result<usize, CommandError> {
    let count = match integer(word) {
        Ok(-1) => Some(usize::MAX),
        Ok(count) => usize::try_from(count).ok(),
        Err(_) => None,
    };
    count.ok_or_else(|| CommandError::other("count should be greater than or equal to -1"))
}

#[cfg(test)]
mod tests {
    use crate::dispatch::ports::{SlowCommand, SlowLog as _};
    use crate::dispatch::testing::{HARNESS_START, Harness};

    #[test]
    fn entries() {
        let mut harness = Harness::new(crate::command::table());
        for number in 0..12 {
            harness.outside.add(SlowCommand {
                at: HARNESS_START,
                micros: 15_000 + number,
                words: vec![b"keys".to_vec(), b"*".to_vec()],
                address: "10.0.0.1:4000".into(),
                client_name: "me".into(),
            });
        }
        assert_eq!(harness.call("SLOWLOG LEN"), b":12\r\n");
        assert!(harness.call("SLOWLOG GET").starts_with(b"*10\r\n*6\r\n:11\r\n:1795176000\r\n:15011\r\n"));
        assert!(harness.call("SLOWLOG GET -1").starts_with(b"*12\r\n"));
        let last = b"*2\r\n$4\r\nkeys\r\n$1\r\n*\r\n$13\r\n10.0.0.1:4000\r\n$2\r\nme\r\n";
        assert!(harness.call("SLOWLOG GET 1").ends_with(last));
        assert_eq!(harness.call("SLOWLOG RESET"), b"+OK\r\n");
        assert_eq!(harness.call("SLOWLOG GET"), b"*0\r\n");
    }
}
