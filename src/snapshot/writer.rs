//! Writes one snapshot: memory at a cut, what only the truth has, the closed periods, then the manifest that makes it one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use super::catalog::Catalog;
use super::error::SnapshotError;
use super::format::{Extent, Manifest, ManifestPart, SealingKey, SnapshotId};
use super::names;
use super::objects::Created;
use super::source::Source;
use super::walk::{Numbered, PartOptions, Parts};
use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::engine::{DATABASES, DatabaseSet, Engine, SnapshotCut};
use crate::persist::{ClosedUntil, Moment, Truth, Written};

/// Parts that are ended and wait to be sent.
const WAITING_PARTS: usize = 1;

/// Parts that are sent at a time. With those that wait and are made, some 20 MiB of memory.
const SENT_AT_ONCE: usize = 3;

/// Rows of the truth that are read at a time.
const PAGE_ROWS: u32 = 5_000;

/// How long the truth may take to have what a snapshot has; then it is published as not confirmed.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether waiting for the truth is of use.
const TROUBLE_LOOK: Duration = Duration::from_millis(200);

/// How often a moment is taken again whose name is taken, and the pause between: names have seconds.
const NAME_TRIES: u32 = 4;
const NAME_PAUSE: Duration = Duration::from_millis(500);

/// Writes snapshots, one at a time.
pub struct Writer {
    /// Where they go.
    pub catalog: Catalog,
    /// What they are of.
    pub source: Arc<Source>,
    /// All keys.
    pub engine: Arc<Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// This server for people.
    pub holder: String,
}

/// A snapshot whose parts are made.
struct Made {
    extent: Extent,
    is_confirmed: bool,
    is_complete: bool,
    counts: [u64; DATABASES],
    closed_periods: Option<u64>,
}

impl Writer {
    /// Writes a snapshot of everything as it is now, and answers its manifest.
    ///
    /// # Errors
    /// Why there is none. Parts that were sent are deleted, or found later without a manifest and deleted then.
    pub async fn write(&self) -> Result<Manifest, SnapshotError> {
        let stopwatch = Stopwatch::start();
        self.catalog.refuse_successor(self.source.epoch()).await?;
        let data_set =
            self.source.data_set().ok_or_else(|| SnapshotError::failed("the data is not there yet"))?;
        let Moment { cut, epoch, seq, at } = self.unnamed_moment().await?;
        let id = SnapshotId::new(at, epoch, seq);
        let key = self.catalog.keys.sealing().cloned();
        let key_id = key.as_ref().map(SealingKey::id);
        let (taker, ended) = mpsc::channel(WAITING_PARTS);
        let parts = Parts::new(
            PartOptions { data_set, snapshot: id, cut_at: at, key, ephemeral: self.ephemeral() },
            taker,
        );
        let (made, sent) = tokio::join!(self.make(Arc::new(cut), parts, (seq, at)), self.send(id, ended));
        // Where sending fails, making fails too, and only the former tells why.
        let written = sent.and_then(|parts| made.map(|made| (made, parts)));
        let (made, parts) = self.or_discard(id, written).await?;
        let Made { extent, is_confirmed, is_complete, counts, closed_periods } = made;
        let manifest = Manifest {
            data_set,
            epoch,
            seq,
            cut_at: at,
            extent,
            confirmed: is_confirmed,
            complete: is_complete,
            truth: self.source.kind(),
            ephemeral: self.ephemeral(),
            databases: databases_of(&counts),
            closed_periods,
            parts,
            key_id,
            quotad_version: env!("CARGO_PKG_VERSION").to_owned(),
            holder: self.holder.clone(),
            duration_us: stopwatch.micros(),
        };
        let refused = self.catalog.refuse_successor(self.source.epoch()).await;
        self.or_discard(id, refused).await?;
        // Where that fails, the manifest may be there all the same: its parts stay until they are found without one.
        self.publish(&manifest).await.map(|()| manifest)
    }

    /// A moment whose snapshot has a name that no other has: where nothing was changed, two of one second would share it.
    async fn unnamed_moment(&self) -> Result<Moment, SnapshotError> {
        let known = self.catalog.ids().await?;
        for _ in 0..NAME_TRIES {
            let moment = self.source.moment().await.map_err(SnapshotError::Failed)?;
            if !known.contains(&SnapshotId::new(moment.at, moment.epoch, moment.seq)) {
                return Ok(moment);
            }
            // Nothing is kept for it meanwhile.
            drop(moment);
            tokio::time::sleep(NAME_PAUSE).await;
        }
        Err(SnapshotError::failed("its name is taken: the clock was set back, and nothing has changed since"))
    }

    /// The databases that the truth does not have; none where there is no truth.
    fn ephemeral(&self) -> DatabaseSet {
        self.source.truth().map_or(DatabaseSet::NONE, |_| self.engine.ephemeral_databases())
    }

    /// Makes all parts, of the cut with this number and time.
    async fn make(
        &self,
        cut: Arc<SnapshotCut>,
        parts: Parts,
        (seq, at): (u64, Timestamp),
    ) -> Result<Made, SnapshotError> {
        let gaps = self.chain_gaps();
        let (mut parts, is_complete, extent) = self.make_entries(cut, parts, seq).await?;
        let until = match extent {
            Extent::Cut => ClosedUntil { seq, at },
            // What is read may be as late as now.
            Extent::Interval { until_seq } => ClosedUntil { seq: until_seq, at: self.clock.now() },
        };
        let is_confirmed = self.confirm(until.seq).await;
        let has_closed = is_confirmed;
        if has_closed && self.source.truth().is_some() {
            parts = self.read_closed(parts, until).await?;
        }
        // What was read between a failover and the replay of what it had lost is older than the cut.
        let is_confirmed = is_confirmed && self.still_has(until.seq).await && self.chain_gaps() == gaps;
        let ended = spawn_blocking(move || parts.end()).await;
        let (counts, closed) = ended.unwrap_or_else(|_| Err(lost_thread()))?;
        // Without a truth there are none; from one that was not asked in time they are missing.
        let closed_periods = has_closed.then_some(closed);
        let is_complete = is_complete && is_confirmed;
        Ok(Made { extent, is_confirmed, is_complete, counts, closed_periods })
    }

    /// Makes the parts with entries. Whether all were there, and of which time they are.
    async fn make_entries(
        &self,
        cut: Arc<SnapshotCut>,
        parts: Parts,
        seq: u64,
    ) -> Result<(Parts, bool, Extent), SnapshotError> {
        let reading = Arc::clone(&cut);
        let mut parts = blocking(parts, move |parts| parts.read_memory(&reading)).await?;
        let mut is_complete = true;
        if !self.engine.has_everything()
            && let Some(truth) = self.source.truth()
        {
            (parts, is_complete) = self.read_truth(truth, parts, seq).await?;
            let reading = Arc::clone(&cut);
            parts = blocking(parts, move |parts| parts.read_kept(&reading)).await?;
        }
        if cut.has_gap() {
            return Err(SnapshotError::failed(
                "a database was emptied while its keys were read from the truth; the next snapshot has it empty",
            ));
        }
        let extent = if cut.is_exact() {
            Extent::Cut
        } else {
            Extent::Interval { until_seq: self.source.changed_before().max(seq) }
        };
        Ok((parts, is_complete, extent))
    }

    /// Adds the closed periods, which only the truth has. A row that cannot be read is no part of any report either, and is left out.
    async fn read_closed(&self, mut parts: Parts, until: ClosedUntil) -> Result<Parts, SnapshotError> {
        let store = self.source.truth().and_then(|truth| truth.store());
        let store = store.ok_or_else(|| SnapshotError::failed("the truth is not there any more"))?;
        let mut after = None;
        loop {
            let page = store.scan_closed(until, after.as_ref(), PAGE_ROWS).await;
            let page = page.map_err(SnapshotError::failed)?;
            parts = blocking(parts, move |parts| parts.add_closed(&page.periods)).await?;
            after = page.next;
            if after.is_none() {
                return Ok(parts);
            }
        }
    }

    /// Adds what only the truth has: every row as it was at the cut, those in memory once more. Whether the truth had the cut in time.
    async fn read_truth(
        &self,
        truth: &Arc<Truth>,
        mut parts: Parts,
        seq: u64,
    ) -> Result<(Parts, bool), SnapshotError> {
        let store = truth.store().ok_or_else(|| SnapshotError::failed("the truth is not there yet"))?;
        if !has_applied(truth, seq).await || !truth.still_has(seq).await {
            return Ok((parts, false));
        }
        // What was changed behind the cut was in memory then, which has kept it.
        let written = Written { behind: 0, up_to: seq, with_gone: false };
        let (mut after, mut is_complete) = (None, true);
        loop {
            let page = store.scan_written(written, after.as_ref(), PAGE_ROWS, self.clock.now()).await;
            let mut page = page.map_err(SnapshotError::failed)?;
            // A start would take a key for absent that is not in it.
            is_complete &= page.damaged.is_empty();
            page.records.retain(|record| !self.engine.has_changed(record.database, &record.key));
            parts = blocking(parts, move |parts| parts.add_records(page.records)).await?;
            after = page.next;
            if after.is_none() {
                return Ok((parts, is_complete));
            }
        }
    }

    /// Sends the parts as they come; answers what the manifest says of them.
    async fn send(
        &self,
        id: SnapshotId,
        mut ended: mpsc::Receiver<Numbered>,
    ) -> Result<Vec<ManifestPart>, SnapshotError> {
        let mut sending = JoinSet::new();
        let mut sent = Vec::new();
        while let Some(Numbered { number, holds, part, databases }) = ended.recv().await {
            if sending.len() == SENT_AT_ONCE {
                sent.extend(sending.join_next().await.transpose().map_err(SnapshotError::failed)?);
            }
            let objects = self.catalog.objects.clone();
            sending.spawn(async move {
                let name = names::part(id, number);
                let told = ManifestPart {
                    name: name.clone(),
                    bytes: u64::try_from(part.bytes.len()).unwrap_or(u64::MAX),
                    sha256: part.sha256,
                    entries: part.entries,
                    databases,
                    holds,
                };
                let put = objects.put(&name, Bytes::from(part.bytes)).await;
                put.map(|()| (number, told)).map_err(SnapshotError::from)
            });
        }
        while let Some(done) = sending.join_next().await {
            sent.push(done.map_err(SnapshotError::failed)?);
        }
        let mut parts = sent.into_iter().collect::<Result<Vec<_>, _>>()?;
        parts.sort_unstable_by_key(|(number, _)| *number);
        Ok(parts.into_iter().map(|(_, part)| part).collect())
    }

    /// Whether the truth has everything that a snapshot has: only then may it be taken for a state of the truth.
    async fn confirm(&self, last_seq: u64) -> bool {
        let Some(truth) = self.source.truth() else { return true };
        truth.hurry();
        // What it has refused is in memory and so in the snapshot, but a start from the truth would not bring it back.
        has_applied(truth, last_seq).await && !truth.refusals.has_rows()
    }

    /// Why a snapshot is not confirmed, and what that means; `None`: it is.
    pub(super) fn told_unconfirmed(&self, manifest: &Manifest) -> Option<String> {
        if manifest.confirmed {
            return None;
        }
        let refused = self.source.truth().is_some_and(|truth| truth.refusals.has_rows());
        let reason = if refused {
            "the truth has refused rows that are in it, until their keys are written again or deleted"
        } else {
            "the truth has not taken in time all that is in it, or has lost some"
        };
        let told = format!(
            "the last snapshot is not confirmed, so that starts and restores pass it over (--any takes it): {reason}"
        );
        tracing::warn!(id = %manifest.snapshot(), "{told}");
        Some(told)
    }

    async fn still_has(&self, seq: u64) -> bool {
        match self.source.truth() {
            Some(truth) => truth.still_has(seq).await,
            None => true,
        }
    }

    /// How often the truth has lost batches.
    fn chain_gaps(&self) -> u64 {
        self.source.truth().map_or(0, |truth| truth.stats.chain_gaps.value())
    }

    /// Makes the snapshot one: from now on it is found.
    async fn publish(&self, manifest: &Manifest) -> Result<(), SnapshotError> {
        let name = names::manifest(manifest.snapshot());
        let text =
            manifest.encode(&self.catalog.keys).map_err(|error| SnapshotError::format(&name, error))?;
        match self.catalog.objects.create(&name, Bytes::from(text)).await? {
            Created::New => Ok(()),
            Created::Exists => Err(SnapshotError::OtherData(format!(
                "{name} is there already, written by somebody else: two servers write here with one epoch"
            ))),
        }
    }

    /// Behind an error deletes what was sent of a snapshot whose manifest was not.
    async fn or_discard<T>(
        &self,
        id: SnapshotId,
        result: Result<T, SnapshotError>,
    ) -> Result<T, SnapshotError> {
        if result.is_err()
            && let Err(error) = self.catalog.discard(id).await
        {
            tracing::debug!(%id, "parts of a failed snapshot stay for now: {error}");
        }
        result
    }
}

/// Waits for the truth to have a batch, unless it is known to be away.
async fn has_applied(truth: &Truth, seq: u64) -> bool {
    let waiting = async {
        while tokio::time::timeout(TROUBLE_LOOK, truth.progress.wait_applied(seq)).await.is_err() {
            if truth.stats.trouble.load().is_some() || truth.progress.is_fenced() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(CONFIRM_PATIENCE, waiting).await.unwrap_or(false)
}

/// Works on parts on another thread, and gives them back.
async fn blocking(
    mut parts: Parts,
    work: impl FnOnce(&mut Parts) -> Result<(), SnapshotError> + Send + 'static,
) -> Result<Parts, SnapshotError> {
    let worked = spawn_blocking(move || work(&mut parts).map(|()| parts)).await;
    worked.unwrap_or_else(|_| Err(lost_thread()))
}

fn lost_thread() -> SnapshotError {
    SnapshotError::failed("a thread that worked on it was lost")
}

/// The databases that have entries, with how many.
fn databases_of(counts: &[u64; DATABASES]) -> BTreeMap<u8, u64> {
    (0..).zip(counts).filter(|(_, count)| **count > 0).map(|(database, &count)| (database, count)).collect()
}
