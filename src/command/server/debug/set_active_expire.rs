//! DEBUG SET-ACTIVE-EXPIRE: the background sweep on or off.

use super::check_allowed;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "debug|set-active-expire",
    syntax: "0 | 1",
    summary: "Turns the background removal of keys that have ended off or on.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example(
        "DEBUG SET-ACTIVE-EXPIRE 0",
        "(error) ERR DEBUG command not allowed. It is allowed where the setting enable-debug-command is yes, which takes a new start.",
    )],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    check_allowed(context)?;
    let on = match args.next_bytes()? {
        b"0" => false,
        b"1" => true,
        _ => return Err(CommandError::other("SET-ACTIVE-EXPIRE takes 0 or 1").into()),
    };
    context.ports.lifecycle.set_active_expire(on);
    context.reply.ok();
    Ok(Outcome::Reply)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::dispatch::testing::Harness;

    #[test]
    fn switches() {
        let mut harness = Harness::new(crate::command::table());
        harness.outside.debug_allowed.store(true, Ordering::Relaxed);
        for (word, on) in [("1", true), ("0", false)] {
            assert_eq!(harness.call(&format!("DEBUG SET-ACTIVE-EXPIRE {word}")), b"+OK\r\n");
            assert_eq!(harness.outside.active_expire.load(Ordering::Relaxed), on);
        }
        assert!(harness.call("DEBUG SET-ACTIVE-EXPIRE yes").starts_with(b"-ERR SET-ACTIVE-EXPIRE takes"));
        harness.outside.debug_allowed.store(false, Ordering::Relaxed);
        assert!(harness.call("DEBUG SET-ACTIVE-EXPIRE 1").starts_with(b"-ERR DEBUG command not allowed. "));
        assert!(!harness.outside.active_expire.load(Ordering::Relaxed));
    }
}
