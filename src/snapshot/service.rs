//! Snapshots as a running service: at intervals, on request, and once more at the end.

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::catalog::{Catalog, Claimant};
use super::error::SnapshotError;
use super::format::{Extent, Manifest, SnapshotId, TruthKind};
use super::load;
use super::retention::{self, Retention};
use super::source::{MemorySource, Source};
use super::stats::SnapshotStats;
use super::writer::Writer;
use crate::clock::{Clock, Stopwatch};
use crate::engine::{Engine, Gate};
use crate::essential::essential_thread;
use crate::persist::directory::DataDirectory;
use crate::persist::{Id, Truth};

/// Requests that may wait; those that wait are served by one snapshot.
const WAITING_REQUESTS: usize = 1_024;

/// How long to wait before a store that refused is asked again at the start: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often the start looks whether the truth is served and loaded.
const LOADING_PAUSE: Duration = Duration::from_millis(50);

/// What the service is made of.
pub struct SnapshotParts {
    /// Where snapshots lie.
    pub catalog: Catalog,
    /// All keys.
    pub engine: Arc<Engine>,
    /// Holds the threads that execute.
    pub gate: Arc<Gate>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The truth, and what kind it is; `None`: memory is all there is, with the data directory that says which data it is.
    pub truth: Result<(Arc<Truth>, TruthKind), DataDirectory>,
    /// This server for people.
    pub holder: String,
    /// An id of this start.
    pub start: Id,
    /// The time between snapshots, whatever the settings say now; zero: none by itself.
    pub interval: Box<dyn Fn() -> Duration + Send + Sync>,
    /// What is kept, whatever the settings say now.
    pub retention: Box<dyn Fn() -> Retention + Send + Sync>,
}

/// The service as the rest of the process sees it.
pub struct Snapshots {
    /// What is known of them.
    pub stats: Arc<SnapshotStats>,
    requests: mpsc::Sender<Request>,
    stopping: watch::Sender<Option<Patience>>,
    failed: watch::Sender<Option<Arc<str>>>,
    /// What the end has lost.
    lost: Mutex<Option<String>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How long the end may take, from when it began.
#[derive(Clone, Copy)]
struct Patience {
    began: Stopwatch,
    most: Duration,
}

/// Someone wants a snapshot of everything that was changed before now.
struct Request(Option<oneshot::Sender<Result<Manifest, String>>>);

impl Snapshots {
    /// Begins the service; what it needs it waits for beside.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin(parts: SnapshotParts) -> Result<Arc<Self>, String> {
        let (requests, waiting) = mpsc::channel(WAITING_REQUESTS);
        let stats = Arc::new(SnapshotStats::since(parts.clock.now()));
        stats.set_loading(parts.truth.is_err());
        let snapshots = Arc::new(Self {
            stats,
            requests,
            stopping: watch::Sender::new(None),
            failed: watch::Sender::new(None),
            lost: Mutex::new(None),
            thread: Mutex::new(None),
        });
        let service = Service { snapshots: Arc::clone(&snapshots), waiting };
        let thread = essential_thread("quotad-snapshot", "snapshots", move || service.run(parts));
        *snapshots.thread.lock() =
            Some(thread.map_err(|error| format!("no thread could be started: {error}"))?);
        Ok(snapshots)
    }

    /// Asks for a snapshot, and does not wait for it.
    ///
    /// # Errors
    /// When too many wait, or the store has not answered since the start.
    pub fn ask(&self) -> Result<(), String> {
        if let Some(reason) = self.stats.waits_for_store() {
            self.stats.note_failed();
            return Err(not_begun(&reason));
        }
        self.requests.try_send(Request(None)).map_err(|_| "too many snapshots are asked for".to_owned())
    }

    /// Writes a snapshot of everything that was changed before now, and waits for it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn write(&self) -> impl Future<Output = Result<Manifest, String>> + use<> {
        let (answer, answered) = oneshot::channel();
        // Who is told that there is none yet wants none later either.
        let sent = match self.stats.waits_for_store() {
            Some(reason) => Err(not_begun(&reason)),
            None => self
                .requests
                .try_send(Request(Some(answer)))
                .map_err(|_| "too many snapshots are asked for, or the server is ending".to_owned()),
        };
        let stats = Arc::clone(&self.stats);
        async move {
            sent.inspect_err(|_| stats.note_failed())?;
            tokio::select! {
                reason = stats.waiting_for_store() => {
                    stats.note_failed();
                    Err(not_begun(&reason))
                }
                answer = answered => answer.unwrap_or_else(|_| Err("the server is ending".to_owned())),
            }
        }
    }

    /// Waits until the service has failed for good: what lies in the store is not this server's.
    pub async fn failed(&self) -> Arc<str> {
        let mut failed = self.failed.subscribe();
        match failed.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // The sender is in `self`, so it outlives the wait.
            _ => std::future::pending().await,
        }
    }

    /// Writes a last snapshot, for at most `patience`, and ends. Nothing is changed any more.
    ///
    /// # Errors
    /// What is lost, where snapshots are the only copy of anything and the last one could not be written; why the service has failed.
    pub async fn stop(&self, patience: Duration) -> Result<(), String> {
        self.stopping.send_replace(Some(Patience { began: Stopwatch::start(), most: patience }));
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // It ends by itself within its patience.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        let failed = self.failed.borrow().as_ref().map(ToString::to_string);
        self.lost.lock().take().or(failed).map_or(Ok(()), Err)
    }
}

impl Request {
    /// Whether whoever asked does not wait any more.
    fn is_given_up(&self) -> bool {
        self.0.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

fn not_begun(reason: &str) -> String {
    format!("no snapshot can be written yet, since their store has not answered at the start: {reason}")
}

/// The service's own thread.
struct Service {
    snapshots: Arc<Snapshots>,
    waiting: mpsc::Receiver<Request>,
}

impl Service {
    fn run(mut self, parts: SnapshotParts) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return self.fail(&format!("no runtime could be made: {error}")),
        };
        let truth = parts.truth.as_ref().ok().map(|(truth, _)| Arc::clone(truth));
        let is_the_only_copy = !parts.engine.ephemeral_databases().is_empty();
        runtime.block_on(async {
            let mut ending = self.snapshots.stopping.subscribe();
            let stats = Arc::clone(&self.snapshots.stats);
            let mut begin = std::pin::pin!(Running::begin(parts, &stats));
            let begun = tokio::select! {
                begun = &mut begin => begun,
                _ = ending.wait_for(Option::is_some) => {
                    // Who stops a server that was just started wants its last snapshot too, if there can be one.
                    if truth.is_none_or(|truth| !truth.progress.serves()) {
                        return;
                    }
                    match tokio::time::timeout(self.patience(), &mut begin).await {
                        Ok(begun) => begun,
                        Err(_) if is_the_only_copy => return self.note_lost(),
                        Err(_) => return,
                    }
                }
            };
            let running = match begun {
                Ok(running) => running,
                Err(reason) => return self.fail(&reason),
            };
            stats.set_loading(false);
            tokio::select! {
                () = self.serve(&running) => {}
                _ = ending.wait_for(Option::is_some) => {}
            }
            let last = self.write_last(&running);
            if tokio::time::timeout(self.patience(), last).await.is_err() {
                tracing::warn!("the last snapshot was not done in time; the one before stays the newest");
                if is_the_only_copy {
                    self.note_lost();
                }
            }
        });
        runtime.shutdown_background();
    }

    /// How much longer the end may take.
    fn patience(&self) -> Duration {
        let patience = *self.snapshots.stopping.borrow();
        patience.map_or(Duration::ZERO, |Patience { began, most }| {
            most.saturating_sub(Duration::from_micros(began.micros()))
        })
    }

    fn fail(&self, reason: &str) {
        self.snapshots.failed.send_replace(Some(reason.into()));
    }

    /// Writes snapshots on request and at intervals, for good.
    async fn serve(&mut self, running: &Running) {
        loop {
            let request = tokio::select! {
                request = self.waiting.recv() => request,
                () = running.until_due() => None,
            };
            if request.as_ref().is_some_and(Request::is_given_up) {
                continue;
            }
            let is_asked = request.is_some();
            let mut requests: Vec<_> = request.into_iter().collect();
            // Those who wait since the last one began want what was changed before they asked: this one has it.
            while let Ok(request) = self.waiting.try_recv() {
                requests.push(request);
            }
            if !is_asked && !running.has_changes() {
                running.put_off();
                self.snapshots.stats.note_unchanged(running.writer.clock.now());
                continue;
            }
            let written = self.write(running).await;
            let is_written = written.is_ok();
            for Request(answer) in requests {
                if let Some(answer) = answer {
                    // Whoever does not wait any more does not want to know.
                    let _ = answer.send(written.clone());
                }
            }
            if is_written {
                self.prune(running).await;
            }
        }
    }

    /// Writes what was changed behind the last one. Where snapshots are the only copy of anything, a store that fails is asked on.
    async fn write_last(&self, running: &Running) {
        if !running.has_changes() {
            return;
        }
        while self.write(running).await.is_err() && running.is_the_only_copy() {
            tokio::time::sleep(FIRST_PAUSE).await;
        }
    }

    /// Notes that the last snapshot is missing although it is the only copy of something.
    fn note_lost(&self) {
        let figures = self.snapshots.stats.figures();
        let last = figures.last.map_or_else(|| "no snapshot".to_owned(), |last| last.id.to_string());
        let reason = figures
            .trouble
            .map_or_else(|| "it was not done in time".to_owned(), |trouble| (*trouble).clone());
        *self.snapshots.lost.lock() = Some(format!(
            "what was changed behind {last} and is in snapshots only is lost, since the last snapshot was not written: {reason}"
        ));
    }

    async fn write(&self, running: &Running) -> Result<Manifest, String> {
        let stats = &self.snapshots.stats;
        stats.begin(running.writer.clock.now());
        running.put_off();
        match running.writer.write().await {
            Ok(manifest) => {
                stats.end_with(&manifest, running.writer.told_unconfirmed(&manifest));
                running.note_written(&manifest);
                tracing::info!(
                    id = %manifest.snapshot(),
                    entries = manifest.entries(),
                    bytes = manifest.parts.iter().map(|part| part.bytes).sum::<u64>(),
                    millis = manifest.duration_us / 1_000,
                    confirmed = manifest.confirmed,
                    exact = manifest.extent == Extent::Cut,
                    "a snapshot was written"
                );
                Ok(manifest)
            }
            Err(error) => {
                tracing::error!("no snapshot was written: {error}");
                stats.end_failed(error.to_string());
                Err(error.to_string())
            }
        }
    }

    async fn prune(&self, running: &Running) {
        let retention = (running.retention)();
        let now = running.writer.clock.now();
        match retention::prune(&running.writer.catalog, &retention, now, false).await {
            Ok(pruned) => {
                self.snapshots.stats.note_deleted(pruned.snapshots.len());
                for id in &pruned.snapshots {
                    tracing::info!(%id, "a snapshot was deleted, as snapshot-keep says");
                }
            }
            Err(error) => tracing::warn!("old snapshots stay for now: {error}"),
        }
    }
}

/// The service once it has its data.
struct Running {
    writer: Writer,
    interval: Box<dyn Fn() -> Duration + Send + Sync>,
    retention: Box<dyn Fn() -> Retention + Send + Sync>,
    /// Since the last one began.
    since_last: Mutex<Stopwatch>,
    /// The last batch that is in a snapshot which the truth has confirmed.
    last_seq: Mutex<Option<u64>>,
    /// Locked until the end.
    _directory: Option<DataDirectory>,
}

impl Running {
    /// Waits for the truth, or fills memory from the newest snapshot where there is none.
    async fn begin(parts: SnapshotParts, stats: &SnapshotStats) -> Result<Self, String> {
        let SnapshotParts { catalog, engine, gate, clock, truth, holder, start, interval, retention } = parts;
        let mut loaded_from = None;
        let (source, directory) = match truth {
            Ok((truth, kind)) => {
                wait_until_loaded(&truth).await;
                let data_set = truth.data_set().ok_or("the truth has no data set")?;
                let owner = truth.owner().ok_or("the truth has no owner")?;
                let epochs = truth.epochs().map_or_else(Vec::new, |epochs| epochs.rows.clone());
                let claimant =
                    Claimant { data_set, start, holder: holder.clone(), now: clock.now(), owner, epochs };
                let epoch = truth.progress.epoch();
                patiently(stats, async || catalog.refuse_plain_beside_sealed().await).await?;
                patiently(stats, async || catalog.claim(&claimant, epoch).await).await?;
                (Source::Truth { truth, kind }, None)
            }
            Err(mut directory) => {
                let data_set = match directory.data_set() {
                    Some(data_set) => data_set,
                    None => {
                        let data_set = start;
                        directory.set_data_set(data_set).map_err(|error| error.to_string())?;
                        data_set
                    }
                };
                let (owner, now) = (directory.owner(), clock.now());
                let claimant =
                    Claimant { data_set, start, holder: holder.clone(), now, owner, epochs: Vec::new() };
                let epoch = patiently(stats, async || catalog.take_epoch(&claimant).await).await?;
                let loaded = async || load::fill_memory(&catalog, &engine, &clock, stats).await;
                loaded_from = patiently(stats, loaded).await?;
                engine.end_loading();
                let memory = MemorySource {
                    engine: Arc::clone(&engine),
                    gate,
                    clock: Arc::clone(&clock),
                    data_set,
                    epoch,
                    seq: Mutex::new(0),
                };
                (Source::Memory(memory), Some(directory))
            }
        };
        let writer = Writer { catalog, source: Arc::new(source), engine, clock, holder };
        let running = Self {
            writer,
            interval,
            retention,
            since_last: Mutex::new(Stopwatch::start()),
            last_seq: Mutex::new(None),
            _directory: directory,
        };
        running.find_last(stats, loaded_from).await;
        Ok(running)
    }

    /// The newest snapshot that is there already: the one that memory was filled from, where it was.
    async fn find_last(&self, stats: &SnapshotStats, loaded_from: Option<SnapshotId>) {
        let Ok(ids) = self.writer.catalog.ids().await else { return };
        for id in ids.into_iter().filter(|&id| loaded_from.is_none_or(|from| id <= from)) {
            let Ok(manifest) = self.writer.catalog.manifest(id).await else { continue };
            stats.note_last(&manifest);
            if manifest.confirmed && manifest.complete {
                self.limit_pruning(&manifest);
                return;
            }
        }
    }

    fn note_written(&self, manifest: &Manifest) {
        if manifest.confirmed && manifest.complete {
            *self.last_seq.lock() = Some(manifest.seq);
            self.limit_pruning(manifest);
        }
    }

    fn limit_pruning(&self, manifest: &Manifest) {
        if let Some(truth) = self.writer.source.truth() {
            truth.limit_pruning(manifest.seq, manifest.cut_at);
        }
    }

    /// Whether anything was changed since the last snapshot; of what no truth gets nobody knows.
    fn has_changes(&self) -> bool {
        let last = *self.last_seq.lock();
        self.is_the_only_copy() || last.is_none_or(|last| self.writer.source.changed_before() > last)
    }

    /// Whether anything is kept by snapshots alone.
    fn is_the_only_copy(&self) -> bool {
        !self.writer.engine.ephemeral_databases().is_empty()
    }

    fn put_off(&self) {
        *self.since_last.lock() = Stopwatch::start();
    }

    /// Waits until the interval is over, which may be changed meanwhile.
    async fn until_due(&self) {
        loop {
            let interval = (self.interval)();
            let passed = Duration::from_micros(self.since_last.lock().micros());
            let left = interval.saturating_sub(passed);
            if left.is_zero() && !interval.is_zero() {
                return;
            }
            let pause = if interval.is_zero() { INTERVAL_LOOK } else { left.min(INTERVAL_LOOK) };
            tokio::time::sleep(pause).await;
        }
    }
}

/// How often it is looked whether the interval was changed.
const INTERVAL_LOOK: Duration = Duration::from_secs(1);

async fn wait_until_loaded(truth: &Truth) {
    truth.progress.wait_until_serving().await;
    while !truth.loading.is_over() {
        tokio::time::sleep(LOADING_PAUSE).await;
    }
}

/// Asks until the store answers. What it refuses is refused for good.
async fn patiently<T>(
    stats: &SnapshotStats,
    ask: impl AsyncFn() -> Result<T, SnapshotError>,
) -> Result<T, String> {
    let mut pause = FIRST_PAUSE;
    loop {
        match ask().await {
            Ok(answer) => {
                stats.wait_for_store(None);
                return Ok(answer);
            }
            Err(error) if error.is_temporary() => {
                tracing::warn!("waiting for the store of snapshots: {error}");
                stats.wait_for_store(Some(error.to_string()));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
