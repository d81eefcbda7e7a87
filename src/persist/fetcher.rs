//! Fetches keys that are not in memory, many in one query.
//!
//! Invariants: a key is in one query at a time, and whoever asks for it meanwhile waits for that one; the engine knows of a key before
//! its query is sent, so that an answer that was overtaken is not put into memory; and an answer of a truth that has lost batches since
//! they were committed (a replica was promoted) is refused: memory may have let go of what they changed. A key whose row cannot be read
//! stays unknown, and only who needs it is told; it is asked for each time, since somebody may have repaired the row.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::flush_stats::FlushStats;
use super::pending::Pending;
use super::progress::Progress;
use super::store::{FetchedValue, Store, StoreError};
use crate::clock::{Clock, Timestamp};
use crate::engine::{Engine, MissingKey};

/// Requests that may wait to be taken up; beyond that, clients are told to come back.
const WAITING_REQUESTS: usize = 4_096;

/// Requests that share a query: those that came while the ones before were on their way.
const REQUESTS_AT_ONCE: usize = 256;

/// Keys in one query: a few milliseconds of the truth.
const KEYS_AT_ONCE: usize = 4_096;

/// Queries on their way at a time: the truth's connections are also needed for flushing and scanning.
const QUERIES_AT_ONCE: usize = 4;

/// The keys of a query that cannot be read, with the reasons: mostly none.
type Unreadable = HashMap<MissingKey, String>;

/// What a query came to; an error: the truth has not answered.
type Outcome = Result<Arc<Unreadable>, Arc<str>>;

/// The same; `None`: it is on its way.
type Done = Option<Outcome>;

/// Bytes of a key that an error names.
const MOST_KEY_BYTES: usize = 128;

/// Why keys were not fetched; the text is for the client, with the error's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The truth has not answered.
    Away(String),
    /// A key cannot be read.
    Damaged(String),
}

/// Who waits, and for which keys.
struct Waiting {
    needed: Vec<MissingKey>,
    answer: oneshot::Sender<Result<(), FetchError>>,
}

/// Asks for keys, from any thread.
#[derive(Clone)]
pub struct FetchDoor {
    requests: mpsc::Sender<Request>,
    timeout: Duration,
}

/// Looks after the requests.
pub struct Fetcher {
    requests: mpsc::Receiver<Request>,
    parts: Arc<FetchParts>,
    /// The queries on their way, by their keys.
    underway: HashMap<MissingKey, watch::Receiver<Done>>,
    queries: Arc<Semaphore>,
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
pub struct FetchRequests(mpsc::Receiver<Request>);

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
        (Self { requests, timeout }, FetchRequests(receiver))
    }

    /// Fills the engine with these keys, or with the knowledge that there are none. The first `needed` of them are waited for.
    ///
    /// # Errors
    /// A text for the client, when the truth does not answer in time, or cannot read a key that is needed.
    pub async fn fetch(self, keys: Vec<MissingKey>, needed: usize) -> Result<(), FetchError> {
        let away =
            |reason: &str| FetchError::Away(format!("TRYAGAIN the key is not in memory, and {reason}"));
        let (answer, answered) = oneshot::channel();
        if self.requests.try_send(Request { keys, needed, answer }).is_err() {
            return Err(away("too many are being fetched already"));
        }
        let timeout_ms = self.timeout.as_millis();
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(_)) => Err(away("the server is ending")),
            Err(_) => Err(away(&format!("the truth has not answered within {timeout_ms} ms"))),
        }
    }
}

impl Fetcher {
    /// A fetcher for what comes through a door.
    #[must_use]
    pub fn new(requests: FetchRequests, parts: FetchParts) -> Self {
        let queries = Arc::new(Semaphore::new(QUERIES_AT_ONCE));
        Self { requests: requests.0, parts: Arc::new(parts), underway: HashMap::new(), queries }
    }

    /// Fetches until every door is gone.
    pub async fn run(mut self) {
        let mut taken = Vec::new();
        loop {
            // While all queries are on their way, requests gather for the next one.
            let Ok(place) = Arc::clone(&self.queries).acquire_owned().await else { return };
            if self.requests.recv_many(&mut taken, REQUESTS_AT_ONCE).await == 0 {
                return;
            }
            self.underway.retain(|_, done| done.borrow().is_none());
            let mut wanted = Vec::new();
            // Whoever waits for the new query alone, as nearly all do, is answered by its task: each further one costs a thread its sleep.
            let mut answers = Vec::new();
            let (sender, done) = watch::channel(None);
            for Request { mut keys, needed, answer } in taken.drain(..) {
                let queries = self.take_up(&keys, &mut wanted, &done);
                keys.truncate(needed);
                let waiting = Waiting { needed: keys, answer };
                if queries.iter().all(|query| query.same_channel(&done)) {
                    answers.push(waiting);
                } else {
                    tokio::spawn(wait_for(queries, waiting));
                }
            }
            let parts = Arc::clone(&self.parts);
            tokio::spawn(async move {
                let result = query(&parts, wanted).await;
                drop(place);
                sender.send_replace(Some(result.clone()));
                answers.into_iter().for_each(|waiting| waiting.tell(std::slice::from_ref(&result)));
            });
        }
    }

    /// Puts those of `keys` that are not on their way into `wanted`; answers the queries that all of them are in.
    fn take_up(
        &mut self,
        keys: &[MissingKey],
        wanted: &mut Vec<MissingKey>,
        done: &watch::Receiver<Done>,
    ) -> Vec<watch::Receiver<Done>> {
        let mut queries = Vec::new();
        let mut is_in_new = false;
        for key in keys {
            if let Some(known) = self.underway.get(key) {
                if known.same_channel(done) {
                    is_in_new = true;
                } else if !queries.iter().any(|query: &watch::Receiver<Done>| query.same_channel(known)) {
                    queries.push(known.clone());
                }
            } else {
                is_in_new = true;
                self.underway.insert(key.clone(), done.clone());
                wanted.push(key.clone());
            }
        }
        if is_in_new {
            queries.push(done.clone());
        }
        queries
    }
}

impl FetchParts {
    /// The values of a truth that has all that it was known to have.
    async fn fetch(&self, keys: &[MissingKey], now: Timestamp) -> Result<Vec<FetchedValue>, StoreError> {
        // Keys are missing already, so what they were when they left memory is in these batches.
        let (epoch, applied) = (self.progress.epoch(), self.progress.applied());
        let fetched = self.store.fetch(keys, now).await?;
        if fetched.epoch < epoch || fetched.applied < applied {
            self.pending.look_back();
            return Err(StoreError::Unavailable(format!(
                "it has lost batches that it had committed (it is at {} of epoch {}, and was at {applied} of {epoch}), which are applied again",
                fetched.applied, fetched.epoch
            )));
        }
        Ok(fetched.values)
    }
}

/// Fetches the keys and puts what is found into memory.
async fn query(parts: &FetchParts, wanted: Vec<MissingKey>) -> Outcome {
    let mut unreadable = Unreadable::new();
    let mut failure = None;
    for keys in wanted.chunks(KEYS_AT_ONCE) {
        let fetch = parts.engine.begin_fetch(keys);
        let now = parts.clock.now();
        if fetch.keys.is_empty() {
            continue;
        }
        parts.stats.fetch_queries.add(1);
        match tokio::time::timeout(parts.timeout, parts.fetch(&fetch.keys, now)).await {
            Ok(Ok(values)) => {
                parts.stats.fetched_keys.add(u64::try_from(values.len()).unwrap_or(u64::MAX));
                for (key, value) in fetch.keys.iter().zip(values) {
                    parts.stats.damages.note_fetched(key, value.as_ref().err().map(String::as_str));
                    match value {
                        Ok(value) => {
                            let value = value.map(|value| (value.content, value.expiry));
                            // What is not taken is older than what memory has by now.
                            let _ = parts.engine.fill(fetch.number, key, value, now);
                        }
                        Err(reason) => {
                            parts.engine.abandon_fetch(fetch.number, std::slice::from_ref(key));
                            unreadable.insert(key.clone(), reason);
                        }
                    }
                }
            }
            failed => {
                parts.engine.abandon_fetch(fetch.number, &fetch.keys);
                parts.stats.fetch_failures.add(1);
                let reason = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => "it has not answered in time".to_owned(),
                };
                tracing::debug!(keys = fetch.keys.len(), "fetching failed: {reason}");
                failure = Some(Arc::from(reason));
            }
        }
    }
    failure.map_or_else(|| Ok(Arc::new(unreadable)), Err)
}

/// Answers once all of the queries have come to something.
async fn wait_for(queries: Vec<watch::Receiver<Done>>, waiting: Waiting) {
    let mut outcomes = Vec::with_capacity(queries.len());
    for mut query in queries {
        let done = query.wait_for(Option::is_some).await.map(|done| done.clone());
        outcomes.push(done.ok().flatten().unwrap_or_else(|| Err("its query was given up".into())));
    }
    waiting.tell(&outcomes);
}

impl Waiting {
    fn tell(self, outcomes: &[Outcome]) {
        let mut result = Ok(());
        for outcome in outcomes {
            match outcome {
                Ok(unreadable) if unreadable.is_empty() => {}
                Ok(unreadable) => {
                    let known = self.needed.iter().find_map(|key| Some((key, unreadable.get(key)?)));
                    if let Some((key, reason)) = known {
                        result = Err(damaged(key, reason));
                    }
                }
                Err(reason) => {
                    result = Err(FetchError::Away(format!(
                        "TRYAGAIN the key is not in memory, and it cannot be fetched: {reason}"
                    )));
                    break;
                }
            }
        }
        // A client that is gone does not want to know.
        let _ = self.answer.send(result);
    }
}

fn damaged(key: &MissingKey, reason: &str) -> FetchError {
    let key = key.key[..key.key.len().min(MOST_KEY_BYTES)].escape_ascii();
    FetchError::Damaged(format!(
        "ERR the truth's row of the key '{key}' cannot be read: {reason}; it stays as it is until somebody repairs or deletes it there"
    ))
}

#[cfg(test)]
mod tests;
