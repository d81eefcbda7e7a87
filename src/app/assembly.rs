//! Builds the parts of a server out of its settings and puts them behind the ports.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::descriptors::Descriptors;
use super::log;
use super::process::{Parts, Process};
use super::settings::{Check, Follower, LiveSettings, usize_of};
use super::slow_log::SlowRing;
use super::start::StartError;
use super::truth::{self, Around, Durable};
use crate::clock::Clock;
use crate::command;
use crate::config::Config;
use crate::dispatch::Ports;
use crate::engine::Gate;
use crate::metrics::Metrics;
use crate::server::{ConnectionLimits, Registry, Shutdown};

/// Everything a server consists of before it listens.
pub struct Assembly {
    /// What commands reach.
    pub ports: Arc<Ports>,
    /// The process.
    pub process: Arc<Process>,
    /// The open connections.
    pub registry: Arc<Registry>,
    /// What connections may do.
    pub limits: Arc<ConnectionLimits>,
    /// The settings.
    pub settings: Arc<LiveSettings>,
    /// The signal to end.
    pub shutdown: Shutdown,
    /// Threads that serve clients.
    pub threads: NonZeroUsize,
}

impl Assembly {
    /// Builds it. `maxclients` is lowered to what the process may hold open.
    ///
    /// # Errors
    /// When the process may hold too little open for a single client, or the data directory cannot be used.
    pub fn new(mut config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let threads = threads(&config);
        let descriptors = Descriptors::new(&config, threads.get());
        descriptors.fit(&mut config)?;
        let limits = Arc::new(ConnectionLimits::default());
        let slow_log =
            Arc::new(SlowRing::new(config.slowlog_log_slower_than_micros, usize_of(config.slowlog_max_len)));
        let follow_log_level: Follower = Box::new(|config| log::set_level(config.log_level));
        let followers = vec![follow_limits(&limits), follow_slow_log(&slow_log), follow_log_level];
        let settings = Arc::new(LiveSettings::new(config, check_descriptors(descriptors), followers));
        let registry = Arc::new(Registry::new());
        let shutdown = Shutdown::default();
        let metrics = Arc::new(Metrics::default());
        // The last seat is that of the background work.
        let gate = Arc::new(Gate::new(threads.get() + 1));
        let around = Around { settings: &settings, clock: &clock, gate: &gate, metrics: &metrics };
        let Durable { engine, truth, fetch, durability, snapshots, snapshot_port } = truth::begin(around)?;
        let process = Arc::new(Process::new(Parts {
            engine,
            gate: Arc::clone(&gate),
            truth,
            snapshots,
            clock: Arc::clone(&clock),
            commands: Arc::new(command::table()),
            metrics,
            clients: registry.clone(),
            settings: Arc::clone(&settings),
            threads: threads.get(),
            shutdown: shutdown.clone(),
        }));
        let ports = Arc::new(Ports {
            engine: Arc::clone(&process.engine),
            gate,
            clock,
            commands: Arc::clone(&process.commands),
            metrics: Arc::clone(&process.metrics),
            clients: registry.clone(),
            settings: settings.clone(),
            lifecycle: process.clone(),
            fetch,
            durability,
            snapshots: snapshot_port,
            slow_log,
        });
        Ok(Self { ports, process, registry, limits, settings, shutdown, threads })
    }
}

/// As many as the settings say, or as the machine has cores.
fn threads(config: &Config) -> NonZeroUsize {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    NonZeroUsize::new(usize_of(config.threads)).unwrap_or_else(cores)
}

fn check_descriptors(descriptors: Descriptors) -> Check {
    Box::new(move |before, after| {
        // Fewer clients need nothing, and other settings can change where their number cannot.
        if after.maxclients <= before.maxclients { Ok(()) } else { descriptors.check(after.maxclients) }
    })
}

fn follow_limits(limits: &Arc<ConnectionLimits>) -> Follower {
    let limits = Arc::clone(limits);
    Box::new(move |config| {
        limits.max_clients.store(usize_of(config.maxclients), Ordering::Relaxed);
        limits.idle_timeout_secs.store(config.timeout_secs, Ordering::Relaxed);
        limits.query_buffer_bytes.store(usize_of(config.query_buffer_limit_bytes), Ordering::Relaxed);
        limits.output_buffer_bytes.store(usize_of(config.output_buffer_limit_bytes), Ordering::Relaxed);
        limits.drain_ms.store(config.shutdown_timeout_secs.saturating_mul(1_000), Ordering::Relaxed);
        limits.max_bulk_bytes.store(usize_of(config.proto_max_bulk_bytes), Ordering::Relaxed);
    })
}

fn follow_slow_log(slow_log: &Arc<SlowRing>) -> Follower {
    let slow_log = Arc::clone(slow_log);
    Box::new(move |config| {
        slow_log.configure(config.slowlog_log_slower_than_micros, usize_of(config.slowlog_max_len));
    })
}
