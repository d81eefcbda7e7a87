//! MEMORY USAGE: what a key weighs.

use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "memory|usage",
    syntax: "key [SAMPLES count]",
    summary: "Answers the bytes of a key with its value, without the allocator's own.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    keys: Keys::one(2),
    examples: &[
        example("MEMORY USAGE nothing", "(nil)"),
        example("MEMORY USAGE nothing SAMPLES", "(error) ERR syntax error"),
        example("MEMORY USAGE nothing SAMPLES -1", "(error) ERR syntax error"),
        example("MEMORY USAGE nothing SAMPLES few", "(error) ERR value is not an integer or out of range"),
        example("MEMORY USAGE nothing PARTS 1", "(error) ERR syntax error"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    while args.left() > 0 {
        // Values are weighed whole, so how many parts to sample makes no difference.
        if !args.take_keyword("samples") || args.left() == 0 {
            return Err(CommandError::Syntax.into());
        }
        if args.next_integer()? < 0 {
            return Err(CommandError::Syntax.into());
        }
    }
    let bytes =
        context.engine().peek(context.session.database, key, context.now, |view| view.memory_bytes())?;
    match bytes {
        Some(bytes) => context.reply.count(bytes),
        None => context.reply.null(),
    }
    Ok(Outcome::Reply)
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn a_longer_key_weighs_more() {
        let mut harness = Harness::new(crate::command::table());
        let mut weight = |key: &str| {
            harness.call(&format!("INCR {key}"));
            let reply = String::from_utf8(harness.call(&format!("MEMORY USAGE {key} SAMPLES 5"))).unwrap();
            reply.trim_start_matches(':').trim_end().parse::<usize>().unwrap()
        };
        let short = weight("short");
        assert!((64..=96).contains(&short), "{short}");
        assert!(weight(&"long".repeat(100)) >= short + 400);
    }
}
