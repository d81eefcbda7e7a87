//! What is known of the snapshots of this server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::format::{Extent, Manifest, SnapshotId};
use crate::clock::Timestamp;

/// Counts and the last results.
#[derive(Default)]
pub struct SnapshotStats {
    is_running: AtomicBool,
    is_loading: AtomicBool,
    written: AtomicU64,
    failed: AtomicU64,
    inexact: AtomicU64,
    unconfirmed: AtomicU64,
    deleted: AtomicU64,
    last_micros: AtomicU64,
    began_micros: AtomicU64,
    loaded_entries: AtomicU64,
    load_micros: AtomicU64,
    last: Mutex<Option<LastSnapshot>>,
    /// When the server began.
    since_micros: AtomicU64,
    /// When it was seen last that nothing was changed since the last one.
    unchanged_micros: AtomicU64,
    trouble: ArcSwapOption<String>,
    /// Why snapshots have not begun yet, where the store is waited for.
    waits_for: watch::Sender<Option<Arc<str>>>,
}

/// The last snapshot that was written, or found at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSnapshot {
    /// Which one.
    pub id: SnapshotId,
    /// When its cut was.
    pub at: Timestamp,
    /// Its entries.
    pub entries: u64,
    /// The bytes of its parts.
    pub bytes: u64,
}

impl From<&Manifest> for LastSnapshot {
    fn from(manifest: &Manifest) -> Self {
        let bytes = manifest.parts.iter().map(|part| part.bytes).sum();
        Self { id: manifest.snapshot(), at: manifest.cut_at, entries: manifest.entries(), bytes }
    }
}

/// One look at all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotFigures {
    /// Whether one is written now.
    pub is_running: bool,
    /// When the one that is written began.
    pub began: Timestamp,
    /// Snapshots that were written.
    pub written: u64,
    /// Snapshots that failed.
    pub failed: u64,
    /// Those written that are not of one moment, since changes came faster than they were read.
    pub inexact: u64,
    /// Those written that the truth did not confirm in time.
    pub unconfirmed: u64,
    /// Snapshots that retention deleted.
    pub deleted: u64,
    /// How long the last one took.
    pub last_micros: u64,
    /// Entries loaded at the start.
    pub loaded_entries: u64,
    /// How long that took.
    pub load_micros: u64,
    /// The last one.
    pub last: Option<LastSnapshot>,
    /// Up to when everything is in a snapshot; before the first one, when the server began.
    pub as_of: Timestamp,
    /// Why the last try failed; `None`: it did not.
    pub trouble: Option<Arc<String>>,
}

impl SnapshotStats {
    /// Of a server that begins now.
    pub(super) fn since(now: Timestamp) -> Self {
        Self { since_micros: AtomicU64::new(now.as_micros()), ..Self::default() }
    }

    /// A look at all of it.
    #[must_use]
    pub fn figures(&self) -> SnapshotFigures {
        let value = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let last = *self.last.lock();
        let cut = last.map_or_else(|| value(&self.since_micros), |last| last.at.as_micros());
        SnapshotFigures {
            is_running: self.is_running.load(Ordering::Relaxed),
            began: Timestamp::from_micros(value(&self.began_micros)),
            written: value(&self.written),
            failed: value(&self.failed),
            inexact: value(&self.inexact),
            unconfirmed: value(&self.unconfirmed),
            deleted: value(&self.deleted),
            last_micros: value(&self.last_micros),
            loaded_entries: value(&self.loaded_entries),
            load_micros: value(&self.load_micros),
            last,
            as_of: Timestamp::from_micros(cut.max(value(&self.unchanged_micros))),
            trouble: self.trouble.load_full(),
        }
    }

    /// Whether a server without a truth is still being filled.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.is_loading.load(Ordering::Acquire)
    }

    pub(super) fn set_loading(&self, is_loading: bool) {
        self.is_loading.store(is_loading, Ordering::Release);
    }

    pub(super) fn begin(&self, now: Timestamp) {
        self.began_micros.store(now.as_micros(), Ordering::Relaxed);
        self.is_running.store(true, Ordering::Relaxed);
    }

    /// Notes one that was written, and what is told of it if it is not confirmed.
    pub(super) fn end_with(&self, manifest: &Manifest, unconfirmed: Option<String>) {
        let add = |count: &AtomicU64, is_one: bool| count.fetch_add(u64::from(is_one), Ordering::Relaxed);
        add(&self.written, true);
        add(&self.inexact, manifest.extent != Extent::Cut);
        add(&self.unconfirmed, !manifest.confirmed);
        self.last_micros.store(manifest.duration_us, Ordering::Relaxed);
        self.note_last(manifest);
        self.trouble.store(unconfirmed.map(Arc::new));
        self.is_running.store(false, Ordering::Relaxed);
    }

    pub(super) fn note_last(&self, manifest: &Manifest) {
        *self.last.lock() = Some(manifest.into());
    }

    /// Notes that nothing was changed since the last one, which so is as good as one of now.
    pub(super) fn note_unchanged(&self, now: Timestamp) {
        self.unchanged_micros.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Counts one that is not there for whoever asked.
    pub(super) fn note_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_failed(&self, reason: String) {
        self.note_failed();
        self.note_trouble(reason);
        self.is_running.store(false, Ordering::Relaxed);
    }

    pub(super) fn note_trouble(&self, reason: String) {
        self.trouble.store(Some(Arc::new(reason)));
    }

    /// Notes that the store is waited for before there can be snapshots, and why; `None`: it has answered.
    pub(super) fn wait_for_store(&self, reason: Option<String>) {
        if let Some(reason) = &reason {
            self.note_trouble(reason.clone());
        }
        self.waits_for.send_replace(reason.map(Arc::from));
    }

    /// Why there can be no snapshots yet, from now on or a later time; for ever, where that never is.
    pub(super) async fn waiting_for_store(&self) -> Arc<str> {
        let mut waits_for = self.waits_for.subscribe();
        match waits_for.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // The sender is in `self`, so it outlives the wait.
            _ => std::future::pending().await,
        }
    }

    /// As [`waiting_for_store`](Self::waiting_for_store), now.
    pub(super) fn waits_for_store(&self) -> Option<Arc<str>> {
        self.waits_for.borrow().clone()
    }

    pub(super) fn note_deleted(&self, snapshots: usize) {
        self.deleted.fetch_add(u64::try_from(snapshots).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn note_loaded(&self, entries: u64, micros: u64) {
        self.loaded_entries.store(entries, Ordering::Relaxed);
        self.load_micros.store(micros, Ordering::Relaxed);
    }
}
