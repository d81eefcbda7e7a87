//! Reads memory as it was at a cut, and makes parts of it: on threads of their own, since it takes a core for a while.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::error::SnapshotError;
use super::format::{BLOCK_BYTES, FinishedPart, PartHeader, PartWriter, SealingKey, SnapshotId};
use crate::clock::Timestamp;
use crate::engine::{DATABASES, Expiry, SnapshotCut, SnapshotPlace, Visit};
use crate::engine::value::Content;
use crate::persist::DataSetId;

/// Bytes from which a part is ended. Small, since so much memory is held for each part that is made or on its way.
pub(super) const PART_BYTES: usize = 4 << 20;

/// Bytes of old states kept for the snapshot from which they are read before anything else.
const KEPT_BYTES: u64 = 4 << 20;

/// A part with its number.
pub(super) struct Numbered {
    /// Its number.
    pub number: u32,
    /// What it is.
    pub part: FinishedPart,
}

/// What all parts of a snapshot have in common.
pub(super) struct PartMaker {
    pub data_set: DataSetId,
    pub snapshot: SnapshotId,
    pub cut_at: Timestamp,
    pub key: Option<SealingKey>,
    /// Where parts go that are ended; whoever ends one waits until it is taken.
    pub parts: mpsc::Sender<Numbered>,
    numbers: AtomicU32,
    /// Entries by database.
    counts: Mutex<[u64; DATABASES]>,
}

impl PartMaker {
    pub(super) fn new(
        data_set: DataSetId,
        snapshot: SnapshotId,
        cut_at: Timestamp,
        key: Option<SealingKey>,
        parts: mpsc::Sender<Numbered>,
    ) -> Self {
        let (numbers, counts) = (AtomicU32::new(0), Mutex::new([0; DATABASES]));
        Self { data_set, snapshot, cut_at, key, parts, numbers, counts }
    }

    /// Entries by database, of all parts that were ended.
    pub(super) fn counts(&self) -> [u64; DATABASES] {
        *self.counts.lock()
    }
}

/// One part after the other.
pub(super) struct Parts {
    maker: Arc<PartMaker>,
    open: Option<(u32, PartWriter)>,
    counts: [u64; DATABASES],
    /// Bytes that were added since the last blocks were packed.
    added: usize,
}

impl Parts {
    pub(super) fn new(maker: &Arc<PartMaker>) -> Self {
        Self { maker: Arc::clone(maker), open: None, counts: [0; DATABASES], added: 0 }
    }

    /// Makes room for entries, outside of any guard.
    fn open(&mut self) -> Result<&mut PartWriter, SnapshotError> {
        if self.open.is_none() {
            let number = self.maker.numbers.fetch_add(1, Ordering::Relaxed);
            let header =
                PartHeader { data_set: self.maker.data_set, snapshot: self.maker.snapshot, number };
            let writer =
                PartWriter::new(&header, self.maker.key.as_ref()).map_err(SnapshotError::failed)?;
            self.open = Some((number, writer));
        }
        let (_, writer) = self.open.as_mut().expect("it was opened");
        Ok(writer)
    }

    /// Adds an entry, unless it had ended at the cut, and says when it is time to pack. Under a guard, so nothing is packed here.
    pub(super) fn add(&mut self, database: u8, key: &[u8], content: &Content, expiry: Expiry) -> ControlFlow<()> {
        if expiry.has_passed(self.maker.cut_at) {
            return ControlFlow::Continue(());
        }
        let (_, writer) = self.open.as_mut().expect("a part is open while entries are added");
        writer.entry(database, key, content, expiry);
        self.counts[usize::from(database)] += 1;
        self.added += key.len() + content.heap_bytes();
        if self.added < BLOCK_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Adds entries that `read` hands out, then packs what is full and sends a part that is.
    pub(super) fn fill<R>(&mut self, read: impl FnOnce(Visit<'_>) -> R) -> Result<R, SnapshotError> {
        self.open()?;
        let result = read(&mut |entry| self.add(entry.database, entry.key, &entry.content, entry.expiry));
        self.added = 0;
        let (_, writer) = self.open.as_mut().expect("it was opened");
        writer.turn_block().map_err(SnapshotError::failed)?;
        if writer.stored_bytes() >= PART_BYTES || writer.is_full() {
            self.end()?;
        }
        Ok(result)
    }

    /// Ends the part that is open, if one is, and waits until it is taken.
    pub(super) fn end(&mut self) -> Result<(), SnapshotError> {
        let Some((number, writer)) = self.open.take() else { return Ok(()) };
        let part = writer.finish().map_err(SnapshotError::failed)?;
        let mut counts = self.maker.counts.lock();
        counts.iter_mut().zip(std::mem::take(&mut self.counts)).for_each(|(all, more)| *all += more);
        drop(counts);
        // Empty ones are of no use, but their number is taken.
        if part.entries > 0 {
            let sent = self.maker.parts.blocking_send(Numbered { number, part });
            sent.map_err(|_| SnapshotError::failed("nobody takes its parts any more"))?;
        }
        Ok(())
    }
}

/// Reads all of memory on `threads` threads, this one among them.
pub(super) fn read_memory(cut: &SnapshotCut, maker: &Arc<PartMaker>, threads: usize) -> Result<(), SnapshotError> {
    let places = cut.places();
    let next = AtomicUsize::new(0);
    let work = || read_places(cut, &places, &next, &mut Parts::new(maker));
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mine = work();
        let others = others.into_iter().map(|other| {
            other.join().unwrap_or_else(|_| Err(SnapshotError::failed("a thread of it was lost")))
        });
        others.fold(mine, Result::and)
    })?;
    read_kept(cut, maker)
}

fn read_places(
    cut: &SnapshotCut,
    places: &[SnapshotPlace],
    next: &AtomicUsize,
    parts: &mut Parts,
) -> Result<(), SnapshotError> {
    while let Some(&place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mut slot = Some(0);
        while let Some(from) = slot {
            slot = parts.fill(|add| cut.read(place, from, add))?;
            if cut.kept_bytes() > KEPT_BYTES {
                for &place in places {
                    while parts.fill(|add| cut.read_kept(place, add))? {}
                }
            }
        }
    }
    parts.end()
}

/// Reads what changed behind the cut and was kept, and what was emptied away.
pub(super) fn read_kept(cut: &SnapshotCut, maker: &Arc<PartMaker>) -> Result<(), SnapshotError> {
    let mut parts = Parts::new(maker);
    for place in cut.places() {
        while parts.fill(|add| cut.read_kept(place, add))? {}
    }
    while parts.fill(|add| cut.read_emptied(add))? {}
    parts.end()
}
