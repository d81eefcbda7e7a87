//! Fetches keys that are not in memory, many in one query.
//!
//! Invariants: a key is in one query at a time, and whoever asks for it meanwhile waits for that one; the engine knows of a key before
//! its query is sent, so that an answer that was overtaken is not put into memory; and an answer of a truth that has lost batches since
//! they were committed (a replica was promoted) is refused: memory may have let go of what they changed. A key whose row cannot be read
//! stays unknown, and only who needs it is told; it is asked for each time, since somebody may have repaired the row.
//!
//! A large value is read by itself, behind the query that came upon it, for as long as its bytes take: whoever comes back finds what that has
//! brought, and nobody else waits for it. So a query that is late means that the truth does not answer, and is given up: its keys may be
//! asked for again at once.
//!
//! A few keys are fetched by the thread that asks, if it may at once: a request that goes to another thread and comes back costs two
//! threads their sleep. All else gathers for the fetcher's task, many requests for a query.

mod query;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::flush_stats::FlushStats;
use super::pending::Pending;
use super::progress::Progress;
use super::store::Store;
use crate::clock::Clock;
use crate::engine::{Engine, MissingKey};
use query::{Done, Query, Waiting, wait_for};

/// Requests that may wait to be taken up; beyond that, clients are told to come back.
const WAITING_REQUESTS: usize = 4_096;

/// Keys of a request that the asking thread fetches itself: what they bring is put into memory between two turns of its clients.
const KEYS_AT_HAND: usize = 16;

/// Requests that share a query: those that came while the ones before were on their way.
const REQUESTS_AT_ONCE: usize = 256;

/// Queries on their way at a time: the truth's connections are also needed for flushing and scanning.
const QUERIES_AT_ONCE: usize = 4;

/// Queries for large values at a time, and for huge ones, which may take minutes: each has its connection, so that none waits for a huge one
/// that is not itself huge.
const LARGE_AT_ONCE: usize = 1;

/// From so many bytes on a value is huge.
const HUGE_BYTES: u64 = 4 * 1024 * 1024;

/// Why keys were not fetched; the text is for the client, with the error's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The truth has not answered.
    Away(String),
    /// A key cannot be read.
    Damaged(String),
}

/// Asks for keys, from any thread.
#[derive(Clone)]
pub struct FetchDoor {
    requests: mpsc::Sender<Request>,
    /// Once there is a fetcher.
    queries: Arc<OnceLock<Arc<Queries>>>,
    timeout: Duration,
}

/// Looks after the requests.
pub struct Fetcher {
    requests: mpsc::Receiver<Request>,
    queries: Arc<Queries>,
}

/// What is being fetched, by whichever thread.
struct Queries {
    parts: FetchParts,
    /// The queries on their way, by their keys.
    underway: Mutex<HashMap<MissingKey, watch::Receiver<Done>>>,
    /// Those that may be on their way besides.
    places: Arc<Semaphore>,
    /// The queries for large and for huge values that may be on their way besides.
    large: Semaphore,
    huge: Semaphore,
}

/// What a fetcher works with.
pub struct FetchParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// All keys.
    pub engine: Arc<Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How far batches have come.
    pub progress: Arc<Progress>,
    /// Where the applier hears that the truth is behind that.
    pub pending: Arc<Pending>,
    /// What is counted.
    pub stats: Arc<FlushStats>,
    /// How long a client waits.
    pub timeout: Duration,
}

/// What came through a door.
pub struct FetchRequests {
    requests: mpsc::Receiver<Request>,
    queries: Arc<OnceLock<Arc<Queries>>>,
}

struct Request {
    keys: Vec<MissingKey>,
    /// How many of them are waited for, from the first on; the others may be needed soon.
    needed: usize,
    answer: oneshot::Sender<Result<(), FetchError>>,
}

impl FetchDoor {
    /// A door, and what comes through it; a client waits at most `timeout`.
    #[must_use]
    pub fn new(timeout: Duration) -> (Self, FetchRequests) {
        let (requests, receiver) = mpsc::channel(WAITING_REQUESTS);
        let queries = Arc::default();
        let door = Self { requests, queries: Arc::clone(&queries), timeout };
        (door, FetchRequests { requests: receiver, queries })
    }

    /// Fills the engine with these keys, or with the knowledge that there are none. The first `needed` of them are waited for. Within a
    /// Tokio runtime with time and I/O enabled, which may have to run the query.
    ///
    /// # Errors
    /// A text for the client, when the truth does not answer in time, or cannot read a key that is needed.
    pub async fn fetch(self, keys: Vec<MissingKey>, needed: usize) -> Result<(), FetchError> {
        let away =
            |reason: &str| FetchError::Away(format!("TRYAGAIN the key is not in memory, and {reason}"));
        let (answer, answered) = oneshot::channel();
        let ending = || away("the server is ending");
        let mut request = Request { keys, needed, answer };
        if let Some(queries) = self.queries.get() {
            match queries.fetch_here(request) {
                // Its query has the same limit, and a second timer would wake the thread before the query is sent.
                None => return answered.await.unwrap_or_else(|_| Err(ending())),
                Some(left) => request = left,
            }
        }
        if self.requests.try_send(request).is_err() {
            return Err(away("too many are being fetched already"));
        }
        let timeout_ms = self.timeout.as_millis();
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(_)) => Err(ending()),
            Err(_) => Err(away(&format!("the truth has not brought it within {timeout_ms} ms"))),
        }
    }
}

impl Fetcher {
    /// A fetcher for what comes through a door.
    #[must_use]
    pub fn new(requests: FetchRequests, parts: FetchParts) -> Self {
        let FetchRequests { requests, queries: door } = requests;
        let places = Arc::new(Semaphore::new(QUERIES_AT_ONCE));
        let queries = Arc::new(Queries {
            parts,
            underway: Mutex::default(),
            places,
            large: Semaphore::new(LARGE_AT_ONCE),
            huge: Semaphore::new(LARGE_AT_ONCE),
        });
        // A door's requests have one fetcher.
        let _ = door.set(Arc::clone(&queries));
        Self { requests, queries }
    }

    /// Fetches until every door is gone.
    pub async fn run(mut self) {
        let mut taken = Vec::new();
        loop {
            // While all queries are on their way, requests gather for the next one.
            let places = Arc::clone(&self.queries.places);
            let Ok(place) = places.acquire_owned().await else { return };
            if self.requests.recv_many(&mut taken, REQUESTS_AT_ONCE).await == 0 {
                return;
            }
            let mut query = Query::new(Arc::clone(&self.queries), place);
            // Whoever waits for the new query alone, as nearly all do, is answered by its task: each further one costs a thread its sleep.
            for Request { mut keys, needed, answer } in taken.drain(..) {
                let queries = query.take_up(&keys, needed);
                keys.truncate(needed);
                let waiting = Waiting { needed: keys, answer };
                if queries.iter().all(|done| query.tells(done)) {
                    query.answers.push(waiting);
                } else {
                    tokio::spawn(wait_for(queries, waiting));
                }
            }
            tokio::spawn(query.run());
        }
    }
}

impl Queries {
    /// Fetches the keys on the running thread, where nobody has asked for them and a query may begin at once; else the request is given
    /// back. A task does it, since the query goes on when the client that asked is gone.
    fn fetch_here(self: &Arc<Self>, request: Request) -> Option<Request> {
        if request.keys.len() > KEYS_AT_HAND {
            return Some(request);
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return Some(request) };
        let mut query = Query::new(Arc::clone(self), place);
        if !query.take_up_new(&request.keys) {
            return Some(request);
        }
        let Request { mut keys, needed, answer } = request;
        keys.truncate(needed);
        query.answers.push(Waiting { needed: keys, answer });
        tokio::spawn(query.run());
        None
    }
}

#[cfg(test)]
mod tests;
