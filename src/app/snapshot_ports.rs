//! Snapshots as commands and metrics reach them.

use std::sync::Arc;

use crate::clock::{Clock, Timestamp};
use crate::dispatch::ports::{Figure, NO_SNAPSHOTS, Pending, Snapshots, WrittenSnapshot};
use crate::snapshot::SnapshotFigures;
use crate::snapshot::format::Extent;

/// A server without snapshots.
pub struct NoSnapshots;

impl Snapshots for NoSnapshots {
    fn ask(&self) -> Result<(), String> {
        Err(NO_SNAPSHOTS.to_owned())
    }

    fn write(&self) -> Pending<Result<WrittenSnapshot, String>> {
        Box::pin(std::future::ready(Err(NO_SNAPSHOTS.to_owned())))
    }

    fn is_running(&self) -> bool {
        false
    }

    fn last_at(&self) -> Option<Timestamp> {
        None
    }

    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
}

/// Snapshots behind the port.
pub struct SnapshotPorts {
    /// The service.
    pub snapshots: Arc<crate::snapshot::Snapshots>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Snapshots for SnapshotPorts {
    fn ask(&self) -> Result<(), String> {
        self.snapshots.ask()
    }

    fn write(&self) -> Pending<Result<WrittenSnapshot, String>> {
        let writing = self.snapshots.write();
        Box::pin(async move {
            writing.await.map(|manifest| WrittenSnapshot {
                id: manifest.snapshot().to_string(),
                entries: manifest.entries(),
                bytes: manifest.parts.iter().map(|part| part.bytes).sum(),
                millis: manifest.duration_us / 1_000,
                is_confirmed: manifest.confirmed,
                is_exact: manifest.extent == Extent::Cut,
            })
        })
    }

    fn is_running(&self) -> bool {
        self.snapshots.stats.figures().is_running
    }

    fn last_at(&self) -> Option<Timestamp> {
        self.snapshots.stats.figures().last.map(|last| last.at)
    }

    fn figures(&self) -> Vec<Figure> {
        figures(&self.snapshots.stats.figures(), self.clock.now())
    }
}

/// All figures at `now`.
pub fn figures(figures: &SnapshotFigures, now: Timestamp) -> Vec<Figure> {
    let gauge = |name, help, value| Figure { name, help, value, is_counter: false };
    let counter = |name, help, value| Figure { name, help, value, is_counter: true };
    let last = figures.last;
    let age = now.micros_since(figures.as_of) / 1_000_000;
    vec![
        gauge("snapshot_running", "1 while a snapshot is written.", u64::from(figures.is_running)),
        gauge("snapshot_last_ok", "1 unless the last one failed.", u64::from(figures.trouble.is_none())),
        gauge(
            "snapshot_last_time",
            "Cut of the last one, in seconds since 1970.",
            last.map_or(0, |last| last.at.as_secs()),
        ),
        gauge(
            "snapshot_age_seconds",
            "Seconds since everything was in a snapshot: since the cut of the last one, or since nothing was changed behind it; before the first one, since the start.",
            age,
        ),
        gauge("snapshot_last_entries", "Entries of the last one.", last.map_or(0, |last| last.entries)),
        gauge("snapshot_last_bytes", "Bytes of the last one.", last.map_or(0, |last| last.bytes)),
        gauge("snapshot_last_micros", "How long the last one took.", figures.last_micros),
        gauge(
            "snapshot_loaded_keys",
            "Keys loaded from one at the start, without a truth.",
            figures.loaded_entries,
        ),
        counter("snapshots_written", "Snapshots that were written.", figures.written),
        counter("snapshots_failed", "Snapshots that failed.", figures.failed),
        counter("snapshots_inexact", "Those written that are not of one moment.", figures.inexact),
        counter(
            "snapshots_unconfirmed",
            "Those written that the truth did not confirm in time.",
            figures.unconfirmed,
        ),
        counter("snapshots_deleted", "Snapshots that retention deleted.", figures.deleted),
    ]
}
