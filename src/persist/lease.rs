//! Keeps the lease on the truth while the server runs, and notices when another has taken it.

use std::sync::Arc;
use std::time::Duration;

use super::progress::Progress;
use super::store::{OwnerId, Store, Tenure};
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
        let pause = self.lease / RENEWALS_PER_LEASE;
        loop {
            tokio::time::sleep(pause).await;
            if self.progress.is_fenced() {
                return;
            }
            match self.store.renew(self.progress.epoch(), self.owner, self.lease).await {
                Ok(Tenure::Kept) => {}
                Ok(Tenure::Fenced) => self.look_at_owner().await,
                Err(error) => {
                    if lines.is_due(self.clock.now().as_micros()).is_some() {
                        tracing::warn!("the lease on the truth could not be renewed: {error}");
                    }
                }
            }
        }
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
        }
    }
}
