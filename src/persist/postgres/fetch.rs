//! Fetching keys from Postgres, in one round trip.
//!
//! A client waits for it, so what else every call does (a transaction's beginning and end, having the statement described first) is left out:
//! the statements are sent as one text, which Postgres runs as one transaction of its own accord. That also holds behind PgBouncer.
//!
//! How far the truth is, is read before the rows, which then have at least what it says. The marks of flushed databases are read behind
//! them: a flush between the two kills rows that were just read, as it would a moment later; the other way round, a row that it killed
//! would be taken for one that lives.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Row};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::error::{ended_connection, unavailable};
use super::held::{Asked, Held};
use super::key::indexed;
use super::{POOLED_CONNECTIONS, PostgresStore};
use crate::clock::Timestamp;
use crate::engine::MissingKey;
use crate::persist::fetched::{Fetched, LeftOut, left_out, most_bytes};
use crate::persist::rows::{now_ms, stored_value, unsigned};
use crate::persist::store::StoreError;

/// How long to wait for a connection of the fetches' own, before the pool is asked for one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection that has lain for a while may take to show that the server knows it: a fraction of what a fetch has.
const TEST_TIMEOUT: Duration = Duration::from_millis(300);

/// The columns that tell how far the truth is: the only row of two.
const OWNER: &str = "SELECT epoch, applied FROM";

/// Which states are read.
#[derive(Clone, Copy)]
enum States {
    /// Up to so many bytes; how many each has, in a column more.
    UpTo(usize),
    All,
}

impl States {
    /// The last columns of a key's row.
    fn columns(self) -> String {
        match self {
            Self::UpTo(most) => {
                format!("CASE WHEN length(state) <= {most} THEN state END, length(state)")
            }
            Self::All => "state".to_owned(),
        }
    }
}

/// The columns of a mark: the first ones of a row.
const FLUSHED: &str = "SELECT database, epoch, seq FROM";

/// The batch that wrote a row or a mark.
type Written = (i64, i64);

/// What was found of a key.
struct Found {
    written: Written,
    expires_at_ms: Option<i64>,
    state: Option<Vec<u8>>,
    /// The bytes of a state that was left out.
    left_out: Option<u64>,
}

/// All that was answered.
#[derive(Default)]
struct Answer {
    /// The epoch, and the last batch in it.
    owner: Option<(u64, u64)>,
    rows: HashMap<(i32, Vec<u8>), Found>,
    flushed: BTreeMap<i32, Written>,
}

impl PostgresStore {
    pub(super) async fn fetch_keys(
        &self,
        keys: &[MissingKey],
        now: Timestamp,
    ) -> Result<Fetched, StoreError> {
        let sql = self.begin_read.clone()
            + &statements(&self.schema, keys, now, States::UpTo(most_bytes(keys.len())));
        let answer = Answer::of(&self.read(&sql).await.map_err(unavailable)?).map_err(unavailable)?;
        self.noted(answer.told(keys)?)
    }

    /// As [`fetch_keys`](Self::fetch_keys), with every state, which is read and made a value of on the store's own runtime.
    pub(super) async fn fetch_large_keys(
        &self,
        keys: &[MissingKey],
        now: Timestamp,
    ) -> Result<Fetched, StoreError> {
        let sql = self.begin_read.clone() + &statements(&self.schema, keys, now, States::All);
        let (pool, keys) = (self.pool.clone(), keys.to_vec());
        let reading = async move {
            let rows = read_pooled(&pool, sql).await.map_err(unavailable)?;
            Answer::of(&rows).map_err(unavailable)?.told(&keys)
        };
        let ended = || Err(unavailable(sqlx::Error::WorkerCrashed));
        self.noted(self.on_runtime(reading).await.unwrap_or_else(ended)?)
    }

    fn noted(&self, fetched: Fetched) -> Result<Fetched, StoreError> {
        self.held.note_found((fetched.epoch, fetched.applied));
        Ok(fetched)
    }

    /// Runs statements that only read; once more, should the connection have ended since its last use.
    async fn read(&self, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        if let Some(held) = self.tested_held().await {
            match self.read_on(held, sql).await {
                // So have the others, if the server was started again.
                Err(error) if ended_connection(&error) => self.held.close(),
                answer => return answer,
            }
        }
        if let Some(held) = self.connect().await {
            return self.read_on(held, sql).await;
        }
        let (pool, sql) = (self.pool.clone(), sql.to_owned());
        let reading = async move { read_pooled(&pool, sql).await };
        self.pooled(reading).await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Runs what uses a connection of the pool, as one of a few at a time.
    async fn pooled<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let turn = Arc::clone(&self.held.pooled).acquire_owned().await;
        let work = async move {
            let _turn = turn;
            work.await
        };
        self.on_runtime(work).await
    }

    /// Runs what uses a connection of the pool on the store's own runtime, whose the pool's sockets are; until it ends or is no longer waited
    /// for. `None`: that runtime has ended.
    async fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, &self.runtime);
        tasks.join_next().await?.ok()
    }

    /// A held connection that has answered a moment ago.
    async fn tested_held(&self) -> Option<Held> {
        let mut held = self.held.take()?;
        if held.needs_test() {
            match tokio::time::timeout(TEST_TIMEOUT, held.connection.ping()).await {
                Ok(answered) => answered.ok()?,
                Err(_) => {
                    // What has forgotten one has forgotten all that have lain as long.
                    self.held.close();
                    return None;
                }
            }
        }
        Some(held)
    }

    /// A connection for this thread; `None`: there are enough, or the server gives none, and the pool waits for one that it does give. What
    /// it costs to be let in (passwords are hashed thousands of times) is spent on the store's own runtime, the socket is the caller's. It
    /// is made also if the caller gives up, for the next: else fetches with a short time would never have one.
    async fn connect(&self) -> Option<Held> {
        let place = self.held.place()?;
        let (here, options) = (Handle::current(), self.pool.connect_options());
        let (watched_by, held) = (here.id(), Arc::clone(&self.held));
        let mut connecting = Box::pin(async move { PgConnection::connect_with(&options).await });
        let connecting = poll_fn(move |context| {
            let _here = here.enter();
            connecting.as_mut().poll(context)
        });
        let (caller, made) = oneshot::channel();
        self.runtime.spawn(async move {
            match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(connection)) => {
                    if let Err(unwanted) = caller.send(Held::new(connection, watched_by, place)) {
                        held.keep(unwanted);
                    }
                }
                _ => held.note_refusal(),
            }
        });
        made.await.ok()
    }

    /// Keeps the connection if it has answered; else it is closed.
    async fn read_on(&self, held: Held, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut asked = Asked::new(held, self.runtime.clone());
        let answer = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(asked.connection()).await;
        let held = asked.answered();
        let rows = answer?;
        self.held.keep(held);
        Ok(rows)
    }
}

/// Runs statements on a connection of the pool.
async fn read_pooled(pool: &PgPool, sql: String) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut connection = tested_connection(pool).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut *connection).await
}

/// A connection of the pool that has just answered: all of them have ended when the server was started again.
async fn tested_connection(pool: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    for _ in 0..POOLED_CONNECTIONS {
        let mut connection = pool.acquire().await?;
        if connection.ping().await.is_ok() {
            return Ok(connection);
        }
        connection.close_on_drop();
    }
    pool.acquire().await
}

impl Answer {
    fn of(rows: &[PgRow]) -> Result<Self, sqlx::Error> {
        let mut answer = Self::default();
        rows.iter().try_for_each(|row| answer.add(row))?;
        Ok(answer)
    }

    fn add(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
        if row.len() == 2 {
            self.owner = Some((unsigned(row.try_get(0)?), unsigned(row.try_get(1)?)));
            return Ok(());
        }
        let database = row.try_get(0)?;
        let written = (row.try_get(1)?, row.try_get(2)?);
        if row.len() == 3 {
            self.flushed.insert(database, written);
            return Ok(());
        }
        let state: Option<Vec<u8>> = row.try_get(5)?;
        let bytes: Option<i32> = if row.len() > 6 && state.is_none() { row.try_get(6)? } else { None };
        let left_out = bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let found = Found { written, expires_at_ms: row.try_get(4)?, state, left_out };
        self.rows.insert((database, row.try_get(3)?), found);
        Ok(())
    }

    /// What it says of the keys.
    fn told(&self, keys: &[MissingKey]) -> Result<Fetched, StoreError> {
        let owner = self.owner;
        let (epoch, applied) =
            owner.ok_or_else(|| StoreError::Damaged("the table of the owner has no row".to_owned()))?;
        let mut fetched = Fetched { epoch, applied, ..Fetched::default() };
        for (at, key) in keys.iter().enumerate() {
            let found = self.living(key);
            if let Some(bytes) = found.and_then(|found| found.left_out) {
                fetched.left_out.push(LeftOut { at, bytes });
                fetched.values.push(Err(left_out(bytes)));
                continue;
            }
            let value = found.map(|found| stored_value(found.state.as_deref(), found.expires_at_ms));
            fetched.values.push(value.transpose());
        }
        Ok(fetched)
    }

    /// The row of a key, if it lives.
    fn living(&self, key: &MissingKey) -> Option<&Found> {
        let database = i32::from(key.database);
        let found = self.rows.get(&(database, indexed(&key.key).into_owned()))?;
        let is_flushed = self.flushed.get(&database).is_some_and(|flushed| found.written < *flushed);
        (!is_flushed).then_some(found)
    }
}

/// The statement for the owner, one for each database, then the one for the marks; `schema` stands before each table, and `states`
/// are those that are read.
fn statements(schema: &str, keys: &[MissingKey], now: Timestamp, states: States) -> String {
    let mut databases: BTreeMap<u8, Vec<&MissingKey>> = BTreeMap::new();
    for key in keys {
        databases.entry(key.database).or_default().push(key);
    }
    let columns = format!("database, epoch, seq, key, expires_at_ms, {}", states.columns());
    let mut sql = format!("{OWNER} {schema}owner; ");
    for (database, keys) in databases {
        put_statement(&mut sql, (database, &keys), schema, now, &columns)
            .expect("a string takes all that is written");
    }
    sql + FLUSHED + " " + schema + "flushed"
}

/// Several keys are looked up one after the other: whatever the planner guesses of a table that has just grown, a list of them would be
/// a reason to read the whole database. For one key that costs a third more, and its look-up has only one good plan.
fn put_statement(
    sql: &mut String,
    (database, keys): (u8, &[&MissingKey]),
    schema: &str,
    now: Timestamp,
    columns: &str,
) -> std::fmt::Result {
    let rows = format!("SELECT {columns} FROM {schema}entries WHERE database = {database} AND key =");
    let lives = format!("NOT deleted AND (expires_at_ms IS NULL OR expires_at_ms > {})", now_ms(now));
    if let [key] = keys {
        sql.push_str(&rows);
        sql.push_str(" $key$");
        put_digits(sql, &indexed(&key.key));
        return write!(sql, "$key$::bytea AND {lives}; ");
    }
    let array = array_of(keys);
    write!(
        sql,
        "SELECT e.* FROM unnest({array}) AS k (key),
        LATERAL ({rows} k.key AND {lives} LIMIT 1) AS e; "
    )
}

/// The keys as a constant, in which each byte is two hexadecimal digits, so that nothing of a key is read as SQL.
fn array_of(keys: &[&MissingKey]) -> String {
    let mut array = String::from("$keys${");
    for (at, key) in keys.iter().enumerate() {
        array.push_str(if at == 0 { "\"\\" } else { ",\"\\" });
        put_digits(&mut array, &indexed(&key.key));
        array.push('"');
    }
    array.push_str("}$keys$::bytea[]");
    array
}

fn put_digits(sql: &mut String, bytes: &[u8]) {
    sql.push_str("\\x");
    for byte in bytes {
        sql.push(digit(byte >> 4));
        sql.push(digit(byte & 0xf));
    }
}

fn digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).expect("half a byte is a digit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_digits_whatever_they_hold() {
        let key = |database, key: &[u8]| MissingKey { database, key: key.into() };
        let keys = [key(3, b"a\x00"), key(0, b"$key$'\\"), key(3, b"")];
        let sql = statements("\"quota\".", &keys, Timestamp::from_millis(7), States::All);
        let lives = "NOT deleted AND (expires_at_ms IS NULL OR expires_at_ms > 7)";
        let owner = format!("{OWNER} \"quota\".owner; ");
        let columns = "SELECT database, epoch, seq, key, expires_at_ms, state FROM";
        let one = format!(
            "{columns} \"quota\".entries WHERE database = 0 AND key = $key$\\x246b657924275c$key$::bytea AND {lives}; "
        );
        let several = format!(
            "SELECT e.* FROM unnest($keys${{\"\\\\x6100\",\"\\\\x\"}}$keys$::bytea[]) AS k (key),
        LATERAL ({columns} \"quota\".entries WHERE database = 3 AND key = k.key AND {lives} LIMIT 1) AS e; "
        );
        let expected = owner + &one + &several + FLUSHED + " \"quota\".flushed";
        assert_eq!(sql, expected);
    }
}
