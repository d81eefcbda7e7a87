//! Compares memory with the truth.
//!
//! Both change while they are compared, so a key counts as different only if memory held one value from before a flush until after
//! the truth was asked, and the truth, which has that flush, holds another; and that twice, since memory may have had what the truth has for a
//! moment between.

use std::sync::Arc;
use std::time::Duration;

use super::fetched::{FetchedValue, fetch_all};
use super::flush_stats::FlushStats;
use super::progress::Progress;
use super::readable;
use super::record::StoredValue;
use super::signals::Signals;
use super::store::{DamagedRow, Store, StoreError};
use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::engine::{Cursor, DATABASES, Engine, MissingKey};

/// Keys that are compared in one query.
const KEYS_AT_ONCE: usize = 1_000;

/// Keys of one page of the truth.
const ROWS_AT_ONCE: u32 = 1_000;

/// How often a key that changed while it was compared is looked at again.
const ROUNDS: u32 = 10;

/// How long the truth may take to take what was changed: a large batch takes it seconds.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is looked whether it is away meanwhile.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Differences that are told one by one; more are only counted.
const MOST_TOLD: usize = 1_000;

/// What compares.
#[derive(Clone)]
pub struct Verifier {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// All keys.
    pub engine: Arc<Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How far batches have come.
    pub progress: Arc<Progress>,
    /// What begins a cut.
    pub signals: Arc<Signals>,
    /// What is counted.
    pub stats: Arc<FlushStats>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Keys that were compared.
    pub compared: u64,
    /// Keys that changed whenever they were looked at.
    pub unsettled: u64,
    /// Keys that differ.
    pub differing: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// A key that memory and truth do not agree about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its database.
    pub database: u8,
    /// The key.
    pub key: Box<[u8]>,
    /// What memory has, for people.
    pub memory: String,
    /// What the truth has, for people.
    pub truth: String,
}

/// What was found of a key that is compared.
#[derive(Clone, Copy)]
enum Looks {
    /// Nothing yet, or that it changes.
    First,
    /// That it differs.
    Differed,
}

/// A key with what memory holds; `None`: it is known to be absent.
type Held = (MissingKey, Option<StoredValue>);

impl Verifier {
    /// Compares every key that is in memory, and looks for keys of the truth that memory takes for absent.
    ///
    /// # Errors
    /// A text for people, when the truth does not answer.
    pub async fn verify_all(&self) -> Result<VerifyReport, String> {
        let mut report = VerifyReport::default();
        for database in databases().filter(|&database| self.engine.is_tracked(database)) {
            let mut cursor = Some(Cursor::default());
            while let Some(from) = cursor {
                let (held, next) = self.page(database, from);
                cursor = next;
                self.compare(held, &mut report).await?;
            }
        }
        let mut after = None;
        loop {
            after = self.compare_rows(after, &mut report).await?;
            if after.is_none() {
                return Ok(report);
            }
        }
    }

    /// Compares some keys that `random` chooses.
    ///
    /// # Errors
    /// A text for people, when the truth does not answer.
    pub async fn verify_sample(&self, random: u64) -> Result<VerifyReport, String> {
        let mut report = VerifyReport::default();
        let filled = |&database: &u8| self.engine.is_tracked(database) && !self.engine.is_empty(database);
        for database in databases().filter(filled) {
            let (held, _) = self.page(database, Cursor::at_random(random));
            // From a place of the truth that memory has, too.
            let after = held.last().map(|(key, _)| key.clone());
            self.compare(held, &mut report).await?;
            self.compare_rows(after, &mut report).await?;
        }
        Ok(report)
    }

    /// What memory holds from `cursor` on.
    fn page(&self, database: u8, cursor: Cursor) -> (Vec<Held>, Option<Cursor>) {
        let mut held = Vec::new();
        let page = self.engine.scan(database, cursor, KEYS_AT_ONCE, self.clock.now(), |key, view| {
            let (content, expiry) = view.copy();
            let key = MissingKey { database, key: key.into() };
            held.push((key, Some(StoredValue { content, expiry })));
        });
        (held, page.next)
    }

    /// What memory holds of a key; `None`: it does not know.
    fn look(&self, key: &MissingKey, now: Timestamp) -> Option<Option<StoredValue>> {
        let found = self.engine.peek(key.database, &key.key, now, |view| {
            let (content, expiry) = view.copy();
            StoredValue { content, expiry }
        });
        found.ok()
    }

    async fn compare(&self, held: Vec<Held>, report: &mut VerifyReport) -> Result<(), String> {
        let mut held: Vec<_> = held.into_iter().map(|held| (held, Looks::First)).collect();
        report.compared += count(held.len());
        self.stats.verified_keys.add(count(held.len()));
        for _ in 0..ROUNDS {
            if held.is_empty() {
                return Ok(());
            }
            self.flush().await?;
            let keys: Vec<MissingKey> = held.iter().map(|((key, _), _)| key.clone()).collect();
            let known = self.progress.applied();
            let fetched = fetch_all(&*self.store, &keys, self.clock.now()).await.map_err(told)?;
            if fetched.applied < known {
                return Err("the truth has lost batches that it had committed".to_owned());
            }
            let now = self.clock.now();
            let mut changed = Vec::new();
            for (((key, before), looks), truth) in held.into_iter().zip(fetched.values) {
                if truth.as_ref() == Ok(&before) {
                    continue;
                }
                match self.look(&key, now) {
                    // It left memory, so the truth is all there is of it.
                    None => {}
                    Some(after) if after != before => changed.push(((key, after), Looks::First)),
                    Some(after) => match looks {
                        Looks::First => changed.push(((key, after), Looks::Differed)),
                        Looks::Differed => self.note_difference(key, (after.as_ref(), &truth), now, report),
                    },
                }
            }
            held = changed;
        }
        report.unsettled += count(held.len());
        Ok(())
    }

    /// Looks at a page of the truth for keys that memory takes for absent; answers where the next page begins.
    async fn compare_rows(
        &self,
        after: Option<MissingKey>,
        report: &mut VerifyReport,
    ) -> Result<Option<MissingKey>, String> {
        let page = self.store.scan(after.as_ref(), ROWS_AT_ONCE, self.clock.now()).await.map_err(told)?;
        let now = self.clock.now();
        for row in &page.damaged {
            if let Some(key) = row.place()
                && self.look(&key, now).is_none()
            {
                // Nobody can tell whether they agree, and whoever needs the key is refused.
                let truth = format!("a row that cannot be read: {}", row.reason);
                self.put_difference(key, ("not there".to_owned(), truth), report);
            }
        }
        let damaged = page.damaged.iter().filter_map(DamagedRow::place);
        let keys =
            page.records.into_iter().map(|record| MissingKey { database: record.database, key: record.key });
        let absent = keys.chain(damaged).filter(|key| self.look(key, now) == Some(None));
        self.compare(absent.map(|key| (key, None)).collect(), report).await?;
        Ok(page.next)
    }

    /// Waits until the truth has all that was changed before.
    async fn flush(&self) -> Result<(), String> {
        let seq = self.changed_before();
        let stopwatch = Stopwatch::start();
        while self.progress.applied() < seq {
            self.signals.hurry();
            if tokio::time::timeout(LOOK_PAUSE, self.progress.wait_applied(seq)).await.is_ok() {
                break;
            }
            if let Some(reason) = self.stats.trouble.load_full() {
                return Err(format!("the truth takes no changes: {reason}"));
            }
            if u128::from(stopwatch.nanos()) >= FLUSH_TIMEOUT.as_nanos() {
                let seconds = FLUSH_TIMEOUT.as_secs();
                return Err(format!("the truth has not taken what was changed within {seconds} s"));
            }
        }
        Ok(())
    }

    /// The last batch with anything that was changed before now.
    fn changed_before(&self) -> u64 {
        let open = self.progress.open();
        if self.engine.queued() > 0 { open } else { open.saturating_sub(1) }
    }

    fn note_difference(
        &self,
        key: MissingKey,
        (memory, truth): (Option<&StoredValue>, &FetchedValue),
        now: Timestamp,
        report: &mut VerifyReport,
    ) {
        let told = match truth {
            Ok(truth) => readable::pair(memory, truth.as_ref(), now),
            Err(reason) => (readable::value(memory, now), format!("a row that cannot be read: {reason}")),
        };
        self.put_difference(key, told, report);
    }

    fn put_difference(&self, key: MissingKey, (memory, truth): (String, String), report: &mut VerifyReport) {
        report.differing += 1;
        self.stats.differing_keys.add(1);
        if report.differences.len() < MOST_TOLD {
            report.differences.push(Difference { database: key.database, key: key.key, memory, truth });
        }
    }
}

fn databases() -> impl Iterator<Item = u8> {
    (0..DATABASES).filter_map(|database| u8::try_from(database).ok())
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn told(error: StoreError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
