//! The metrics, encoded at each scrape from the counters as they are.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::Admin;
use crate::metrics::{CommandSum, TAKE_KINDS};

/// Label names and values.
type Labels<'a> = [(&'a str, &'a str)];

/// The exponents of two of the latency borders, in nanoseconds: 1 us to 17 s, each four times the last. Finer ones would
/// multiply the series; LATENCY HISTOGRAM has them.
const BORDER_BITS: std::ops::RangeInclusive<u32> = 10..=34;
const BORDER_STEP: usize = 2;

/// All metrics in Prometheus's text format, version 0.0.4, which every collector of metrics reads.
///
/// # Errors
/// None that a string could cause; the encoder's signature has one.
pub(super) fn encode(admin: Arc<Admin>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("quotad");
    registry.register_collector(Box::new(Scrape(admin)));
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    Ok(text)
}

struct Scrape(Arc<Admin>);

impl fmt::Debug for Scrape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.process(&mut encoder)?;
        self.connections(&mut encoder)?;
        self.traffic(&mut encoder)?;
        self.keys(&mut encoder)?;
        self.takes(&mut encoder)?;
        self.commands(&mut encoder)?;
        self.truth(&mut encoder)
    }
}

impl Scrape {
    fn process(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let ports = &self.0.ports;
        let mut build =
            encoder.encode_descriptor("build_info", "The version that runs.", None, MetricType::Gauge)?;
        let labels: &Labels<'_> = &[("version", env!("CARGO_PKG_VERSION"))];
        build.encode_family(&labels)?.encode_gauge(&1_u64)?;
        let uptime = ports.clock.now().micros_since(ports.lifecycle.started_at());
        let help = "Time since the start.";
        let mut gauge = encoder.encode_descriptor("uptime", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        gauge.encode_gauge(&seconds(uptime.saturating_mul(1_000)))?;
        let loading = u64::from(ports.lifecycle.is_loading());
        gauge_of(encoder, "loading", "1 while data is loaded.", None, loading)?;
        let jumps = ports.metrics.server.clock_jumps.value();
        let help = "Times the wall clock was found over a second away from the server's time.";
        counter_of(encoder, "clock_jumps_total", help, jumps)
    }

    fn truth(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let ports = &self.0.ports;
        for figure in ports.durability.figures().into_iter().chain(ports.snapshots.figures()) {
            if figure.is_counter {
                counter_of(encoder, &format!("{}_total", figure.name), figure.help, figure.value)?;
            } else {
                gauge_of(encoder, figure.name, figure.help, None, figure.value)?;
            }
        }
        Ok(())
    }

    fn connections(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let server = &self.0.ports.metrics.server;
        let open = server.connections_open.value();
        gauge_of(encoder, "connections_open", "Connections that are open.", None, open)?;
        let received = server.connections_received.value();
        counter_of(encoder, "connections_received_total", "Connections that were accepted.", received)?;
        let rejected = server.connections_rejected.value();
        counter_of(encoder, "connections_rejected_total", "Connections refused over maxclients.", rejected)
    }

    fn traffic(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let metrics = &self.0.ports.metrics;
        let input = metrics.sum(|worker| worker.input_bytes.value());
        counter_of(encoder, "input_bytes_total", "Bytes read from clients.", input)?;
        let output = metrics.sum(|worker| worker.output_bytes.value());
        counter_of(encoder, "output_bytes_total", "Bytes written to clients.", output)?;
        let turns = metrics.sum(|worker| worker.turns.value());
        counter_of(encoder, "turns_total", "Reads that brought at least one request.", turns)?;
        let errors = metrics.sum(|worker| worker.protocol_errors.value());
        counter_of(encoder, "protocol_errors_total", "Requests that were no protocol.", errors)?;
        let unknown = metrics.sum(|worker| worker.unknown_commands.value());
        counter_of(encoder, "unknown_commands_total", "Calls of commands that do not exist.", unknown)
    }

    fn keys(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let (engine, metrics) = (&self.0.ports.engine, &self.0.ports.metrics);
        let report = engine.memory();
        let mut keys = encoder.encode_descriptor("keys", "Keys in memory.", None, MetricType::Gauge)?;
        for (database, &count) in report.keys.iter().enumerate() {
            let database = database.to_string();
            let labels: &Labels<'_> = &[("db", &database)];
            keys.encode_family(&labels)?.encode_gauge(&number(count))?;
        }
        let help = "Bytes of data, without the allocator's own.";
        gauge_of(encoder, "data", help, Some(&Unit::Bytes), report.used_bytes())?;
        let resident = (self.0.resident_bytes)();
        gauge_of(encoder, "resident_memory", "Bytes the process holds.", Some(&Unit::Bytes), resident)?;
        let limit = self.0.ports.settings.maxmemory_bytes();
        gauge_of(encoder, "maxmemory", "The limit on data; 0: none.", Some(&Unit::Bytes), limit)?;
        let evicted = metrics.server.evicted_keys.value();
        counter_of(encoder, "evicted_keys_total", "Keys that left memory to make room.", evicted)?;
        counter_of(encoder, "expired_keys_total", "Keys that ended by their expiry.", engine.expired_keys())?;
        let hits = metrics.sum(|worker| worker.keyspace_hits.value());
        counter_of(encoder, "keyspace_hits_total", "Look-ups that found a value.", hits)?;
        let misses = metrics.sum(|worker| worker.keyspace_misses.value());
        counter_of(encoder, "keyspace_misses_total", "Look-ups that found none.", misses)?;
        let help = "Time the background sweep has taken.";
        let mut sweep = encoder.encode_descriptor("sweep_seconds_total", help, None, MetricType::Counter)?;
        sweep.encode_gauge(&seconds(metrics.server.sweep_micros.value().saturating_mul(1_000)))
    }

    fn takes(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let metrics = &self.0.ports.metrics;
        let takes = |kind: usize| metrics.sum(|worker| worker.takes[kind].value());
        by_kind(encoder, "takes_total", "Takes, by the kind of the limit that decided.", takes)?;
        let denials = |kind: usize| metrics.sum(|worker| worker.denials[kind].value());
        by_kind(
            encoder,
            "denials_total",
            "Takes that were denied, by the kind of the limit that decided.",
            denials,
        )
    }

    /// One series for each command that was called; the table bounds how many there can be.
    fn commands(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let ports = &self.0.ports;
        let sums = ports
            .commands
            .all()
            .iter()
            .map(|command| (command.spec.name, ports.metrics.command(usize::from(command.number))));
        let used: Vec<_> = sums.filter(|(_, sum)| sum.calls + sum.rejected > 0).collect();
        by_command(encoder, &used, "commands_total", "Calls that ran.", |sum| sum.calls)?;
        let help = "Calls that ran and answered an error.";
        by_command(encoder, &used, "command_errors_total", help, |sum| sum.failed)?;
        let help = "Calls that were refused before they ran.";
        by_command(encoder, &used, "commands_rejected_total", help, |sum| sum.rejected)?;
        let help = "Time of calls. Calls of fast commands in one turn share its time equally.";
        let name = "command_duration";
        let mut all = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (name, sum) in &used {
            let labels: &Labels<'_> = &[("command", name)];
            let mut metric = all.encode_family(&labels)?;
            let buckets = buckets(sum);
            let calls = sum.latency.calls();
            metric.encode_histogram::<[(&str, &str); 0]>(seconds(sum.nanos), calls, &buckets, None)?;
        }
        Ok(())
    }
}

/// Calls between each border and the one below, the last without an upper border.
fn buckets(sum: &CommandSum) -> Vec<(f64, u64)> {
    let mut below = 0;
    let mut buckets = Vec::new();
    for bits in BORDER_BITS.step_by(BORDER_STEP) {
        let calls = sum.latency.calls_below(1 << bits);
        buckets.push((seconds(1 << bits), calls.saturating_sub(below)));
        below = calls;
    }
    buckets.push((f64::INFINITY, sum.latency.calls().saturating_sub(below)));
    buckets
}

fn by_kind(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    value: impl Fn(usize) -> u64,
) -> fmt::Result {
    let mut all = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (kind, name) in TAKE_KINDS.iter().enumerate() {
        let labels: &Labels<'_> = &[("kind", name)];
        all.encode_family(&labels)?.encode_gauge(&value(kind))?;
    }
    Ok(())
}

fn by_command(
    encoder: &mut DescriptorEncoder,
    used: &[(&str, CommandSum)],
    name: &str,
    help: &str,
    value: impl Fn(&CommandSum) -> u64,
) -> fmt::Result {
    let mut all = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (name, sum) in used {
        let labels: &Labels<'_> = &[("command", name)];
        all.encode_family(&labels)?.encode_gauge(&value(sum))?;
    }
    Ok(())
}

/// A counter without labels. Values of counters are written as gauges' are: the encoder knows only OpenMetrics, where a
/// counter's type stands under another name than its value, and would add the suffix once more.
fn counter_of(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Counter)?.encode_gauge(&value)
}

fn gauge_of(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: u64,
) -> fmt::Result {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Seconds for display: beyond 2^53 ns (104 days) the last nanoseconds are rounded.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers by their format")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
