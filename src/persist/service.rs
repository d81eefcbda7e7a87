//! The truth as a running service: its threads and tasks from the first connection to the last flush.
//!
//! One thread flushes, which blocks on the disk; a runtime of its own does all that waits for the truth. Neither is a worker's. Only a
//! few keys that a worker needs are fetched by itself.

mod helpers;

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::address::TruthAddress;
use super::applier::Applier;
use super::base::Base;
use super::directory::{DataDirectory, Known};
use super::fetcher::{FetchDoor, FetchError, FetchRequests};
use super::flush_stats::FlushStats;
use super::flusher::{FlushParts, Flusher};
use super::janitor::PruneLimit;
use super::moment::{Moment, Moments};
use super::outbox::Outbox;
use super::pending::Pending;
use super::progress::Progress;
use super::recovery::{HasRoom, Loading};
use super::refusals::Refusals;
use super::signals::Signals;
use super::start::{StartParts, StartRefused, Started, give_up, start};
use super::store::{DataSetId, OwnerId, Store};
use super::told_epochs::ToldEpochs;
use super::verify::VerifyReport;
use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::engine::{Engine, Gate, MissingKey};
use crate::essential::{essential, essential_thread};
use crate::metrics::Seldom;
use helpers::{fill_ephemeral, spawn_helpers};

/// Threads of the runtime: one prepares the rows of a batch, which takes a while, and the other looks after fetches meanwhile.
const THREADS: usize = 2;

/// How long the end waits for a truth that gives no answer, when the outbox has all it lacks.
const ABSENT_TRUTH_PATIENCE: Duration = Duration::from_secs(1);

/// How long noting how far the truth is may take, which is a help and no more.
const NOTE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the last batch is waited for at least, however long the flusher took to make it.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// Checks that may wait; each is asked for by a person.
const WAITING_CHECKS: usize = 16;

/// What a service is made of.
pub struct TruthParts {
    /// Where the truth is.
    pub address: TruthAddress,
    /// The data directory.
    pub data_dir: PathBuf,
    /// All keys.
    pub engine: Arc<Engine>,
    /// Holds the threads that execute.
    pub gate: Arc<Gate>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// This process for people.
    pub holder: String,
    /// The time from one cut to the next.
    pub flush_interval: Duration,
    /// How long a lease holds.
    pub lease: Duration,
    /// Whether an expired lease of another data directory is taken.
    pub take_over: bool,
    /// How long a client waits for a key that is not in memory.
    pub fetch_timeout: Duration,
    /// Whether there is room in memory for what is loaded.
    pub has_room: HasRoom,
    /// Where copies of the truth are, from which the start loads; `None`: nowhere.
    pub base: Option<Arc<dyn Base>>,
}

/// The service as the rest of the process sees it.
pub struct Truth {
    /// How far changes have come.
    pub progress: Arc<Progress>,
    /// What is counted.
    pub stats: Arc<FlushStats>,
    /// How far recovery has come.
    pub loading: Arc<Loading>,
    /// What the truth has refused.
    pub refusals: Arc<Refusals>,
    engine: Arc<Engine>,
    signals: Arc<Signals>,
    moments: Arc<Moments>,
    pending: Arc<Pending>,
    /// Once the service has begun.
    store: OnceLock<Arc<dyn Store>>,
    data_set: OnceLock<DataSetId>,
    owner: OnceLock<OwnerId>,
    /// Up to which batch keys that are gone may be forgotten.
    prune_limit: Arc<PruneLimit>,
    door: FetchDoor,
    checks: mpsc::Sender<Check>,
    outbox: OnceLock<Option<Arc<Mutex<Outbox>>>>,
    epochs: OnceLock<ToldEpochs>,
    stopping: watch::Sender<Option<Duration>>,
    ended: watch::Sender<Option<Result<(), Arc<str>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How large an outbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxSize {
    /// Bytes on disk.
    pub bytes: u64,
    /// Those of them that wait for the truth.
    pub waiting_bytes: u64,
    /// Files.
    pub segments: u64,
}

/// Someone asks for a comparison of everything.
struct Check(oneshot::Sender<Result<VerifyReport, String>>);

/// What is needed to run it.
struct Job {
    parts: TruthParts,
    directory: DataDirectory,
    truth: Arc<Truth>,
    requests: FetchRequests,
    checks: mpsc::Receiver<Check>,
}

impl Truth {
    /// Locks the data directory and starts the service. Data commands may run once [`Progress::serves`] says so; until then it waits for
    /// the truth.
    ///
    /// # Errors
    /// When the data directory cannot be used, or the system gives no thread.
    pub fn begin(parts: TruthParts) -> Result<Arc<Self>, StartRefused> {
        let directory =
            DataDirectory::open(&parts.data_dir).map_err(|error| StartRefused(error.to_string()))?;
        let (door, requests) = FetchDoor::new(parts.fetch_timeout);
        let (checks, waiting_checks) = mpsc::channel(WAITING_CHECKS);
        let truth = Arc::new(Self {
            progress: Arc::default(),
            stats: Arc::default(),
            loading: Arc::default(),
            refusals: Arc::default(),
            engine: Arc::clone(&parts.engine),
            signals: Arc::default(),
            moments: Arc::default(),
            pending: Arc::default(),
            store: OnceLock::new(),
            data_set: OnceLock::new(),
            owner: OnceLock::new(),
            prune_limit: Arc::default(),
            door,
            checks,
            outbox: OnceLock::new(),
            epochs: OnceLock::new(),
            stopping: watch::Sender::new(None),
            ended: watch::Sender::new(None),
            thread: Mutex::new(None),
        });
        let job = Job { parts, directory, truth: Arc::clone(&truth), requests, checks: waiting_checks };
        let thread = essential_thread("quotad-truth", "the truth", move || job.run());
        let thread = thread.map_err(|error| StartRefused(format!("no thread could be started: {error}")))?;
        *truth.thread.lock() = Some(thread);
        Ok(truth)
    }

    /// Fills the engine with these keys, or with the knowledge that there are none. The first `needed` of them are waited for.
    ///
    /// # Errors
    /// A text for the client, when the truth does not answer in time, or cannot read a key that is needed.
    pub fn fetch(
        &self,
        keys: Vec<MissingKey>,
        needed: usize,
    ) -> impl Future<Output = Result<(), FetchError>> + use<> {
        self.door.clone().fetch(keys, needed)
    }

    /// Cuts at once and answers everything as it is behind that cut.
    ///
    /// # Errors
    /// When the server is ending, or another snapshot is being read.
    pub async fn moment(&self) -> Result<Moment, String> {
        let moment = self.moments.ask();
        self.signals.hurry();
        moment
            .await
            .map_err(|_| "no cut could be taken: another snapshot runs, or the server is ending".to_owned())
    }

    /// The truth itself; `None`: the service has not begun.
    #[must_use]
    pub fn store(&self) -> Option<&Arc<dyn Store>> {
        self.store.get()
    }

    /// Which data it holds; `None`: the service has not begun.
    #[must_use]
    pub fn data_set(&self) -> Option<DataSetId> {
        self.data_set.get().copied()
    }

    /// Who owns it; `None`: the service has not begun.
    #[must_use]
    pub fn owner(&self) -> Option<OwnerId> {
        self.owner.get().copied()
    }

    /// Lets rows of keys that are gone be forgotten only up to this batch, for a week from its cut: a start from a snapshot of it needs those
    /// behind it.
    pub fn limit_pruning(&self, up_to: u64, cut_at: Timestamp) {
        self.prune_limit.set(up_to, cut_at);
    }

    /// Whether the truth has batch `seq` and all that it was known to have, as its owner row says now: a replica may have been promoted that
    /// lacks some. Where it has not, what is missing is applied again.
    pub async fn still_has(&self, seq: u64) -> bool {
        let (epoch, known) = (self.progress.epoch(), self.progress.applied());
        let Some(store) = self.store() else { return false };
        match store.owner().await {
            Ok(row) if row.epoch == epoch && row.applied >= known => row.applied >= seq,
            Ok(_) => {
                self.pending.look_back();
                false
            }
            Err(_) => false,
        }
    }

    /// Asks for a cut at once.
    pub fn hurry(&self) {
        self.signals.hurry();
    }

    /// The last batch with anything that was changed before now.
    #[must_use]
    pub fn changed_before(&self) -> u64 {
        let open = self.progress.open();
        if self.engine.queued() > 0 { open } else { open.saturating_sub(1) }
    }

    /// The epochs up to this one; `None` before it began.
    #[must_use]
    pub fn epochs(&self) -> Option<&ToldEpochs> {
        self.epochs.get()
    }

    /// How large the outbox is; `None`: there is none.
    #[must_use]
    pub fn outbox_size(&self) -> Option<OutboxSize> {
        let outbox = self.outbox.get()?.as_ref()?;
        let outbox = outbox.lock();
        Some(OutboxSize {
            bytes: outbox.bytes(),
            waiting_bytes: outbox.unapplied_bytes(),
            segments: u64::try_from(outbox.segments()).unwrap_or(u64::MAX),
        })
    }

    /// Compares everything in memory with the truth.
    ///
    /// # Errors
    /// A text, when the truth does not answer or too many comparisons wait.
    pub fn verify(&self) -> impl Future<Output = Result<VerifyReport, String>> + use<> {
        let (answer, answered) = oneshot::channel();
        let sent = self.checks.try_send(Check(answer));
        async move {
            if sent.is_err() {
                return Err("other comparisons wait, or the truth is not there yet".to_owned());
            }
            answered.await.unwrap_or_else(|_| Err("the server is ending".to_owned()))
        }
    }

    /// Waits until the service has failed: it could not start, or another owns the truth.
    pub async fn failed(&self) -> Arc<str> {
        let mut ended = self.ended.subscribe();
        loop {
            let failure = ended.wait_for(Option::is_some).await.map(|ended| ended.clone());
            match failure {
                Ok(Some(Err(reason))) => return reason,
                _ => std::future::pending::<()>().await,
            }
        }
    }

    /// Flushes what is left, gives the lease up and ends; waits at most `patience` for the truth.
    ///
    /// # Errors
    /// What was lost, and why.
    pub async fn stop(&self, patience: Duration) -> Result<(), Arc<str>> {
        self.stopping.send_replace(Some(patience));
        let mut ended = self.ended.subscribe();
        let result = ended.wait_for(Option::is_some).await.map(|ended| ended.clone());
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // It has told its end, and only gives its runtime back.
            drop(thread.join());
        }
        result.ok().flatten().unwrap_or(Ok(()))
    }
}

impl Job {
    fn run(self) {
        let truth = Arc::clone(&self.truth);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("quotad-truth")
            .enable_all()
            .build();
        let ended = match runtime {
            Ok(runtime) => {
                let ended = runtime.block_on(self.work());
                runtime.shutdown_background();
                ended
            }
            Err(error) => Err(format!("no runtime could be made: {error}")),
        };
        truth.ended.send_replace(Some(ended.map_err(Arc::from)));
    }

    async fn work(self) -> Result<(), String> {
        let mut stopping = self.truth.stopping.subscribe();
        let begun = tokio::select! {
            begun = Running::begin(self) => begun,
            // Nothing was served, so there is nothing to flush.
            _ = stopping.wait_for(Option::is_some) => return Ok(()),
        };
        let running = begun.map_err(|refused| refused.0)?;
        let truth = Arc::clone(&running.truth);
        let patience = tokio::select! {
            patience = stopping.wait_for(Option::is_some) => patience.ok().and_then(|patience| *patience),
            reason = truth.progress.wait_fenced() => {
                truth.signals.end(Duration::ZERO);
                return Err(reason.to_string());
            }
        };
        running.end(patience.unwrap_or_default()).await
    }
}

async fn earlier_epochs(store: &dyn Store) -> ToldEpochs {
    store.epochs().await.unwrap_or_else(|error| {
        tracing::warn!("earlier epochs are not known, so QUOTA.SYNC cannot tell of them: {error}");
        ToldEpochs::default()
    })
}

/// A service whose epoch has begun.
struct Running {
    truth: Arc<Truth>,
    store: Arc<dyn Store>,
    owner: OwnerId,
    flusher: JoinHandle<bool>,
    applier: tokio::task::JoinHandle<()>,
    has_outbox: bool,
    /// Locked until the end.
    directory: Arc<Mutex<DataDirectory>>,
}

impl Running {
    async fn begin(job: Job) -> Result<Self, StartRefused> {
        let Job { parts, directory, truth, requests, checks } = job;
        parts.address.check(directory.path(), directory.data_set()).await.map_err(StartRefused)?;
        let store = parts.address.open(parts.lease).await?;
        let with_outbox = parts.address.wants_outbox();
        let start_parts = StartParts {
            store: Arc::clone(&store),
            directory,
            clock: Arc::clone(&parts.clock),
            holder: parts.holder.clone(),
            lease: parts.lease,
            take_over: parts.take_over,
            with_outbox,
            stats: Arc::clone(&truth.stats),
            base: parts.base.clone(),
        };
        let Started { epoch, claim, outbox, directory } = start(start_parts).await?;
        let epochs = earlier_epochs(&*store).await;
        // Each is set once: a service begins once.
        let _ = truth.epochs.set(epochs);
        let outbox = outbox.map(|outbox| Arc::new(Mutex::new(outbox)));
        let _ = truth.outbox.set(outbox.clone());
        let _ = truth.store.set(Arc::clone(&store));
        let _ = truth.data_set.set(epoch.data_set);
        let _ = truth.owner.set(claim.owner);
        let first = (parts.engine.open_generation(), epoch.applied + 1);
        let pending = Arc::clone(&truth.pending);
        let waiting = Arc::clone(&pending);
        let owner = claim.owner;
        if let Err(refused) = fill_ephemeral(&parts, &store, &epoch, owner, &truth.stats).await {
            give_up(&*store, epoch.epoch, owner).await;
            return Err(refused);
        }
        truth.progress.begin(epoch.epoch, epoch.applied);
        tracing::info!(epoch = epoch.epoch, data_set = %epoch.data_set, applied = epoch.applied, "the truth is this server's");
        let flusher = Flusher::new(FlushParts {
            engine: Arc::clone(&parts.engine),
            gate: Arc::clone(&parts.gate),
            clock: Arc::clone(&parts.clock),
            progress: Arc::clone(&truth.progress),
            pending: Arc::clone(&pending),
            signals: Arc::clone(&truth.signals),
            moments: Arc::clone(&truth.moments),
            stats: Arc::clone(&truth.stats),
            outbox: outbox.clone(),
            interval: parts.flush_interval,
        });
        let flusher = essential_thread("quotad-flusher", "the flusher", || flusher.run());
        let flusher =
            flusher.map_err(|error| StartRefused(format!("no thread could be started: {error}")))?;
        let applier = Applier {
            store: Arc::clone(&store),
            engine: Arc::clone(&parts.engine),
            clock: Arc::clone(&parts.clock),
            progress: Arc::clone(&truth.progress),
            pending,
            signals: Arc::clone(&truth.signals),
            stats: Arc::clone(&truth.stats),
            refusals: Arc::clone(&truth.refusals),
            outbox,
            owner,
            claim,
            first,
            lines: Seldom::default(),
        };
        let applier = tokio::spawn(essential("the applier", applier.run()));
        tokio::spawn(essential("merging", async move { waiting.keep_merged().await }));
        let directory = Arc::new(Mutex::new(directory));
        spawn_helpers(parts, &truth, &store, owner, Arc::downgrade(&directory), requests, checks);
        Ok(Self { truth, store, owner, flusher, applier, has_outbox: with_outbox, directory })
    }

    /// The last flush. What the truth does not take in time stays in the outbox.
    async fn end(self, patience: Duration) -> Result<(), String> {
        let Self { truth, store, owner, flusher, mut applier, has_outbox, directory } = self;
        let stopwatch = Stopwatch::start();
        truth.signals.end(patience);
        let flushed = tokio::task::spawn_blocking(move || flusher.join());
        let Ok(Ok(has_flushed)) = flushed.await else {
            return Err("the flusher's thread is lost".to_owned());
        };
        let progress = &truth.progress;
        let patience = patience.saturating_sub(Duration::from_nanos(stopwatch.nanos())).max(LEAST_PATIENCE);
        let is_absent = truth.stats.trouble.load().is_some();
        let patience = if has_outbox && is_absent { patience.min(ABSENT_TRUTH_PATIENCE) } else { patience };
        let has_ended = tokio::time::timeout(patience, &mut applier).await.is_ok();
        if !has_flushed && !progress.is_fenced() {
            applier.abort();
            let (last, reason) =
                (progress.open() - 1, "the truth has not taken in time what came before them");
            return Err(format!("the changes behind batch {last} are lost: {reason}"));
        }
        if has_ended && progress.applied() + 1 == progress.open() {
            let known = Known { epoch: progress.epoch(), applied: progress.applied() };
            let noting = tokio::task::spawn_blocking(move || directory.lock().set_known(known));
            if !matches!(tokio::time::timeout(NOTE_TIMEOUT, noting).await, Ok(Ok(Ok(())))) {
                tracing::warn!("how far the truth is could not be noted in the data directory");
            }
            give_up(&*store, progress.epoch(), owner).await;
            if truth.refusals.has_rows() {
                tracing::error!(
                    "what the truth has refused is lost with this process: its table rejected names the keys"
                );
            }
            tracing::info!(applied = progress.applied(), "the truth has everything");
            return Ok(());
        }
        applier.abort();
        if progress.is_fenced() {
            return Err("another server owns the data now".to_owned());
        }
        let (applied, kept, last) = (progress.applied(), progress.kept(), progress.open() - 1);
        if kept == last {
            tracing::warn!(
                applied,
                kept,
                "the truth lacks the last batches; the outbox keeps them for the next start"
            );
            return Ok(());
        }
        let reason = if has_outbox {
            "neither the truth nor the outbox took them"
        } else {
            "the truth did not take them"
        };
        Err(format!("the changes behind batch {kept} are lost, unless a snapshot has them: {reason}"))
    }
}
