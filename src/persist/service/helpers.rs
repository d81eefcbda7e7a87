//! What goes on beside flushing: the lease, fetches, recovery, and what looks after the truth once it is loaded.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{Check, Truth, TruthParts};
use crate::essential::essential;
use crate::persist::directory::DataDirectory;
use crate::persist::ephemeral::EphemeralStart;
use crate::persist::fetcher::{FetchParts, FetchRequests, Fetcher};
use crate::persist::filter::FilterKeeper;
use crate::persist::flush_stats::FlushStats;
use crate::persist::janitor::Janitor;
use crate::persist::lease::LeaseKeeper;
use crate::persist::recovery::Recovery;
use crate::persist::start::StartRefused;
use crate::persist::store::{Epoch, OwnerId, Store};
use crate::persist::verify::Verifier;

/// The time between two looks at a sample of keys.
const VERIFY_PAUSE: Duration = Duration::from_secs(300);

/// Fills the databases that the truth does not get, before any command runs.
pub(super) async fn fill_ephemeral(
    parts: &TruthParts,
    store: &Arc<dyn Store>,
    epoch: &Epoch,
    owner: OwnerId,
    stats: &FlushStats,
) -> Result<(), StartRefused> {
    let start = EphemeralStart {
        store,
        base: parts.base.as_ref(),
        engine: &parts.engine,
        clock: &parts.clock,
        data_set: epoch.data_set,
        epoch: epoch.epoch,
        owner,
        lease: parts.lease,
        stats,
    };
    start.run().await
}

/// Everything that goes on beside flushing.
pub(super) fn spawn_helpers(
    parts: TruthParts,
    truth: &Arc<Truth>,
    store: &Arc<dyn Store>,
    owner: OwnerId,
    directory: Weak<Mutex<DataDirectory>>,
    requests: FetchRequests,
    checks: mpsc::Receiver<Check>,
) {
    let TruthParts { engine, clock, lease, fetch_timeout, has_room, base, .. } = parts;
    let keeper = LeaseKeeper {
        store: Arc::clone(store),
        clock: Arc::clone(&clock),
        progress: Arc::clone(&truth.progress),
        pending: Arc::clone(&truth.pending),
        directory,
        stats: Arc::clone(&truth.stats),
        owner,
        lease,
    };
    tokio::spawn(essential("the lease", keeper.run()));
    let fetch = FetchParts {
        store: Arc::clone(store),
        engine: Arc::clone(&engine),
        clock: Arc::clone(&clock),
        progress: Arc::clone(&truth.progress),
        pending: Arc::clone(&truth.pending),
        stats: Arc::clone(&truth.stats),
        timeout: fetch_timeout,
    };
    tokio::spawn(essential("fetching", Fetcher::new(requests, fetch).run()));
    let janitor = Janitor {
        store: Arc::clone(store),
        clock: Arc::clone(&clock),
        progress: Arc::clone(&truth.progress),
        stats: Arc::clone(&truth.stats),
        limit: Arc::clone(&truth.prune_limit),
    };
    let recovery = Recovery {
        store: Arc::clone(store),
        engine: Arc::clone(&engine),
        clock: Arc::clone(&clock),
        loading: Arc::clone(&truth.loading),
        stats: Arc::clone(&truth.stats),
        has_room,
        base,
        data_set: truth.data_set().expect("the service has begun"),
    };
    let filter = FilterKeeper {
        store: Arc::clone(store),
        engine: Arc::clone(&engine),
        clock: Arc::clone(&clock),
        progress: Arc::clone(&truth.progress),
        stats: Arc::clone(&truth.stats),
    };
    let verifier = Verifier {
        store: Arc::clone(store),
        engine,
        clock,
        progress: Arc::clone(&truth.progress),
        signals: Arc::clone(&truth.signals),
        stats: Arc::clone(&truth.stats),
    };
    tokio::spawn(essential("comparing", answer_checks(verifier.clone(), checks)));
    tokio::spawn(essential("recovery", async move {
        recovery.run().await;
        tokio::join!(janitor.run(), filter.run(), verify_samples(verifier));
    }));
}

/// Compares everything whenever somebody asks.
async fn answer_checks(verifier: Verifier, mut checks: mpsc::Receiver<Check>) {
    while let Some(Check(answer)) = checks.recv().await {
        let report = verifier.verify_all().await;
        // Whoever does not wait any more does not want to know.
        let _ = answer.send(report);
    }
}

/// Compares a sample now and then, and says in the log what differs.
async fn verify_samples(verifier: Verifier) {
    loop {
        tokio::time::sleep(VERIFY_PAUSE).await;
        match verifier.verify_sample(verifier.clock.now().as_micros()).await {
            Ok(report) if report.differing > 0 => {
                let keys = report.differences.iter().take(3);
                let keys: Vec<_> =
                    keys.map(|found| String::from_utf8_lossy(&found.key).into_owned()).collect();
                tracing::error!(
                    differing = report.differing,
                    ?keys,
                    "memory and truth differ; quotad verify tells all of it"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::debug!("a sample could not be compared: {error}"),
        }
    }
}
