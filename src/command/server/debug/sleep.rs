//! DEBUG SLEEP: answers after a while.

use super::check_allowed;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::resp::ReplyWriter;
use std::sync::Arc;
use std::time::Duration;

pub(super) static SPEC: Spec = Spec {
    name: "debug|sleep",
    syntax: "seconds",
    summary: "Answers after so many seconds, which may have a fraction.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::ADMIN
        .with(Flags::DANGEROUS)
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::BLOCKING),
    keys: Keys::NONE,
    examples: &[example(
        "DEBUG SLEEP 0",
        "(error) ERR DEBUG command not allowed. It is allowed where the setting enable-debug-command is yes, which takes a new start.",
    )],
    subcommands: &[],
    run,
};

/// The longest sleep: a day. A test that waits longer is a mistake.
const MAX_SECONDS: f64 = 86_400.0;

/// Holds back this connection only; in Redis the whole server sleeps.
fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    check_allowed(context)?;
    let seconds = args.next_float()?;
    let out_of_range = || CommandError::other("seconds must be between 0 and 86400");
    if seconds > MAX_SECONDS {
        return Err(out_of_range().into());
    }
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| out_of_range())?;
    let micros = u64::try_from(duration.as_micros()).map_err(|_| out_of_range())?;
    let ports = Arc::clone(context.ports);
    let protocol = context.session.protocol;
    Ok(Outcome::Suspend(Box::pin(async move {
        ports.lifecycle.sleep(micros).await;
        let mut answer = Vec::new();
        ReplyWriter::new(&mut answer, protocol).ok();
        answer
    })))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::dispatch::testing::Harness;

    #[test]
    fn only_where_allowed() {
        let mut harness = Harness::new(crate::command::table());
        assert!(harness.call("DEBUG SLEEP 0").starts_with(b"-ERR DEBUG command not allowed. "));
        harness.outside.debug_allowed.store(true, Ordering::Relaxed);
        assert_eq!(harness.call("DEBUG SLEEP 0.001"), b"+OK\r\n");
        for bad in ["-1", "86401", "1e300", "inf"] {
            let reply = harness.call(&format!("DEBUG SLEEP {bad}"));
            assert_eq!(reply, b"-ERR seconds must be between 0 and 86400\r\n", "{bad}");
        }
        assert_eq!(harness.call("DEBUG SLEEP long"), b"-ERR value is not a valid float\r\n");
    }
}
