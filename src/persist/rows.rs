//! The rows of a batch, as both databases take them.

use super::batch::{Batch, ClosedPeriod, PackedRecord, RecordsIter};
use super::content::{decode, limit_of, quota_of};
use super::fetched::FetchedValue;
use super::record::{Record, StoredValue};
use super::store::{DamagedRow, MAX_PAGE_BYTES, Page, RejectedRecord, StoreError};
use super::usage::{month_name, readable_amount, readable_micros, to_json, usage_of};
use crate::clock::Timestamp;
use crate::engine::value::{Content, Kind};
use crate::engine::{Expiry, MissingKey};
use crate::quota::{Limit, SpanCache};

/// The most bytes of a value's durable form: databases take no more than 1 GB in one piece, which Postgres wants twice while it
/// compresses. Larger ones are set aside unasked.
pub(super) const MAX_STATE_BYTES: usize = 256 * 1024 * 1024;

/// The bytes of states behind which a statement takes no more rows, so that a batch of large values does not lie in memory several
/// times.
const MAX_CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// Rows that are made in one go, in a third of a millisecond; then what waits for the database has its turn.
const ROWS_A_TURN: usize = 256;

/// One row of the table of entries.
pub(super) struct Row<'a> {
    pub(super) database: i32,
    pub(super) key: &'a [u8],
    /// The name of the type; `None`: the key was deleted.
    pub(super) kind: Option<&'static str>,
    pub(super) state: Option<&'a [u8]>,
    pub(super) expires_at_ms: Option<i64>,
    pub(super) usage: Option<String>,
    pub(super) subject: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(record: PackedRecord<'a>, cut_at: Timestamp, cache: &mut UsageCache) -> Self {
        let kind = record.kind();
        Self {
            database: i32::from(record.database),
            key: record.key,
            kind: kind.map(Kind::name),
            state: record.state(),
            expires_at_ms: record.expiry.as_millis().map(|millis| i64::try_from(millis).unwrap_or(i64::MAX)),
            // Of others nothing is told, so that they need not be read.
            usage: record
                .state()
                .filter(|_| kind == Some(Kind::Quota))
                .map(|state| cache.usage(state, cut_at)),
            subject: subject_of(record.key),
        }
    }

    pub(super) fn state_bytes(&self) -> usize {
        self.state.map_or(0, <[u8]>::len)
    }

    /// The row as one that was refused.
    pub(super) fn rejected(&self, reason: String) -> RejectedRecord {
        let database = u8::try_from(self.database).expect("it was made of a byte");
        RejectedRecord { database, key: self.key.into(), period: None, reason }
    }
}

/// The key for people; `None` where it is no text that every database takes.
pub(super) fn subject_of(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key).ok().filter(|text| !text.contains('\0'))
}

/// What the row before has found out, and the next mostly needs too.
#[derive(Default)]
struct UsageCache {
    spans: SpanCache,
    /// A limit and its bytes: thousands of subjects share one.
    limit: Option<(Vec<u8>, Limit)>,
}

impl UsageCache {
    /// The readable form of a quota.
    fn usage(&mut self, state: &[u8], at: Timestamp) -> String {
        let content = match quota_of(state) {
            Some((limit, word)) => Content::Quota(self.limit(limit), word),
            None => decode(state).expect("records are checked when they come in"),
        };
        to_json(&usage_of(&content, at, &mut self.spans))
    }

    fn limit(&mut self, bytes: &[u8]) -> Limit {
        match &self.limit {
            Some((known, limit)) if known == bytes => *limit,
            _ => {
                let limit = limit_of(bytes).expect("records are checked when they come in");
                self.limit = Some((bytes.to_vec(), limit));
                limit
            }
        }
    }
}

/// The rows of a batch in their order, made as they are asked for: a database works on some while the next are made.
pub(super) struct Rows<'a> {
    records: std::iter::Peekable<RecordsIter<'a>>,
    cut_at: Timestamp,
    cache: UsageCache,
    most_bytes: usize,
    /// What was set aside unasked.
    pub(super) rejected: Vec<RejectedRecord>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        Self {
            records: batch.records.iter().peekable(),
            cut_at: batch.cut_at,
            cache: UsageCache::default(),
            most_bytes: MAX_STATE_BYTES,
            rejected: Vec::new(),
        }
    }

    /// The next rows, at most `most_rows` and about [`MAX_CHUNK_BYTES`]. None: there are no more.
    pub(super) async fn next_chunk(&mut self, most_rows: usize) -> Vec<Row<'a>> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        while chunk.len() < most_rows && bytes <= MAX_CHUNK_BYTES {
            let is_other = |record: &PackedRecord<'_>| {
                chunk.last().is_some_and(|last: &Row<'_>| last.database != i32::from(record.database))
            };
            let Some(record) = self.records.next_if(|record| !is_other(record)) else { break };
            let row = Row::of(record, self.cut_at, &mut self.cache);
            if row.state_bytes() > self.most_bytes {
                self.rejected.push(row.rejected(format!(
                    "{} bytes are more than the {} a value may have",
                    row.state_bytes(),
                    self.most_bytes
                )));
                continue;
            }
            bytes += row.state_bytes();
            chunk.push(row);
            if chunk.len() % ROWS_A_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        chunk
    }
}

/// One row of the table of closed periods.
pub(super) struct ClosedRow<'a> {
    pub(super) closed: &'a ClosedPeriod,
    pub(super) limit_name: String,
    pub(super) start_micros: i64,
    pub(super) end_micros: i64,
    pub(super) used: i64,
    pub(super) maximum: i64,
    pub(super) month: Option<String>,
}

/// The closed periods of a batch, each once: the last word on it.
pub(super) fn closed_rows_of(batch: &Batch) -> Vec<ClosedRow<'_>> {
    let micros = |time| i64::try_from(readable_micros(time)).expect("the year 9999 fits 63 bits");
    let mut rows: Vec<_> = batch
        .closed_periods
        .iter()
        .map(|closed| ClosedRow {
            closed,
            limit_name: closed.limit.name().to_string(),
            start_micros: micros(closed.start),
            end_micros: micros(closed.end),
            used: readable_amount(closed.used),
            maximum: readable_amount(closed.limit.maximum()),
            month: match closed.limit.rule {
                crate::quota::Rule::Budget(budget) => budget.month_of(closed.start).map(month_name),
                _ => None,
            },
        })
        .collect();
    // The sort is stable, and of equal ones the last stays.
    rows.reverse();
    rows.sort_by(|one, other| one.place().cmp(&other.place()));
    rows.dedup_by(|next, one| next.place() == one.place());
    rows
}

impl ClosedRow<'_> {
    /// The period as one that was refused.
    pub(super) fn rejected(&self, reason: &str) -> RejectedRecord {
        // Nothing in memory has its figures any more, so they stand here.
        let Self { limit_name, start_micros, end_micros, used, maximum, .. } = self;
        let reason = format!(
            "the closed period {limit_name} from {start_micros} to {end_micros} us with {used} of {maximum} used: {reason}"
        );
        let period = Some(format!("{limit_name} from {start_micros} us"));
        RejectedRecord { database: self.closed.database, key: self.closed.subject.clone(), period, reason }
    }

    fn place(&self) -> (u8, &[u8], &str, i64) {
        (self.closed.database, &self.closed.subject, &self.limit_name, self.start_micros)
    }
}

/// The value of a row that lives; an error: why it cannot be read.
pub(super) fn stored_value(state: Option<&[u8]>, expires_at_ms: Option<i64>) -> Result<StoredValue, String> {
    let state = state.ok_or("it is not deleted, and has no value")?;
    let content = decode(state).map_err(|error| error.to_string())?;
    let expiry = expires_at_ms
        .map_or(Expiry::NEVER, |millis| Expiry::at_millis(u64::try_from(millis).unwrap_or_default()));
    Ok(StoredValue { content, expiry })
}

/// A row that a scan looked at.
pub(super) struct ScannedRow {
    pub(super) database: i64,
    pub(super) key: Box<[u8]>,
    pub(super) value: FetchedValue,
}

/// How full a page is.
pub(super) struct PageSize {
    rows: u32,
    most_rows: u32,
    bytes: u64,
}

impl PageSize {
    /// Of a page of so many rows at most.
    pub(super) fn new(most_rows: u32) -> Self {
        Self { rows: 0, most_rows, bytes: 0 }
    }

    /// A row comes into it.
    pub(super) fn add(&mut self, bytes: u64) {
        self.rows += 1;
        self.bytes += bytes;
    }

    /// Whether it takes no more, so that there may be more for the next one.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= self.most_rows || self.bytes >= MAX_PAGE_BYTES
    }
}

/// The page of rows that were found in their order, and whether there may be more; with keys that are gone, or without.
pub(super) fn page_of(found: impl Iterator<Item = ScannedRow>, may_be_more: bool, with_gone: bool) -> Page {
    let mut page = Page::default();
    let mut last = None;
    for ScannedRow { database, key, value } in found {
        last = u8::try_from(database).ok().map(|database| MissingKey { database, key: key.clone() });
        let value = value.map_err(|reason| DamagedRow { database, key: key.clone(), reason });
        let no_database =
            || DamagedRow { database, key: key.clone(), reason: "there is no such database".to_owned() };
        match (value, no_database().place()) {
            (Ok(None), _) if !with_gone => {}
            (Ok(None), None) => {}
            (Ok(value), Some(MissingKey { database, key })) => {
                page.records.push(Record { database, key, value });
            }
            (Ok(Some(_)), None) => page.damaged.push(no_database()),
            (Err(damaged), _) => page.damaged.push(damaged),
        }
    }
    // Behind a database with a number that no byte has there are only such.
    page.next = last.filter(|_| may_be_more);
    page
}

/// What a row of the table of refused ones stands for.
pub(super) fn rejected_of(
    database: i32,
    key: impl Into<Box<[u8]>>,
    period: String,
    reason: String,
) -> Result<RejectedRecord, StoreError> {
    let database = u8::try_from(database).map_err(|_| {
        StoreError::Damaged(format!("a refused row is of database {database}, which is none"))
    })?;
    let period = (!period.is_empty()).then_some(period);
    Ok(RejectedRecord { database, key: key.into(), period, reason })
}

/// A number as databases keep it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number a database keeps; none of them is negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// The time in milliseconds, for comparing expiries: what ends at this millisecond is gone.
pub(super) fn now_ms(now: Timestamp) -> i64 {
    signed(now.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::contract::{batch, put, record};

    fn text(key: &str, bytes: usize) -> Record {
        let content = Content::Text(crate::engine::value::Text::new(&vec![b'x'; bytes]));
        record(key, Some(StoredValue { content, expiry: Expiry::NEVER }))
    }

    async fn chunks(rows: &mut Rows<'_>) -> Vec<usize> {
        let mut sizes = Vec::new();
        loop {
            match rows.next_chunk(300).await.len() {
                0 => return sizes,
                size => sizes.push(size),
            }
        }
    }

    #[tokio::test]
    async fn what_is_too_large_is_set_aside_unasked() {
        let batch = batch(1, 1, vec![text("a", 98), text("b", 99), put("c", 1), record("d", None)]);
        let mut rows = Rows { most_bytes: 100, ..Rows::of(&batch) };
        let found = rows.next_chunk(10).await;
        assert_eq!(found.iter().map(|row| row.key).collect::<Vec<&[u8]>>(), [b"a", b"c", b"d"]);
        assert_eq!(&*rows.rejected[0].key, b"b");
        assert_eq!(rows.rejected[0].reason, "101 bytes are more than the 100 a value may have");
        // All that is left is set aside: there is no more, and no empty chunk before it.
        let mut rows = Rows { most_bytes: 1, ..Rows::of(&batch) };
        assert_eq!(chunks(&mut rows).await, [1]);
        assert_eq!(rows.rejected.len(), 3);
    }

    #[tokio::test]
    async fn chunks_have_few_rows_and_bytes() {
        let check = async |sizes: &[usize], expected: &[usize]| {
            let records = sizes.iter().enumerate().map(|(at, size)| text(&format!("{at:03}"), *size));
            let batch = batch(1, 1, records.collect());
            assert_eq!(chunks(&mut Rows::of(&batch)).await, expected);
        };
        check(&[], &[]).await;
        check(&[1; 300], &[300]).await;
        check(&[1; 700], &[300, 300, 100]).await;
        check(&[MAX_CHUNK_BYTES, 1, 1], &[1, 2]).await;
        check(&[1, MAX_CHUNK_BYTES / 2, MAX_CHUNK_BYTES, 1, 1], &[3, 2]).await;
    }

    #[test]
    fn a_subject_is_text() {
        assert_eq!(subject_of(b"org/acme"), Some("org/acme"));
        assert_eq!(subject_of(b""), Some(""));
        assert_eq!(subject_of(b"a\0b"), None);
        assert_eq!(subject_of(b"\xff"), None);
    }
}
