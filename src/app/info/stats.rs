//! INFO's section on what has been counted.

use super::{Lines, line};
use crate::app::process::Process;
use crate::app::rates::Totals;

/// Bytes of a kibibyte, in which Redis tells rates.
const KIBIBYTE: u64 = 1_024;

pub(super) fn stats(process: &Process) -> Lines {
    let metrics = &process.metrics;
    let totals = Totals::of(metrics);
    let rates = process.rates.per_second();
    let kibibytes = |bytes: u64| format!("{}.{:02}", bytes / KIBIBYTE, bytes % KIBIBYTE * 100 / KIBIBYTE);
    let commands = |counted: fn(&crate::metrics::CommandMetrics) -> u64| {
        metrics.sum(|worker| worker.commands.iter().map(counted).sum())
    };
    let rejected = commands(|command| command.rejected.value());
    let failed = commands(|command| command.failed.value());
    let unknown = metrics.sum(|worker| worker.unknown_commands.value());
    let expired = process.engine.expired_keys();
    vec![
        line("total_connections_received", metrics.server.connections_received.value()),
        line("total_commands_processed", totals.commands),
        line("instantaneous_ops_per_sec", rates.commands),
        line("total_net_input_bytes", totals.input_bytes),
        line("total_net_output_bytes", totals.output_bytes),
        line("instantaneous_input_kbps", kibibytes(rates.input_bytes)),
        line("instantaneous_output_kbps", kibibytes(rates.output_bytes)),
        line("rejected_connections", metrics.server.connections_rejected.value()),
        line("expired_keys", expired),
        line("evicted_keys", metrics.server.evicted_keys.value()),
        line("keyspace_hits", metrics.sum(|worker| worker.keyspace_hits.value())),
        line("keyspace_misses", metrics.sum(|worker| worker.keyspace_misses.value())),
        line("total_error_replies", rejected + failed + unknown),
        line("protocol_errors", metrics.sum(|worker| worker.protocol_errors.value())),
        line("unknown_commands", unknown),
        line("total_turns", metrics.sum(|worker| worker.turns.value())),
        line("expire_cycle_cpu_milliseconds", metrics.server.sweep_micros.value() / 1_000),
        line("clock_jumps", metrics.server.clock_jumps.value()),
    ]
}
