//! Begins the truth's service as the settings say, and puts it behind the ports.

use std::sync::Arc;
use std::time::Duration;

use super::no_truth::NoTruth;
use super::settings::{LiveSettings, usize_of};
use super::start::StartError;
use super::truth_ports::TruthPorts;
use crate::clock::Clock;
use crate::config::{Config, TruthSetting};
use crate::dispatch::ports::{Durability, Fetch, Settings as _};
use crate::engine::{Engine, Gate};
use crate::metrics::Metrics;
use crate::persist::{PostgresOptions, Truth, TruthAddress, TruthParts};

/// The parts that depend on whether there is a truth.
pub struct Durable {
    /// All keys.
    pub engine: Arc<Engine>,
    /// The service.
    pub truth: Option<Arc<Truth>>,
    /// What is not in memory.
    pub fetch: Arc<dyn Fetch>,
    /// What is durable.
    pub durability: Arc<dyn Durability>,
}

/// Begins the service; it waits for the truth beside.
///
/// # Errors
/// When the truth's address is none, or the data directory cannot be used.
pub fn begin(
    settings: &Arc<LiveSettings>,
    clock: &Arc<dyn Clock>,
    gate: &Arc<Gate>,
    metrics: &Arc<Metrics>,
) -> Result<Durable, StartError> {
    let config = settings.config();
    let Some(address) = address(&config)? else {
        if config.maxmemory_policy != crate::config::POLICIES[0] {
            tracing::warn!(
                policy = config.maxmemory_policy,
                "there is no truth: what leaves memory at maxmemory is lost, and its quotas begin afresh"
            );
        }
        return Ok(Durable {
            engine: Arc::new(Engine::new()),
            truth: None,
            fetch: Arc::new(NoTruth),
            durability: Arc::new(NoTruth),
        });
    };
    let engine = Arc::new(Engine::in_front_of_truth());
    let room = (Arc::clone(settings), Arc::clone(&engine), Arc::clone(metrics));
    let truth = Truth::begin(TruthParts {
        address,
        data_dir: config.data_dir.clone(),
        engine: Arc::clone(&engine),
        gate: Arc::clone(gate),
        clock: Arc::clone(clock),
        holder: holder(&config),
        flush_interval: Duration::from_millis(config.flush_interval_ms),
        lease: Duration::from_secs(config.lease_secs),
        take_over: config.take_over,
        fetch_timeout: Duration::from_millis(config.fetch_timeout_ms),
        has_room: Box::new(move || has_room(&room.0, &room.1, &room.2)),
    })
    .map_err(|refused| StartError(refused.0))?;
    let ports = Arc::new(TruthPorts {
        truth: Arc::clone(&truth),
        engine: Arc::clone(&engine),
        clock: Arc::clone(clock),
        flush_keys: usize_of(config.flush_keys),
        commit_timeout: Duration::from_millis(config.durable_timeout_ms),
    });
    Ok(Durable { engine, truth: Some(truth), fetch: ports.clone(), durability: ports })
}

/// Where the truth is; `None`: nowhere.
///
/// # Errors
/// An address of Postgres that is none.
pub fn address(config: &Config) -> Result<Option<TruthAddress>, StartError> {
    match &config.truth {
        TruthSetting::None => Ok(None),
        TruthSetting::Postgres(address) => {
            let options = PostgresOptions::parse(address).map_err(|error| StartError(error.to_string()))?;
            Ok(Some(TruthAddress::Postgres(Box::new(options))))
        }
        setting @ TruthSetting::Sqlite(_) => {
            Ok(setting.sqlite_path(&config.data_dir).map(TruthAddress::Sqlite))
        }
    }
}

/// This process for people who meet its lease.
fn holder(config: &Config) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let directory = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    format!("process {} on {host}, data directory {}", std::process::id(), directory.display())
}

/// Whether what is loaded has room: memory is counted here, since loading fills it faster than it is counted otherwise.
fn has_room(settings: &LiveSettings, engine: &Engine, metrics: &Metrics) -> bool {
    let most = settings.maxmemory_bytes();
    if most == 0 {
        return true;
    }
    let bytes = engine.memory().used_bytes();
    metrics.server.data_bytes.set(bytes);
    bytes < most
}
