//! Loads a snapshot into memory, on all cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use super::catalog::Catalog;
use super::error::SnapshotError;
use super::format::{Entry, Holds, Manifest, ManifestPart, SnapshotId, TruthKind};
use super::names;
use super::stats::SnapshotStats;
use crate::clock::{Clock, Stopwatch};
use crate::engine::Engine;
use crate::persist::ClosedPeriod;

/// Parts that are fetched at a time; with those that are read, so much memory is taken.
const FETCHED_AT_ONCE: usize = 3;

/// Hands every entry of a snapshot to `put`, which is called by several threads at once. Answers how many entries there were.
///
/// # Errors
/// The first part that cannot be read; what was handed out before is of parts that may be damaged further on, and each such entry is
/// one that was written, since every block is checked before its entries are shown.
pub async fn load(
    catalog: &Catalog,
    manifest: &Arc<Manifest>,
    put: Arc<dyn Fn(Entry<'_>) + Send + Sync>,
) -> Result<u64, SnapshotError> {
    load_entries(catalog, manifest, |_| true, put).await
}

/// As [`load`], of those parts that are `wanted`.
///
/// # Errors
/// As [`load`].
pub(super) async fn load_entries(
    catalog: &Catalog,
    manifest: &Arc<Manifest>,
    wanted: impl Fn(&ManifestPart) -> bool,
    put: Arc<dyn Fn(Entry<'_>) + Send + Sync>,
) -> Result<u64, SnapshotError> {
    let read = move |catalog: &Catalog, manifest: &Manifest, number: usize, bytes: &[u8]| {
        let visit = |entry: Entry<'_>| {
            put(entry);
            Ok(())
        };
        catalog.read(manifest, number, bytes, visit)
    };
    let wanted = |part: &ManifestPart| part.holds == Holds::Entries && wanted(part);
    load_parts(catalog, manifest, wanted, Arc::new(read)).await
}

/// As [`load`], of the closed periods.
///
/// # Errors
/// As [`load`].
pub(super) async fn load_closed(
    catalog: &Catalog,
    manifest: &Arc<Manifest>,
    put: Arc<dyn Fn(ClosedPeriod) + Send + Sync>,
) -> Result<u64, SnapshotError> {
    let read = move |catalog: &Catalog, manifest: &Manifest, number: usize, bytes: &[u8]| {
        let visit = |period| {
            put(period);
            Ok(())
        };
        catalog.read_closed(manifest, number, bytes, visit)
    };
    let wanted = |part: &ManifestPart| part.holds == Holds::ClosedPeriods;
    load_parts(catalog, manifest, wanted, Arc::new(read)).await
}

/// Reads one part: the catalog, the manifest, the part's number and bytes.
type Read = Arc<dyn Fn(&Catalog, &Manifest, usize, &[u8]) -> Result<u64, SnapshotError> + Send + Sync>;

/// Reads the parts that are `wanted`; answers how much they hold.
async fn load_parts(
    catalog: &Catalog,
    manifest: &Arc<Manifest>,
    wanted: impl Fn(&ManifestPart) -> bool,
    read: Read,
) -> Result<u64, SnapshotError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut working = JoinSet::new();
    let mut entries = 0;
    let mut fetched = fetch(catalog.clone(), Arc::clone(manifest), wanted);
    while let Some((number, bytes)) = fetched.recv().await {
        while working.len() >= threads {
            entries += joined(working.join_next().await)?;
        }
        let bytes = bytes?;
        let (catalog, manifest, read) = (catalog.clone(), Arc::clone(manifest), Arc::clone(&read));
        working.spawn(async move {
            let read = move || read(&catalog, &manifest, number, &bytes);
            spawn_blocking(read).await.unwrap_or_else(|_| Err(SnapshotError::failed("its thread was lost")))
        });
    }
    while !working.is_empty() {
        entries += joined(working.join_next().await)?;
    }
    Ok(entries)
}

type Joined = Option<Result<Result<u64, SnapshotError>, tokio::task::JoinError>>;

fn joined(done: Joined) -> Result<u64, SnapshotError> {
    done.map_or(Ok(0), |done| done.unwrap_or_else(|_| Err(SnapshotError::failed("its thread was lost"))))
}

type Fetched = (usize, Result<bytes::Bytes, SnapshotError>);

/// Fetches the parts of a snapshot, a few ahead of whoever takes them.
fn fetch(
    catalog: Catalog,
    manifest: Arc<Manifest>,
    wanted: impl Fn(&ManifestPart) -> bool,
) -> mpsc::Receiver<Fetched> {
    let (fetched, taken) = mpsc::channel(FETCHED_AT_ONCE);
    let numbers = (0..manifest.parts.len()).filter(|&number| wanted(&manifest.parts[number]));
    let numbers: Vec<usize> = numbers.collect();
    tokio::spawn(async move {
        for number in numbers {
            let bytes = catalog.part(&manifest.parts[number]).await;
            if fetched.send((number, bytes)).await.is_err() {
                return;
            }
        }
    });
    taken
}

/// Fills memory that is all there is from the newest snapshot that can be read.
///
/// # Errors
/// When the store does not answer, or snapshots are there and none of them can be read: an empty server would begin every quota afresh.
pub(super) async fn fill_memory(
    catalog: &Catalog,
    engine: &Arc<Engine>,
    clock: &Arc<dyn Clock>,
    stats: &SnapshotStats,
) -> Result<Option<SnapshotId>, SnapshotError> {
    let mut first_error = None;
    for id in catalog.ids().await? {
        match fill_from(catalog, engine, clock, stats, id).await {
            Ok(true) => {
                if let Some(error) = first_error {
                    stats.note_trouble(format!(
                        "memory was filled from {id}, since a newer snapshot is damaged: {error}"
                    ));
                }
                return Ok(Some(id));
            }
            Ok(false) => {}
            Err(error) if error.is_temporary() => return Err(error),
            Err(error) if !error.is_damage() => {
                return Err(SnapshotError::OtherData(format!(
                    "the snapshot {id} in {} cannot be read as things are: {error}; an older one in its place would grant again what was used \
                     since: see to it that this one can be read, or delete {} and begin with the one before",
                    catalog.objects.describe(),
                    names::manifest(id)
                )));
            }
            Err(error) => {
                tracing::error!(%id, "a snapshot cannot be loaded, the one before is tried: {error}");
                // What came of it would be mixed with the one before.
                engine.forget_loaded();
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        None => Ok(None),
        Some(error) => Err(SnapshotError::OtherData(format!(
            "no snapshot in {} can be loaded: {error}; restore one that can, or begin empty with another --snapshots",
            catalog.objects.describe()
        ))),
    }
}

/// Fills memory from this snapshot; `false`: it is one of a truth, and no state of a server without one.
async fn fill_from(
    catalog: &Catalog,
    engine: &Arc<Engine>,
    clock: &Arc<dyn Clock>,
    stats: &SnapshotStats,
    id: SnapshotId,
) -> Result<bool, SnapshotError> {
    let manifest = Arc::new(catalog.manifest(id).await?);
    if manifest.truth != TruthKind::None {
        tracing::warn!(%id, "a snapshot of a server with a truth is not loaded: quotad snapshot restore brings it into a truth");
        return Ok(false);
    }
    let stopwatch = Stopwatch::start();
    let now = clock.now();
    let loaded = Arc::new(AtomicU64::new(0));
    let put = {
        let (engine, loaded) = (Arc::clone(engine), Arc::clone(&loaded));
        move |Entry { database, key, content, expiry }: Entry<'_>| {
            if !expiry.has_passed(now) && engine.load(database, key, (content, expiry), now) {
                loaded.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    load(catalog, &manifest, Arc::new(put)).await?;
    let keys = loaded.load(Ordering::Relaxed);
    stats.note_loaded(keys, stopwatch.micros());
    tracing::info!(
        %id,
        keys,
        age_secs = now.micros_since(manifest.cut_at) / 1_000_000,
        millis = stopwatch.micros() / 1_000,
        "memory was filled from a snapshot; what was changed behind it is lost"
    );
    Ok(true)
}
