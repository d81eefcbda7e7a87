//! The running process: its age, its end, and what INFO tells of it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::info;
use super::rates::Rates;
use super::settings::LiveSettings;
use crate::clock::{Clock, Timestamp};
use crate::dispatch::CommandTable;
use crate::dispatch::ports::{Clients, Lifecycle, Pending};
use crate::engine::{Engine, Gate};
use crate::metrics::Metrics;
use crate::persist::Truth;
use crate::server::Shutdown;
use crate::snapshot::Snapshots;

/// The process, as commands and the admin pages see it.
pub struct Process {
    /// All keys.
    pub engine: Arc<Engine>,
    /// Holds threads for cuts; background work has the last seat.
    pub gate: Arc<Gate>,
    /// What outlives the process, if anything does.
    pub truth: Option<Arc<Truth>>,
    /// The service of snapshots, if there are any.
    pub snapshots: Option<Arc<Snapshots>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Every command.
    pub commands: Arc<CommandTable>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The connections.
    pub clients: Arc<dyn Clients>,
    /// The settings.
    pub settings: Arc<LiveSettings>,
    /// Commands and bytes a second.
    pub rates: Rates,
    /// Threads that serve clients.
    pub threads: usize,
    /// 40 hexadecimal digits that differ at each start.
    pub run_id: String,
    started_at: Timestamp,
    active_expire: AtomicBool,
    shutdown: Shutdown,
}

/// A seat at the gate that holds threads for cuts.
#[derive(Clone, Copy)]
pub struct Seat<'a> {
    /// The gate.
    pub gate: &'a Gate,
    /// Whose seat it is.
    pub seat: usize,
}

impl Seat<'_> {
    /// Runs background work that changes keys: as a turn, between cuts.
    pub fn between_cuts<R>(self, work: impl FnOnce() -> R) -> R {
        self.gate.enter(self.seat);
        let result = work();
        self.gate.leave(self.seat);
        result
    }
}

/// What a process is made of.
pub struct Parts {
    /// All keys.
    pub engine: Arc<Engine>,
    /// Holds threads for cuts.
    pub gate: Arc<Gate>,
    /// What outlives the process, if anything does.
    pub truth: Option<Arc<Truth>>,
    /// The service of snapshots, if there are any.
    pub snapshots: Option<Arc<Snapshots>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Every command.
    pub commands: Arc<CommandTable>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The connections.
    pub clients: Arc<dyn Clients>,
    /// The settings.
    pub settings: Arc<LiveSettings>,
    /// Threads that serve clients.
    pub threads: usize,
    /// The signal to end.
    pub shutdown: Shutdown,
}

impl Process {
    /// A process that starts now.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            started_at: parts.clock.now(),
            engine: parts.engine,
            gate: parts.gate,
            truth: parts.truth,
            snapshots: parts.snapshots,
            clock: parts.clock,
            commands: parts.commands,
            metrics: parts.metrics,
            clients: parts.clients,
            settings: parts.settings,
            threads: parts.threads,
            rates: Rates::default(),
            run_id: random_id(),
            active_expire: AtomicBool::new(true),
            shutdown: parts.shutdown,
        }
    }

    /// The seat of background work.
    #[must_use]
    pub fn seat(&self) -> Seat<'_> {
        Seat { gate: &self.gate, seat: self.threads }
    }

    /// Whether the background sweep runs.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        self.active_expire.load(Ordering::Relaxed)
    }
}

/// Tells two runs apart; no secret.
fn random_id() -> String {
    let word = || RandomState::new().build_hasher().finish();
    let mut id = format!("{:016x}{:016x}{:016x}", word(), word(), word());
    id.truncate(40);
    id
}

impl Lifecycle for Process {
    fn info(&self) -> Vec<(&'static str, Vec<(String, String)>)> {
        info::sections(self)
    }

    fn started_at(&self) -> Timestamp {
        self.started_at
    }

    fn shut_down(&self) {
        self.shutdown.begin();
    }

    fn is_loading(&self) -> bool {
        let waits_for_snapshot =
            || self.snapshots.as_ref().is_some_and(|snapshots| snapshots.stats.is_loading());
        self.truth.as_ref().is_some_and(|truth| !truth.progress.serves()) || waits_for_snapshot()
    }

    fn loading_progress(&self) -> Option<String> {
        let truth = self.truth.as_ref()?;
        if !truth.progress.serves() {
            let trouble = truth.stats.trouble.load_full();
            let waits =
                trouble.map(|reason| format!("waiting for the truth: {}", reason.replace(['\r', '\n'], " ")));
            return waits.or_else(|| truth.stats.stage.load().as_deref().cloned());
        }
        let loading = &truth.loading;
        let (seen, total) = (loading.seen.value(), loading.total.value());
        (!loading.is_over()).then(|| {
            format!(
                "{seen} of {total} keys of the truth are in memory, the others are fetched when asked for"
            )
        })
    }

    fn set_active_expire(&self, on: bool) {
        self.active_expire.store(on, Ordering::Relaxed);
    }

    fn sleep(&self, micros: u64) -> Pending<()> {
        Box::pin(tokio::time::sleep(Duration::from_micros(micros)))
    }
}
