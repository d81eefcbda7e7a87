//! CLIENT REPLY: whether this connection wants replies.

use crate::dispatch::args::is_keyword;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, ReplyMode, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "client|reply",
    syntax: "ON | OFF | SKIP",
    summary: "Turns the replies to this connection on or off, or leaves out the next one.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("CLIENT REPLY ON", "OK"), example("CLIENT REPLY maybe", "(error) ERR syntax error")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let mode = args.next_bytes()?;
    let replies = &mut context.session.replies;
    if is_keyword(mode, "on") {
        *replies = ReplyMode::On;
    } else if is_keyword(mode, "off") {
        *replies = ReplyMode::Off;
    } else if !is_keyword(mode, "skip") {
        return Err(CommandError::Syntax.into());
    } else if *replies != ReplyMode::Off {
        *replies = ReplyMode::SkipNext;
    }
    // Unless replies are on now, whoever runs commands takes this one back.
    context.reply.ok();
    Ok(Outcome::Reply)
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn which_replies_are_sent() {
        let check = |lines: &[&str], expected: &str| {
            let mut harness = Harness::new(crate::command::table());
            let replies: Vec<u8> = lines.iter().flat_map(|line| harness.call(line)).collect();
            assert_eq!(String::from_utf8(replies).unwrap(), expected, "{lines:?}");
        };
        check(&["CLIENT REPLY ON", "PING"], "+OK\r\n+PONG\r\n");
        check(&["CLIENT REPLY OFF", "PING a", "nonsense", "CLIENT REPLY ON", "PING"], "+OK\r\n+PONG\r\n");
        check(&["CLIENT REPLY SKIP", "ECHO a", "PING"], "+PONG\r\n");
        check(&["CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "ECHO a", "PING"], "+PONG\r\n");
        check(&["CLIENT REPLY OFF", "CLIENT REPLY SKIP", "PING", "PING"], "");
    }
}
