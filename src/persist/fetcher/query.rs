//! One query for many keys: who asks it tells all that wait for one of them what it came to.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit, oneshot, watch};
use tokio::time::sleep;

use super::{FetchError, FetchParts, HUGE_BYTES, Queries};
use crate::clock::Timestamp;
use crate::engine::{Engine, Fetch, MissingKey};
use crate::persist::fetched::{Fetched, FetchedValue, LeftOut};
use crate::persist::store::StoreError;

/// Keys in one query: a few milliseconds of the truth.
const KEYS_AT_ONCE: usize = 4_096;

/// Bytes of large values in one query, unless one has more.
const LARGE_BYTES_AT_ONCE: u64 = 1024 * 1024;

/// Bytes of a key that an error names.
const MOST_KEY_BYTES: usize = 128;

/// The keys of a query that cannot be read, with the reasons: mostly none.
type Unreadable = HashMap<MissingKey, String>;

/// What a query came to; an error: the truth has not answered.
type Outcome = Result<Arc<Unreadable>, Arc<str>>;

/// How far a query is.
#[derive(Clone, Debug)]
pub(super) enum Done {
    /// It is on its way.
    Nothing,
    /// Of all keys but these, whose values are large.
    AllBut(Arc<HashSet<MissingKey>>, Arc<Unreadable>),
    /// Of all keys.
    All(Outcome),
}

impl Done {
    /// What it came to for these keys; `None`: one of them is on its way.
    fn outcome(&self, needed: &[MissingKey]) -> Option<Outcome> {
        match self {
            Self::Nothing => None,
            Self::AllBut(large, _) if needed.iter().any(|key| large.contains(key)) => None,
            Self::AllBut(_, unreadable) => Some(Ok(Arc::clone(unreadable))),
            Self::All(outcome) => Some(outcome.clone()),
        }
    }
}

/// Who waits, and for which keys.
pub(super) struct Waiting {
    pub(super) needed: Vec<MissingKey>,
    pub(super) answer: oneshot::Sender<Result<(), FetchError>>,
}

/// Keys that are fetched together. Whatever ends its task, they may be asked for again, and nobody waits for them any longer.
pub(super) struct Query {
    queries: Arc<Queries>,
    /// Until it has come to something but for large values.
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
        let done = watch::Sender::new(Done::Nothing);
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

    /// Takes those of the keys that are not on their way into the query; answers the queries that the first `needed` of them are in.
    pub(super) fn take_up(&mut self, keys: &[MissingKey], needed: usize) -> Vec<watch::Receiver<Done>> {
        let own = self.done.subscribe();
        let mut underway = self.queries.underway.lock();
        let mut queries: Vec<watch::Receiver<Done>> = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let done = underway.entry(key.clone()).or_insert_with(|| {
                self.wanted.push(key.clone());
                own.clone()
            });
            if at < needed && !queries.iter().any(|query| query.same_channel(done)) {
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

    /// Fetches the keys, those first whose values are small.
    async fn fetch(&mut self) -> Outcome {
        let queries = Arc::clone(&self.queries);
        let parts = &queries.parts;
        let chunks = u32::try_from(self.wanted.len().div_ceil(KEYS_AT_ONCE)).unwrap_or(u32::MAX);
        let mut is_late = pin!(sleep(parts.timeout.saturating_mul(chunks)));
        let found = tokio::select! {
            biased;
            found = fetch(parts, &self.wanted) => found?,
            () = &mut is_late => {
                parts.stats.fetch_failures.add(1);
                return Err("the truth has not answered in time".into());
            }
        };
        let Found { mut unreadable, mut large } = found;
        // The largest first, since they are taken from the end.
        large.sort_by_key(|portion| std::cmp::Reverse(portion.bytes));
        let mut has_late = false;
        while !large.is_empty() {
            // Each time for as many as are left: seldom enough for thousands, and before whatever takes long.
            let is_huge = large.last().is_some_and(|portion| portion.bytes >= HUGE_BYTES);
            if large.len().is_power_of_two() || is_huge || self.place.is_some() {
                self.tell_all_but(&large, &unreadable);
            }
            let Some(portion) = large.pop() else { break };
            let turn = queries.turn(portion.bytes);
            let _turn = tokio::select! {
                biased;
                turn = turn => turn,
                () = &mut is_late, if !has_late => return Err("other large values are being read".into()),
            };
            let mut reading = pin!(portion.read(parts, &mut unreadable));
            tokio::select! {
                biased;
                read = &mut reading => read?,
                () = &mut is_late, if !has_late => {
                    has_late = true;
                    self.tell_late();
                    reading.await?;
                }
            }
        }
        Ok(Arc::new(unreadable))
    }

    /// Tells whoever waits by now that what they wait for goes on.
    fn tell_late(&mut self) {
        let late = [Err("it is large, and still being read".into())];
        self.answers.drain(..).for_each(|waiting| waiting.tell(&late));
    }

    /// Tells whoever waits for none of the large values what is known; others may ask for the rest again.
    fn tell_all_but(&mut self, large: &[Large<'_>], unreadable: &Unreadable) {
        let left: HashSet<_> =
            large.iter().flat_map(|large| large.begun.fetch.keys.iter().cloned()).collect();
        let mut underway = self.queries.underway.lock();
        self.wanted.retain(|key| left.contains(key) || underway.remove(key).is_none());
        drop(underway);
        self.place = None;
        let done = Done::AllBut(Arc::new(left), Arc::new(unreadable.clone()));
        for waiting in std::mem::take(&mut self.answers) {
            match done.outcome(&waiting.needed) {
                Some(outcome) => waiting.tell(&[outcome]),
                None => self.answers.push(waiting),
            }
        }
        self.done.send_replace(done);
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
        self.done.send_replace(Done::All(outcome.clone()));
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

/// What a query has found at first.
#[derive(Default)]
struct Found<'a> {
    unreadable: Unreadable,
    large: Vec<Large<'a>>,
}

/// Keys that are read together, since their values are large.
struct Large<'a> {
    begun: Begun<'a>,
    bytes: u64,
}

/// Fetches the keys and puts what is found into memory.
async fn fetch<'a>(parts: &'a FetchParts, wanted: &[MissingKey]) -> Result<Found<'a>, Arc<str>> {
    let mut found = Found::default();
    let mut failure = None;
    for keys in wanted.chunks(KEYS_AT_ONCE) {
        let mut begun = Begun { engine: &parts.engine, fetch: parts.engine.begin_fetch(keys) };
        let now = parts.clock.now();
        if begun.fetch.keys.is_empty() {
            continue;
        }
        match parts.fetch(&begun.fetch.keys, None, now).await {
            Ok(Fetched { values, left_out, .. }) => {
                let large = begun.split(&left_out);
                found.large.extend(large);
                let is_small = |at: &usize| left_out.binary_search_by_key(at, |left| left.at).is_err();
                let small = values.into_iter().enumerate().filter(|(at, _)| is_small(at));
                parts.fill(&mut begun, small.map(|(_, value)| value), now, &mut found.unreadable);
            }
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(found), Err)
}

impl Large<'_> {
    /// Reads the values, beside those that could not be read before.
    async fn read(mut self, parts: &FetchParts, unreadable: &mut Unreadable) -> Result<(), Arc<str>> {
        let now = parts.clock.now();
        let fetched = parts.fetch(&self.begun.fetch.keys, Some(self.bytes), now).await?;
        parts.fill(&mut self.begun, fetched.values.into_iter(), now, unreadable);
        Ok(())
    }
}

impl Queries {
    /// Waits for the turn of a query for so many bytes. None: never.
    async fn turn(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let turns = if bytes >= HUGE_BYTES { &self.huge } else { &self.large };
        turns.acquire().await.ok()
    }
}

impl<'a> Begun<'a> {
    /// Takes the keys out whose values were left out, in portions.
    fn split(&mut self, left_out: &[LeftOut]) -> Vec<Large<'a>> {
        let number = self.fetch.number;
        let mut portions: Vec<Large<'a>> = Vec::new();
        for LeftOut { at, bytes } in left_out {
            let key = self.fetch.keys[*at].clone();
            match portions.last_mut() {
                Some(last) if last.bytes + bytes <= LARGE_BYTES_AT_ONCE => {
                    last.begun.fetch.keys.push(key);
                    last.bytes += bytes;
                }
                _ => {
                    let begun = Begun { engine: self.engine, fetch: Fetch { number, keys: vec![key] } };
                    portions.push(Large { begun, bytes: *bytes });
                }
            }
        }
        let mut left = left_out.iter().map(|left| left.at).peekable();
        let mut places = 0..;
        self.fetch.keys.retain(|_| places.next().is_none_or(|at| left.next_if_eq(&at).is_none()));
        portions
    }
}

impl FetchParts {
    /// The values of a truth that has all that it was known to have: small ones, or large ones of about so many bytes.
    async fn fetch(
        &self,
        keys: &[MissingKey],
        large: Option<u64>,
        now: Timestamp,
    ) -> Result<Fetched, Arc<str>> {
        self.stats.fetch_queries.add(1);
        // Keys are missing already, so what they were when they left memory is in these batches.
        let known = (self.progress.epoch(), self.progress.applied());
        let answer = match large {
            None => self.store.fetch(keys, now).await,
            Some(bytes) => self.store.fetch_large(keys, bytes, now).await,
        };
        answer.and_then(|fetched| self.checked(fetched, known)).map_err(|error| {
            self.stats.fetch_failures.add(1);
            let reason = error.to_string();
            tracing::debug!(keys = keys.len(), "fetching failed: {reason}");
            reason.into()
        })
    }

    fn checked(&self, fetched: Fetched, (epoch, applied): (u64, u64)) -> Result<Fetched, StoreError> {
        if fetched.epoch < epoch || fetched.applied < applied {
            self.pending.look_back();
            return Err(StoreError::Unavailable(format!(
                "the truth has lost batches that it had committed (it is at {} of epoch {}, and was at {applied} of {epoch}), which are applied again",
                fetched.applied, fetched.epoch
            )));
        }
        Ok(fetched)
    }

    /// Puts the values under the keys into memory.
    fn fill(
        &self,
        begun: &mut Begun<'_>,
        values: impl Iterator<Item = FetchedValue>,
        now: Timestamp,
        unreadable: &mut Unreadable,
    ) {
        let number = begun.fetch.number;
        for (key, value) in std::mem::take(&mut begun.fetch.keys).into_iter().zip(values) {
            self.stats.fetched_keys.add(1);
            self.stats.damages.note_fetched(&key, value.as_ref().err().map(String::as_str));
            match value {
                Ok(value) => {
                    let value = value.map(|value| (value.content, value.expiry));
                    // What is not taken is older than what memory has by now.
                    let _ = self.engine.fill(number, &key, value, now);
                }
                Err(reason) => {
                    self.engine.abandon_fetch(number, std::slice::from_ref(&key));
                    unreadable.insert(key, reason);
                }
            }
        }
    }
}

/// Answers once all of the queries have come to something, if anybody waits by then.
pub(super) async fn wait_for(queries: Vec<watch::Receiver<Done>>, mut waiting: Waiting) {
    let outcomes = async {
        let mut outcomes = Vec::with_capacity(queries.len());
        for mut query in queries {
            let done = query.wait_for(|done| done.outcome(&waiting.needed).is_some()).await;
            let outcome = done.ok().and_then(|done| done.outcome(&waiting.needed));
            outcomes.push(outcome.unwrap_or_else(|| Err("its query was given up".into())));
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
