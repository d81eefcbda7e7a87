//! One query for many keys: who asks it tells all that wait for one of them what it came to.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio::time::timeout;

use super::{FetchError, FetchParts, Queries};
use crate::clock::Timestamp;
use crate::engine::{Engine, Fetch, MissingKey};
use crate::persist::store::{FetchedValue, StoreError};

/// Keys in one query: a few milliseconds of the truth.
const KEYS_AT_ONCE: usize = 4_096;

/// How long a query that is late may go on: a value of hundreds of MiB comes in that time, and a server that has gone away holds its
/// connection no longer.
const LATE_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a key that an error names.
const MOST_KEY_BYTES: usize = 128;

/// The keys of a query that cannot be read, with the reasons: mostly none.
type Unreadable = HashMap<MissingKey, String>;

/// What a query came to; an error: the truth has not answered.
type Outcome = Result<Arc<Unreadable>, Arc<str>>;

/// The same; `None`: it is on its way.
pub(super) type Done = Option<Outcome>;

/// Who waits, and for which keys.
pub(super) struct Waiting {
    pub(super) needed: Vec<MissingKey>,
    pub(super) answer: oneshot::Sender<Result<(), FetchError>>,
}

/// Keys that are fetched together. Whatever ends its task, they may be asked for again, and nobody waits for them any longer.
pub(super) struct Query {
    queries: Arc<Queries>,
    /// Until it has come to something, or is late.
    place: Option<OwnedSemaphorePermit>,
    is_over: bool,
    wanted: Vec<MissingKey>,
    done: watch::Sender<Done>,
    /// Those who wait for this query alone.
    pub(super) answers: Vec<Waiting>,
}

impl Query {
    /// A query for no key yet.
    pub(super) fn new(queries: Arc<Queries>, place: OwnedSemaphorePermit) -> Self {
        let done = watch::Sender::new(None);
        Self { queries, place: Some(place), is_over: false, wanted: Vec::new(), done, answers: Vec::new() }
    }

    /// Whether that is told by this query.
    pub(super) fn tells(&self, done: &watch::Receiver<Done>) -> bool {
        self.done.subscribe().same_channel(done)
    }

    /// Takes the keys into the query, unless one of them is on its way; answers whether it did.
    pub(super) fn take_up_new(&mut self, keys: &[MissingKey]) -> bool {
        let mut underway = self.queries.underway.lock();
        if keys.iter().any(|key| underway.contains_key(key)) {
            return false;
        }
        for key in keys {
            if underway.insert(key.clone(), self.done.subscribe()).is_none() {
                self.wanted.push(key.clone());
            }
        }
        true
    }

    /// Takes those of the keys that are not on their way into the query; answers the queries that all of them are in.
    pub(super) fn take_up(&mut self, keys: &[MissingKey]) -> Vec<watch::Receiver<Done>> {
        let own = self.done.subscribe();
        let mut underway = self.queries.underway.lock();
        let mut queries: Vec<watch::Receiver<Done>> = Vec::new();
        for key in keys {
            let done = underway.entry(key.clone()).or_insert_with(|| {
                self.wanted.push(key.clone());
                own.clone()
            });
            if !queries.iter().any(|query| query.same_channel(done)) {
                queries.push(done.clone());
            }
        }
        queries
    }

    /// Fetches the keys, and tells who waits for them.
    pub(super) async fn run(mut self) {
        let outcome = self.fetch().await;
        self.end(&outcome);
    }

    /// Fetches the keys. Whoever waits is told when it is late, and may come back to what it brings then.
    async fn fetch(&mut self) -> Outcome {
        let Self { queries, place, wanted, answers, .. } = self;
        let parts = &queries.parts;
        let chunks = u32::try_from(wanted.len().div_ceil(KEYS_AT_ONCE)).unwrap_or(u32::MAX);
        let mut fetching = pin!(fetch(parts, wanted));
        if let Ok(outcome) = timeout(parts.timeout.saturating_mul(chunks), &mut fetching).await {
            return outcome;
        }
        parts.stats.fetch_failures.add(1);
        let late = Err("the truth has not answered in time".into());
        let Ok(_late) = queries.late.try_acquire() else { return late };
        answers.drain(..).for_each(|waiting| waiting.tell(std::slice::from_ref(&late)));
        *place = None;
        timeout(LATE_TIMEOUT, fetching).await.unwrap_or(late)
    }

    fn end(&mut self, outcome: &Outcome) {
        {
            let mut underway = self.queries.underway.lock();
            for key in self.wanted.drain(..) {
                underway.remove(&key);
            }
        }
        self.is_over = true;
        self.place = None;
        self.done.send_replace(Some(outcome.clone()));
        self.answers.drain(..).for_each(|waiting| waiting.tell(std::slice::from_ref(outcome)));
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(&Err("its query was given up".into()));
        }
    }
}

/// Keys that the engine takes an answer for, until they are filled or this is dropped.
struct Begun<'a> {
    engine: &'a Engine,
    fetch: Fetch,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.engine.abandon_fetch(self.fetch.number, &self.fetch.keys);
    }
}

/// Fetches the keys and puts what is found into memory.
async fn fetch(parts: &FetchParts, wanted: &[MissingKey]) -> Outcome {
    let mut unreadable = Unreadable::new();
    let mut failure = None;
    for keys in wanted.chunks(KEYS_AT_ONCE) {
        let mut begun = Begun { engine: &parts.engine, fetch: parts.engine.begin_fetch(keys) };
        let now = parts.clock.now();
        if begun.fetch.keys.is_empty() {
            continue;
        }
        parts.stats.fetch_queries.add(1);
        match parts.fetch(&begun.fetch.keys, now).await {
            Ok(values) => {
                parts.stats.fetched_keys.add(u64::try_from(values.len()).unwrap_or(u64::MAX));
                let number = begun.fetch.number;
                for (key, value) in std::mem::take(&mut begun.fetch.keys).into_iter().zip(values) {
                    parts.stats.damages.note_fetched(&key, value.as_ref().err().map(String::as_str));
                    match value {
                        Ok(value) => {
                            let value = value.map(|value| (value.content, value.expiry));
                            // What is not taken is older than what memory has by now.
                            let _ = parts.engine.fill(number, &key, value, now);
                        }
                        Err(reason) => {
                            parts.engine.abandon_fetch(number, std::slice::from_ref(&key));
                            unreadable.insert(key, reason);
                        }
                    }
                }
            }
            Err(error) => {
                parts.stats.fetch_failures.add(1);
                let reason = error.to_string();
                tracing::debug!(keys = begun.fetch.keys.len(), "fetching failed: {reason}");
                failure = Some(Arc::from(reason));
            }
        }
    }
    failure.map_or_else(|| Ok(Arc::new(unreadable)), Err)
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
                "the truth has lost batches that it had committed (it is at {} of epoch {}, and was at {applied} of {epoch}), which are applied again",
                fetched.applied, fetched.epoch
            )));
        }
        Ok(fetched.values)
    }
}

/// Answers once all of the queries have come to something, if anybody waits by then.
pub(super) async fn wait_for(queries: Vec<watch::Receiver<Done>>, mut waiting: Waiting) {
    let outcomes = async {
        let mut outcomes = Vec::with_capacity(queries.len());
        for mut query in queries {
            let done = query.wait_for(Option::is_some).await.map(|done| done.clone());
            outcomes.push(done.ok().flatten().unwrap_or_else(|| Err("its query was given up".into())));
        }
        outcomes
    };
    tokio::select! {
        outcomes = outcomes => waiting.tell(&outcomes),
        () = waiting.answer.closed() => {}
    }
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
