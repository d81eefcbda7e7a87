//! TIME: the time that decides.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "time",
    syntax: "",
    summary: "Answers the server's time: seconds since 1970, and microseconds.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(1),
    flags: Flags::FAST.with(Flags::LOADING),
    keys: Keys::NONE,
    examples: &[example("TIME", "1) \"1795176000\"\n2) \"0\"")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let (seconds, now) = (context.now.as_secs(), context.now.as_micros());
    context.reply.array(2);
    context.reply.text(itoa::Buffer::new().format(seconds));
    context.reply.text(itoa::Buffer::new().format(now % MICROS_PER_SECOND));
    Ok(Outcome::Reply)
}

const MICROS_PER_SECOND: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn seconds_and_microseconds() {
        let mut harness = Harness::new(crate::command::table());
        harness.clock.advance_micros(1_000_042);
        assert_eq!(harness.call("TIME"), b"*2\r\n$10\r\n1795176001\r\n$2\r\n42\r\n");
    }
}
