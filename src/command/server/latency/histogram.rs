//! LATENCY HISTOGRAM: how many calls took how long.

use super::named;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::metrics::HistogramSum;
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "latency|histogram",
    syntax: "[command [command ...]]",
    summary: "Answers, for each command that was called, how many calls took at most so many microseconds.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of commands.",
    arity: Arity::AtLeast(2),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("LATENCY HISTOGRAM nothing", "(empty array)").resp3("(empty hash)")],
    subcommands: &[],
    run,
};

/// The borders of the buckets that are answered: 1,024 ns doubled so often, up to 17 s, as in Redis.
const BORDERS: u32 = 25;

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let metrics = &context.ports.metrics;
    let commands = named(&context.ports.commands, args.rest());
    let mut called = 0;
    let map = context.reply.deferred_map();
    for command in commands {
        let sum = metrics.command(usize::from(command.number));
        if sum.latency.calls() > 0 {
            called += 1;
            context.reply.text(command.spec.name);
            write(&mut context.reply, &sum.latency);
        }
    }
    context.reply.finish_map(map, called);
    Ok(Outcome::Reply)
}

/// Calls up to each border, added up; borders that add none are left out.
fn write(reply: &mut ReplyWriter<'_>, latency: &HistogramSum) {
    let mut steps = Vec::new();
    let mut before = 0;
    for nanos in (0..BORDERS).map(|doublings| FIRST_BORDER_NANOS << doublings) {
        let last = nanos == FIRST_BORDER_NANOS << (BORDERS - 1);
        let calls = if last { latency.calls() } else { latency.calls_below(nanos) };
        if calls > before {
            steps.push((nanos / 1_000, calls));
            before = calls;
        }
    }
    reply.map(2);
    reply.text("calls");
    reply.amount(latency.calls());
    reply.text("histogram_usec");
    reply.map(steps.len());
    for (micros, calls) in steps {
        reply.amount(micros);
        reply.amount(calls);
    }
}

const FIRST_BORDER_NANOS: u64 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::testing::Harness;
    use crate::metrics::Histogram;
    use crate::resp::Protocol;

    #[test]
    fn calls_add_up() {
        let histogram = Histogram::default();
        histogram.record(500, 3);
        histogram.record(3_000, 2);
        histogram.record(u64::MAX, 1);
        let mut sum = HistogramSum::default();
        histogram.add_to(&mut sum);
        let mut output = Vec::new();
        write(&mut ReplyWriter::new(&mut output, Protocol::Resp2), &sum);
        let expected = "*4\r\n$5\r\ncalls\r\n:6\r\n$14\r\nhistogram_usec\r\n*6\r\n:1\r\n:3\r\n:4\r\n:5\r\n:17179869\r\n:6\r\n";
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    #[test]
    fn which_commands() {
        let mut harness = Harness::new(crate::command::table());
        harness.call("PING");
        harness.call("CLIENT ID");
        let reply = |harness: &mut Harness, call: &str| String::from_utf8(harness.call(call)).unwrap();
        assert!(reply(&mut harness, "LATENCY HISTOGRAM").starts_with("*4\r\n"));
        assert!(reply(&mut harness, "LATENCY HISTOGRAM client").starts_with("*2\r\n$9\r\nclient|id\r\n"));
        assert!(
            reply(&mut harness, "LATENCY HISTOGRAM CLIENT|ID nothing")
                .starts_with("*2\r\n$9\r\nclient|id\r\n")
        );
        assert_eq!(reply(&mut harness, "LATENCY HISTOGRAM get nothing"), "*0\r\n");
        assert_eq!(reply(&mut harness, "LATENCY RESET client"), ":1\r\n");
        assert_eq!(reply(&mut harness, "LATENCY HISTOGRAM client"), "*0\r\n");
        assert!(reply(&mut harness, "LATENCY HISTOGRAM ping").starts_with("*2\r\n"));
    }
}
