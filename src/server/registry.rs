//! Every open connection, and whether clients are paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::clock::Timestamp;
use crate::dispatch::ClientRecord;
use crate::dispatch::ports::Clients;
use crate::metrics::Metrics;

/// Shards of the map of clients: connections come and go far more rarely than commands run.
const SHARDS: usize = 16;

/// The open connections of a server. `app` makes it first, hands it to commands as their `Clients` and to the server.
pub struct Registry {
    clients: DashMap<u64, Arc<ClientRecord>, foldhash::fast::RandomState>,
    last_id: AtomicU64,
    open: AtomicUsize,
    paused_until_micros: AtomicU64,
    writes_paused_until_micros: AtomicU64,
}

impl Registry {
    /// Without a connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            clients: DashMap::with_hasher_and_shard_amount(foldhash::fast::RandomState::default(), SHARDS),
            last_id: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            paused_until_micros: AtomicU64::new(0),
            writes_paused_until_micros: AtomicU64::new(0),
        }
    }

    /// How many connections are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Takes in a connection, unless there are `max_clients` already.
    pub(super) fn admit(
        self: &Arc<Self>,
        metrics: &Arc<Metrics>,
        max_clients: usize,
        describe: impl FnOnce(u64) -> ClientRecord,
    ) -> Option<Seat> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= max_clients {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        metrics.server.connections_open.add(1);
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let client = Arc::new(describe(id));
        self.clients.insert(id, Arc::clone(&client));
        Some(Seat { registry: Arc::clone(self), metrics: Arc::clone(metrics), client, worker_open: None })
    }

    /// Wakes the connections that `chosen` chooses, to look at what changed.
    pub(super) fn wake(&self, chosen: impl Fn(&ClientRecord) -> bool) {
        for client in self.clients.iter().filter(|client| chosen(client)) {
            client.wake();
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Clients for Registry {
    fn list(&self) -> Vec<Arc<ClientRecord>> {
        let mut clients: Vec<_> = self.clients.iter().map(|client| Arc::clone(&client)).collect();
        clients.sort_unstable_by_key(|client| client.id);
        clients
    }

    fn pause(&self, until: Timestamp, writes_only: bool) {
        self.writes_paused_until_micros.fetch_max(until.as_micros(), Ordering::SeqCst);
        if !writes_only {
            self.paused_until_micros.fetch_max(until.as_micros(), Ordering::SeqCst);
        }
    }

    fn unpause(&self) {
        self.paused_until_micros.store(0, Ordering::SeqCst);
        self.writes_paused_until_micros.store(0, Ordering::SeqCst);
        self.wake(|_| true);
    }

    fn paused_until(&self, write: bool) -> Timestamp {
        let until = if write { &self.writes_paused_until_micros } else { &self.paused_until_micros };
        Timestamp::from_micros(until.load(Ordering::Relaxed))
    }
}

/// A connection's place among the open ones; dropped, it is free.
pub(super) struct Seat {
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    pub(super) client: Arc<ClientRecord>,
    worker_open: Option<Arc<AtomicUsize>>,
}

impl Seat {
    /// Counts the connection among those of a worker.
    pub(super) fn assign(&mut self, worker_open: &Arc<AtomicUsize>) {
        worker_open.fetch_add(1, Ordering::Relaxed);
        self.worker_open = Some(Arc::clone(worker_open));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        tracing::debug!(client = %self.client.address, id = self.client.id, "a client's connection ended");
        self.registry.clients.remove(&self.client.id);
        self.registry.open.fetch_sub(1, Ordering::Relaxed);
        self.metrics.server.connections_open.subtract(1);
        if let Some(open) = &self.worker_open {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(registry: &Arc<Registry>, metrics: &Arc<Metrics>, max_clients: usize) -> Option<Seat> {
        registry.admit(metrics, max_clients, |id| ClientRecord::new(id, "a", "b", Timestamp::EPOCH))
    }

    #[test]
    fn seats_are_counted_and_freed() {
        let (registry, metrics) = (Arc::new(Registry::new()), Arc::new(Metrics::default()));
        let seats: Vec<_> = (0..3).filter_map(|_| admit(&registry, &metrics, 3)).collect();
        assert_eq!(registry.list().iter().map(|client| client.id).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(admit(&registry, &metrics, 3).is_none());
        drop(seats);
        assert_eq!((registry.open_connections(), registry.list().len()), (0, 0));
        assert_eq!(metrics.server.connections_open.value(), 0);
        assert_eq!(admit(&registry, &metrics, 3).map(|seat| seat.client.id), Some(4));
    }

    #[test]
    fn the_longer_pause_wins_and_one_of_all_holds_writes_too() {
        let registry = Registry::new();
        let at = Timestamp::from_micros;
        registry.pause(at(50), true);
        assert_eq!((registry.paused_until(true), registry.paused_until(false)), (at(50), at(0)));
        registry.pause(at(40), false);
        assert_eq!((registry.paused_until(true), registry.paused_until(false)), (at(50), at(40)));
        registry.unpause();
        assert_eq!((registry.paused_until(true), registry.paused_until(false)), (at(0), at(0)));
    }
}
