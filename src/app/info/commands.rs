//! INFO's sections on each command and each sort of error.

use super::Lines;
use crate::app::process::Process;
use crate::metrics::CommandSum;

pub(super) fn calls(process: &Process) -> Lines {
    let used = |sum: &CommandSum| sum.calls + sum.rejected > 0;
    lines(process, "cmdstat_", used, |sum| {
        let micros = sum.nanos / 1_000;
        format!(
            "calls={},usec={micros},usec_per_call={},rejected_calls={},failed_calls={}",
            sum.calls,
            micros_of(sum.nanos.checked_div(sum.calls).unwrap_or(0)),
            sum.rejected,
            sum.failed
        )
    })
}

pub(super) fn latencies(process: &Process) -> Lines {
    lines(
        process,
        "latency_percentiles_usec_",
        |sum| sum.latency.calls() > 0,
        |sum| {
            let micros = |share| micros_of(sum.latency.percentile_nanos(share));
            format!("p50={},p99={},p99.9={}", micros(500), micros(990), micros(999))
        },
    )
}

pub(super) fn errors(process: &Process) -> Lines {
    let errors = process.metrics.errors().into_iter();
    errors.map(|(code, count)| (format!("errorstat_{code}"), format!("count={count}"))).collect()
}

fn lines(
    process: &Process,
    prefix: &str,
    used: impl Fn(&CommandSum) -> bool,
    tell: impl Fn(&CommandSum) -> String,
) -> Lines {
    let sums = process
        .commands
        .all()
        .iter()
        .map(|command| (command.spec.name, process.metrics.command(usize::from(command.number))));
    sums.filter(|(_, sum)| used(sum)).map(|(name, sum)| (format!("{prefix}{name}"), tell(&sum))).collect()
}

/// Nanoseconds as microseconds with three digits, as Redis has them.
fn micros_of(nanos: u64) -> String {
    format!("{}.{:03}", nanos / 1_000, nanos % 1_000)
}
