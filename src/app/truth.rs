//! Begins the services of the truth and of snapshots as the settings say, and puts them behind the ports.

use std::sync::Arc;
use std::time::Duration;

use super::no_truth::NoTruth;
use super::settings::{LiveSettings, usize_of};
use super::snapshot_ports::{NoSnapshots, SnapshotPorts};
use super::snapshots::{catalog, retention};
use super::start::StartError;
use super::truth_ports::TruthPorts;
use crate::clock::Clock;
use crate::config::{Config, LAST_DATABASE, TruthSetting};
use crate::dispatch::ports::{self, Durability, Fetch, Settings as _};
use crate::engine::{DATABASES, Engine, Gate};
use crate::metrics::Metrics;
use crate::persist::directory::{DataDirectory, random_id};
use crate::persist::{Base, PostgresOptions, Truth, TruthAddress, TruthParts};
use crate::snapshot::format::TruthKind;
use crate::snapshot::{Catalog, SnapshotBase, SnapshotParts, Snapshots};

const _: () = assert!(LAST_DATABASE as usize + 1 == DATABASES, "the settings know every database");

/// The parts that depend on whether there is a truth, and snapshots.
pub struct Durable {
    /// All keys.
    pub engine: Arc<Engine>,
    /// The service.
    pub truth: Option<Arc<Truth>>,
    /// What is not in memory.
    pub fetch: Arc<dyn Fetch>,
    /// What is durable.
    pub durability: Arc<dyn Durability>,
    /// The service of snapshots.
    pub snapshots: Option<Arc<Snapshots>>,
    /// The same for commands.
    pub snapshot_port: Arc<dyn ports::Snapshots>,
}

/// What a start of the truth takes from its surroundings.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The settings.
    pub settings: &'a Arc<LiveSettings>,
    /// Time.
    pub clock: &'a Arc<dyn Clock>,
    /// Holds the threads that execute.
    pub gate: &'a Arc<Gate>,
    /// What is counted.
    pub metrics: &'a Arc<Metrics>,
}

/// Begins the services; they wait for the truth and the store of snapshots beside.
///
/// # Errors
/// When an address is none, or the data directory cannot be used.
pub fn begin(around: Around<'_>) -> Result<Durable, StartError> {
    let config = around.settings.config();
    let catalog = catalog(&config)?;
    match address(&config)? {
        Some(address) => in_front_of_truth(around, &config, address, catalog),
        None => without_truth(around, &config, catalog),
    }
}

fn without_truth(
    around: Around<'_>,
    config: &Config,
    catalog: Option<Catalog>,
) -> Result<Durable, StartError> {
    if config.maxmemory_policy != crate::config::POLICIES[0] {
        tracing::warn!(
            policy = config.maxmemory_policy,
            "there is no truth: what leaves memory at maxmemory is lost, and its quotas begin afresh"
        );
    }
    let engine = Arc::new(if catalog.is_some() { Engine::to_be_loaded() } else { Engine::new() });
    let snapshots = match catalog {
        None => None,
        Some(catalog) => {
            let directory = DataDirectory::open(&config.data_dir).map_err(|error| {
                StartError(format!(
                    "{error}; without a truth only snapshots need it: --snapshots none keeps nothing"
                ))
            })?;
            Some(begin_snapshots(around, config, catalog, &engine, Err(directory))?)
        }
    };
    Ok(Durable {
        engine,
        truth: None,
        fetch: Arc::new(NoTruth),
        durability: Arc::new(NoTruth),
        snapshot_port: port(snapshots.as_ref(), around.clock),
        snapshots,
    })
}

fn in_front_of_truth(
    around: Around<'_>,
    config: &Config,
    address: TruthAddress,
    catalog: Option<Catalog>,
) -> Result<Durable, StartError> {
    let Around { settings, clock, gate, metrics } = around;
    let ephemeral = config.ephemeral_databases.iter().copied().collect();
    if catalog.is_none() && !config.ephemeral_databases.is_empty() {
        tracing::warn!(
            databases = ?config.ephemeral_databases,
            "there are no snapshots: what is in ephemeral databases is lost when the server ends"
        );
    }
    let engine = Arc::new(Engine::in_front_of_truth_beside(ephemeral));
    let room = (Arc::clone(settings), Arc::clone(&engine), Arc::clone(metrics));
    let kind = match address {
        TruthAddress::Postgres(_) => TruthKind::Postgres,
        TruthAddress::Sqlite(_) => TruthKind::Sqlite,
    };
    let base = catalog.clone().map(|catalog| Arc::new(SnapshotBase::new(catalog)) as Arc<dyn Base>);
    let truth = Truth::begin(TruthParts {
        address,
        data_dir: config.data_dir.clone(),
        engine: Arc::clone(&engine),
        gate: Arc::clone(gate),
        clock: Arc::clone(clock),
        holder: holder(config),
        flush_interval: Duration::from_millis(config.flush_interval_ms),
        lease: Duration::from_secs(config.lease_secs),
        take_over: config.take_over,
        fetch_timeout: Duration::from_millis(config.fetch_timeout_ms),
        has_room: Arc::new(move || has_room(&room.0, &room.1, &room.2)),
        base,
    })
    .map_err(|refused| StartError(refused.0))?;
    let snapshots = match catalog {
        None => None,
        Some(catalog) => {
            Some(begin_snapshots(around, config, catalog, &engine, Ok((Arc::clone(&truth), kind)))?)
        }
    };
    let ports = Arc::new(TruthPorts {
        truth: Arc::clone(&truth),
        engine: Arc::clone(&engine),
        clock: Arc::clone(clock),
        flush_keys: usize_of(config.flush_keys),
        commit_timeout: Duration::from_millis(config.durable_timeout_ms),
    });
    Ok(Durable {
        engine,
        truth: Some(truth),
        fetch: ports.clone(),
        durability: ports,
        snapshot_port: port(snapshots.as_ref(), clock),
        snapshots,
    })
}

fn begin_snapshots(
    around: Around<'_>,
    config: &Config,
    catalog: Catalog,
    engine: &Arc<Engine>,
    truth: Result<(Arc<Truth>, TruthKind), DataDirectory>,
) -> Result<Arc<Snapshots>, StartError> {
    let (interval, kept) = (Arc::clone(around.settings), Arc::clone(around.settings));
    let parts = SnapshotParts {
        catalog,
        engine: Arc::clone(engine),
        gate: Arc::clone(around.gate),
        clock: Arc::clone(around.clock),
        truth,
        holder: holder(config),
        start: random_id().map_err(|error| StartError(error.to_string()))?,
        interval: Box::new(move || Duration::from_secs(interval.config().snapshot_interval_secs)),
        retention: Box::new(move || retention(&kept.config())),
    };
    Snapshots::begin(parts).map_err(StartError)
}

fn port(snapshots: Option<&Arc<Snapshots>>, clock: &Arc<dyn Clock>) -> Arc<dyn ports::Snapshots> {
    match snapshots {
        None => Arc::new(NoSnapshots),
        Some(snapshots) => {
            Arc::new(SnapshotPorts { snapshots: Arc::clone(snapshots), clock: Arc::clone(clock) })
        }
    }
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
pub fn holder(config: &Config) -> String {
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
