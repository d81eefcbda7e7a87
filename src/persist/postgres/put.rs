//! Putting the rows of a batch into Postgres's table of entries.

use sqlx::postgres::PgArguments;
use sqlx::{Arguments, Connection, Encode, PgConnection, Postgres, Type};

use super::apply::Search;
use super::error::{refusal_of_rows, unavailable};
use super::key::{indexed, is_indexed, long};
use super::probe::Refused;
use crate::persist::batch::Batch;
use crate::persist::chain::{DROPPED, dropped};
use crate::persist::halves::Halves;
use crate::persist::rows::{Row, Rows, signed, unsigned};
use crate::persist::store::{RejectedRecord, StoreError};

/// Rows in one statement: few round trips, several chunks of what one flush has, and where a row is refused it is found in 12 halvings.
pub(super) const CHUNK_ROWS: usize = 4_096;

/// One statement for any amount of rows, of which each column is an array. `unnest` stands among the columns, which takes the arrays
/// apart row by row; in FROM each would be written to a store of tuples first. An array that is NULL gives NULLs for nothing. Mostly
/// every key has its row, and a join finds it in less time than an upsert, which tries to insert first.
const MERGE: &str = "MERGE INTO entries AS e
    USING (
        SELECT unnest($3::integer[]) AS database, unnest($4::bytea[]) AS key, unnest($5::text[]) AS type,
            unnest($6::bytea[]) AS state, unnest($7::bigint[]) AS expires_at_ms, unnest($8::text[]) AS usage,
            unnest($9::bytea[]) AS long_key, unnest($10::text[]) AS subject
    ) AS r ON e.database = r.database AND e.key = r.key
    WHEN MATCHED AND (e.epoch, e.seq) < ($1, $2) THEN UPDATE SET type = r.type, state = r.state,
        expires_at_ms = r.expires_at_ms, usage = r.usage::json, deleted = r.state IS NULL, epoch = $1, seq = $2
    WHEN NOT MATCHED THEN INSERT (database, key, long_key, type, state, expires_at_ms, usage, subject, deleted, epoch, seq)
        VALUES (r.database, r.key, r.long_key, r.type, r.state, r.expires_at_ms, r.usage::json,
            CASE WHEN $11 THEN convert_from(r.key, 'UTF8') ELSE r.subject END, r.state IS NULL, $1, $2)";

/// Of the rows that were to be put those that are not there, or as another batch has put them: counted from 1.
const OTHERS: &str = "SELECT r.at, e.epoch, e.seq
    FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY AS r (database, key, at)
        LEFT JOIN entries AS e ON e.database = r.database AND e.key = r.key
    WHERE e.key IS NULL OR (e.epoch, e.seq) <> ($3, $4)";

/// Some rows, and the same as Postgres takes them.
struct Chunk<'a> {
    rows: Vec<Row<'a>>,
    arguments: PgArguments,
}

impl<'a> Chunk<'a> {
    /// The next rows that are not known to be refused, which are set aside. No rows: there are no more.
    async fn next(
        rows: &mut Rows<'a>,
        batch: &Batch,
        refused: &Refused,
        rejected: &mut Vec<RejectedRecord>,
    ) -> Self {
        loop {
            let mut chunk = rows.next_chunk(CHUNK_ROWS).await;
            let is_end = chunk.is_empty();
            chunk.retain(|row| {
                let reason = refused.row(row);
                rejected.extend(reason.map(|reason| row.rejected(reason.clone())));
                reason.is_none()
            });
            if is_end || !chunk.is_empty() {
                let arguments = arguments(batch, &chunk);
                return Self { rows: chunk, arguments };
            }
        }
    }
}

/// Puts all rows; answers what was refused. `None`: that is too much, and the transaction is to be given up.
pub(super) async fn put_rows(
    connection: &mut PgConnection,
    batch: &Batch,
    search: &mut Search,
) -> Result<Option<Vec<RejectedRecord>>, StoreError> {
    let mut rows = Rows::of(batch);
    let (mut rejected, mut found) = (Vec::new(), Vec::new());
    // Taken out, since the next rows are looked up in it while those before are put.
    let refused = std::mem::take(&mut search.refused);
    let mut chunk = Chunk::next(&mut rows, batch, &refused, &mut rejected).await;
    while !chunk.rows.is_empty() {
        // While Postgres works on one chunk, the next is made.
        let put = put_chunk(connection, batch, chunk, search, &mut found);
        let (put, next) = tokio::join!(put, Chunk::next(&mut rows, batch, &refused, &mut rejected));
        if !put? {
            return Ok(None);
        }
        chunk = next;
    }
    rejected.append(&mut found);
    rejected.append(&mut rows.rejected);
    Ok(Some(rejected))
}

/// Puts a chunk under a savepoint; whether it, or all but what was found to be refused, was put.
async fn put_chunk(
    connection: &mut PgConnection,
    batch: &Batch,
    Chunk { rows, arguments: all }: Chunk<'_>,
    search: &mut Search,
    rejected: &mut Vec<RejectedRecord>,
) -> Result<bool, StoreError> {
    let mut all = Some(all);
    let mut halves = Halves::of(rows.len());
    while let Some(range) = halves.next() {
        let some = &rows[range.clone()];
        let arguments = all.take().unwrap_or_else(|| arguments(batch, some));
        let mut savepoint = connection.begin().await.map_err(unavailable)?;
        match merge_with(&mut savepoint, arguments).await {
            Ok(put) => {
                if put < u64::try_from(some.len()).expect("a length fits 64 bits") {
                    rejected.append(&mut dropped_rows(&mut savepoint, batch, some).await?);
                }
                savepoint.commit().await.map_err(unavailable)?;
            }
            Err(error) => {
                let Some(reason) = refusal_of_rows(&error) else { return Err(unavailable(error)) };
                if !search.goes_on() {
                    return Ok(false);
                }
                savepoint.rollback().await.map_err(unavailable)?;
                rejected.extend(halves.halve(range).map(|at| rows[at].rejected(reason)));
            }
        }
    }
    Ok(true)
}

/// Puts rows with one statement; answers how many.
pub(super) async fn merge(
    connection: &mut PgConnection,
    batch: &Batch,
    rows: &[Row<'_>],
) -> Result<u64, sqlx::Error> {
    merge_with(connection, arguments(batch, rows)).await
}

async fn merge_with(connection: &mut PgConnection, arguments: PgArguments) -> Result<u64, sqlx::Error> {
    let merge = sqlx::query_with(MERGE, arguments).persistent(false);
    Ok(merge.execute(connection).await?.rows_affected())
}

/// The rows that are not there although their statement was not refused.
async fn dropped_rows(
    connection: &mut PgConnection,
    batch: &Batch,
    rows: &[Row<'_>],
) -> Result<Vec<RejectedRecord>, StoreError> {
    let keys: Vec<_> = rows.iter().map(|row| indexed(row.key)).collect();
    let others: Vec<(i64, Option<i64>, Option<i64>)> = sqlx::query_as(OTHERS)
        .bind(rows.iter().map(|row| row.database).collect::<Vec<i32>>())
        .bind(keys.iter().map(|key| &**key).collect::<Vec<&[u8]>>())
        .bind(signed(batch.epoch))
        .bind(signed(batch.seq))
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    let others = others.into_iter().map(|(at, epoch, seq)| {
        let at = usize::try_from(at - 1).expect("rows are counted from 1");
        (at, epoch.zip(seq).map(|(epoch, seq)| (unsigned(epoch), unsigned(seq))))
    });
    let dropped = dropped(batch, others)?;
    Ok(dropped.into_iter().map(|at| rows[at].rejected(DROPPED.to_owned())).collect())
}

fn arguments(batch: &Batch, rows: &[Row<'_>]) -> PgArguments {
    let arguments = &mut PgArguments::default();
    // What Postgres can make of the key itself need not be sent.
    let subjects_are_keys = rows.iter().all(|row| row.subject.is_some() && is_indexed(row.key));
    let subjects = if subjects_are_keys { None } else { column(rows, |row| row.subject) };
    bind(arguments, signed(batch.epoch));
    bind(arguments, signed(batch.seq));
    bind(arguments, rows.iter().map(|row| row.database).collect::<Vec<i32>>());
    let keys: Vec<_> = rows.iter().map(|row| indexed(row.key)).collect();
    bind(arguments, keys.iter().map(|key| &**key).collect::<Vec<&[u8]>>());
    bind(arguments, column(rows, |row| row.kind));
    bind(arguments, column(rows, |row| row.state));
    bind(arguments, column(rows, |row| row.expires_at_ms));
    bind(arguments, column(rows, |row| row.usage.as_deref()));
    bind(arguments, column(rows, |row| long(row.key)));
    bind(arguments, subjects);
    bind(arguments, subjects_are_keys);
    std::mem::take(arguments)
}

/// One column of the rows; no array at all where nothing is in it.
fn column<'a, T>(rows: &'a [Row<'a>], of: impl Fn(&'a Row<'a>) -> Option<T>) -> Option<Vec<Option<T>>> {
    let column: Vec<Option<T>> = rows.iter().map(of).collect();
    column.iter().any(Option::is_some).then_some(column)
}

fn bind<'a>(arguments: &mut PgArguments, value: impl Encode<'a, Postgres> + Type<Postgres>) {
    arguments.add(value).expect("numbers and arrays of a few thousand have their form");
}
