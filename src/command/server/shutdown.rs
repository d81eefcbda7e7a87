//! SHUTDOWN: ends the server in order.

use crate::dispatch::args::is_keyword;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "shutdown",
    syntax: "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
    summary: "Finishes running turns, answers, closes every connection, writes what is not durable yet and a last snapshot, also with NOSAVE, and ends the server.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(1),
    flags: Flags::ADMIN
        .with(Flags::DANGEROUS)
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::NO_PAUSE),
    keys: Keys::NONE,
    examples: &[example("SHUTDOWN ABORT", "(error) ERR No shutdown in progress.")],
    subcommands: &[],
    run,
};

/// NOSAVE, SAVE, NOW and FORCE are read and change nothing: the end waits for nothing that they could spare.
fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let has = |keyword| args.rest().any(|word| is_keyword(word, keyword));
    let known =
        |word| ["nosave", "save", "now", "force", "abort"].iter().any(|known| is_keyword(word, known));
    if !args.rest().all(known) || (has("save") && has("nosave")) || (has("abort") && args.left() > 1) {
        return Err(CommandError::Syntax.into());
    }
    if has("abort") {
        return Err(CommandError::other("No shutdown in progress.").into());
    }
    tracing::warn!(client = %context.session.client.address, "a client asked to shut down");
    context.ports.lifecycle.shut_down();
    context.session.close = true;
    // As in Redis, there is no reply: clients take the closed connection for it.
    Ok(Outcome::Suspend(Box::pin(std::future::ready(Vec::new()))))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::dispatch::testing::Harness;

    #[test]
    fn ends_without_a_reply() {
        for call in ["SHUTDOWN", "SHUTDOWN nosave now FORCE", "SHUTDOWN SAVE"] {
            let mut harness = Harness::new(crate::command::table());
            assert_eq!(harness.call(call), b"", "{call}");
            assert!(harness.outside.shut_down.load(Ordering::Relaxed) && harness.session.close, "{call}");
        }
    }

    #[test]
    fn refusals_end_nothing() {
        let mut harness = Harness::new(crate::command::table());
        for call in ["SHUTDOWN later", "SHUTDOWN SAVE NOSAVE", "SHUTDOWN ABORT NOW"] {
            assert_eq!(harness.call(call), b"-ERR syntax error\r\n", "{call}");
        }
        assert_eq!(harness.call("SHUTDOWN ABORT"), b"-ERR No shutdown in progress.\r\n");
        assert!(!harness.outside.shut_down.load(Ordering::Relaxed) && !harness.session.close);
    }
}
