//! INFO's sections on the process and its clients.

use super::{Lines, line};
use crate::app::machine;
use crate::app::process::Process;
use crate::command::REDIS_VERSION;
use crate::dispatch::ports::Lifecycle;

/// Seconds of a day, for `uptime_in_days`.
const DAY_SECS: u64 = 86_400;

pub(super) fn server(process: &Process) -> Lines {
    let now = process.clock.now();
    let uptime_secs = now.micros_since(process.started_at()) / 1_000_000;
    let config = process.settings.config();
    let config_file = config.config.as_ref().map_or_else(String::new, |path| path.display().to_string());
    vec![
        line("redis_version", REDIS_VERSION),
        line("quotad_version", env!("CARGO_PKG_VERSION")),
        line("redis_mode", "standalone"),
        line("os", machine::system()),
        line("arch_bits", usize::BITS),
        line("multiplexing_api", "epoll"),
        line("process_id", std::process::id()),
        line("run_id", &process.run_id),
        line("tcp_port", process.settings.bound().port),
        line("server_time_usec", now.as_micros()),
        line("uptime_in_seconds", uptime_secs),
        line("uptime_in_days", uptime_secs / DAY_SECS),
        line("executable", machine::executable()),
        line("config_file", config_file),
        line("threads", process.threads),
    ]
}

pub(super) fn clients(process: &Process) -> Lines {
    let server = &process.metrics.server;
    let buffers = process
        .clients
        .list()
        .iter()
        .map(|client| client.buffers())
        .fold((0, 0), |most, own| (most.0.max(own.0), most.1.max(own.1)));
    vec![
        line("connected_clients", server.connections_open.value()),
        line("maxclients", process.settings.config().maxclients),
        line("client_recent_max_input_buffer", buffers.0),
        line("client_recent_max_output_buffer", buffers.1),
    ]
}

/// A master without replicas: clients that look for one to write to find it.
pub(super) fn replication(process: &Process) -> Lines {
    vec![
        line("role", "master"),
        line("connected_slaves", 0),
        line("master_replid", &process.run_id),
        line("master_repl_offset", 0),
    ]
}

pub(super) fn cpu() -> Lines {
    let (user, system) = machine::processor_micros();
    let seconds = |micros: u64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    vec![line("used_cpu_sys", seconds(system)), line("used_cpu_user", seconds(user))]
}
