//! Keeps the lease on the truth while the server runs, and notices when another has taken it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::directory::{DataDirectory, Known};
use super::flush_stats::FlushStats;
use super::pending::Pending;
use super::progress::Progress;
use super::store::{OwnerId, Store, StoreError, Tenure};
use crate::clock::Clock;
use crate::metrics::Seldom;

/// A lease is renewed when so much of it is left to be tried again twice.
const RENEWALS_PER_LEASE: u32 = 3;

/// What keeps a lease.
pub struct LeaseKeeper {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where a loss is told.
    pub progress: Arc<Progress>,
    /// Where the applier hears that the truth is behind what it was known to have.
    pub pending: Arc<Pending>,
    /// Where it is noted how far the truth is, so that one that is set back behind a kill is found out.
    pub directory: Weak<Mutex<DataDirectory>>,
    /// Where trouble is told.
    pub stats: Arc<FlushStats>,
    /// Who holds it.
    pub owner: OwnerId,
    /// How long it holds.
    pub lease: Duration,
}

impl LeaseKeeper {
    /// Renews the lease until another owns the truth. While the truth cannot be reached the server goes on serving: what it admits
    /// is kept in its outbox, and lost only if another takes over.
    pub async fn run(self) {
        let lines = Seldom::default();
        let mut noted = self.progress.applied();
        let mut noting: Option<JoinHandle<()>> = None;
        let pause = self.lease / RENEWALS_PER_LEASE;
        loop {
            tokio::time::sleep(pause).await;
            if self.progress.is_fenced() {
                return;
            }
            match self.store.renew(self.progress.epoch(), self.owner, self.lease).await {
                Ok(Tenure::Kept) => {
                    self.look_at_applied().await;
                    if noting.as_ref().is_none_or(JoinHandle::is_finished) {
                        noting = self.note_known(&mut noted);
                    }
                    if self.stats.lease_trouble.swap(None).is_some() {
                        tracing::warn!("the lease on the truth is renewed again");
                    }
                }
                Ok(Tenure::Fenced) => self.look_at_owner().await,
                Err(error) => {
                    let reason = match error {
                        StoreError::Unclear(reason) | StoreError::Unavailable(reason) => reason,
                        other => other.to_string(),
                    };
                    let told = format!("the lease on the truth could not be renewed: {reason}");
                    if lines.is_due(self.clock.now().as_micros()).is_some() {
                        tracing::warn!("{told}");
                    }
                    self.stats.lease_trouble.store(Some(Arc::new(told)));
                }
            }
        }
    }

    /// A replica may have been promoted that lacks batches: an idle server meets it nowhere else.
    async fn look_at_applied(&self) {
        let known = self.progress.applied();
        if let Ok(row) = self.store.owner().await
            && row.applied < known
        {
            self.pending.look_back();
        }
    }

    /// Begins to note how far the truth is, if it is further than was `noted`. No renewal waits for that disk.
    fn note_known(&self, noted: &mut u64) -> Option<JoinHandle<()>> {
        let known = Known { epoch: self.progress.epoch(), applied: self.progress.applied() };
        // Whoever ends the service gives it up.
        let directory = self.directory.upgrade().filter(|_| known.applied > *noted)?;
        *noted = known.applied;
        Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = directory.lock().set_known(known) {
                tracing::debug!("how far the truth is could not be noted: {error}");
            }
        }))
    }

    /// Another owner is one for good; one's own older epoch is the applier's to put right.
    async fn look_at_owner(&self) {
        let Ok(row) = self.store.owner().await else { return };
        if row.owner != Some(self.owner) || row.epoch > self.progress.epoch() {
            self.progress.fence(&format!(
                "another server owns the data now (epoch {}, {}); this one had epoch {}",
                row.epoch,
                row.holder,
                self.progress.epoch()
            ));
        } else {
            self.pending.look_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::persist::contract::{NOON, OWNER, claimed};
    use crate::persist::fake::{FakeStore, Fault};

    /// A server that only reads meets a truth that is away nowhere else.
    #[tokio::test]
    async fn an_idle_server_tells_of_a_truth_that_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(FakeStore::new());
        let epoch = claimed(&*store).await;
        let (progress, stats) = (Arc::<Progress>::default(), Arc::<FlushStats>::default());
        progress.begin(epoch, 0);
        let directory = Arc::new(Mutex::new(DataDirectory::open(folder.path()).unwrap()));
        let keeper = LeaseKeeper {
            store: store.clone(),
            clock: Arc::new(ManualClock::at(NOON)),
            progress: Arc::clone(&progress),
            pending: Arc::default(),
            directory: Arc::downgrade(&directory),
            stats: Arc::clone(&stats),
            owner: OWNER,
            lease: Duration::from_millis(30),
        };
        let has_trouble = async |expected| {
            while stats.told_trouble().is_some() != expected {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        store.script(&[Fault::BeforeCommit; 20]);
        tokio::spawn(keeper.run());
        has_trouble(true).await;
        has_trouble(false).await;
        // How far the truth is stands in the data directory with the next renewal.
        progress.close();
        progress.set_applied(1);
        while directory.lock().known() != Some(Known { epoch, applied: 1 }) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
