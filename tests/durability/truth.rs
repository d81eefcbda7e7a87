//! What the truth holds, read with SQL as people read it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use quotad::engine::value::Content;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::values::{OwnKeys, REQUESTS, TOKENS, Value, own_database, own_name};

/// Where a truth is.
#[derive(Clone, Debug)]
pub enum Truth {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A Postgres database, by its address.
    Postgres(String),
}

/// What it holds at one moment.
#[derive(Debug, Default)]
pub struct Stored {
    /// The latest epoch.
    pub epoch: u64,
    /// The last batch.
    pub applied: u64,
    /// The last batch of each epoch before.
    last_seqs: BTreeMap<u64, u64>,
    /// Every key that lives, by its database and name.
    pub keys: BTreeMap<(u8, String), Value>,
}

/// The database, name, packed state and expiry of a string.
type StringRow = (i64, String, Vec<u8>, Option<i64>);

/// The database, subject, limit and use of a slot.
type UsageRow = (i64, String, String, i64);

const OWNER: &str = "SELECT epoch, applied FROM owner";
const EPOCHS: &str = "SELECT epoch, last_seq FROM epochs WHERE last_seq IS NOT NULL";
const STRINGS: &str = "SELECT CAST(e.database AS bigint), e.subject, e.state, e.expires_at_ms FROM entries AS e
    LEFT JOIN flushed AS f ON f.database = e.database
    WHERE NOT e.deleted AND e.type = 'string' AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq))";
const USAGE: &str = "SELECT CAST(database AS bigint), subject, limit_name, used FROM quota_usage";

/// Bits of a token that number the batch: those above are the epoch.
const SEQ_BITS: u32 = 40;

/// Which parts of it are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Batches,
    Everything,
}

macro_rules! read_from {
    ($connection:expr, $part:expr) => {{
        let connection = $connection;
        let owner: (i64, i64) = sqlx::query_as(OWNER).fetch_one(&mut *connection).await?;
        let epochs: Vec<(i64, i64)> = sqlx::query_as(EPOCHS).fetch_all(&mut *connection).await?;
        let mut stored = Stored::from_batches(owner, &epochs);
        if $part == Part::Everything {
            let strings: Vec<StringRow> = sqlx::query_as(STRINGS).fetch_all(&mut *connection).await?;
            let usage: Vec<UsageRow> = sqlx::query_as(USAGE).fetch_all(&mut *connection).await?;
            stored.add_keys(strings, usage);
        }
        stored
    }};
}

impl Truth {
    /// What it holds now.
    ///
    /// # Panics
    /// When it cannot be read, or holds what no client of a ledger makes.
    pub fn read(&self) -> Stored {
        self.read_part(Part::Everything)
    }

    /// Which batches it holds now, and no keys.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn read_batches(&self) -> Stored {
        self.read_part(Part::Batches)
    }

    fn read_part(&self, part: Part) -> Stored {
        let stored = match self {
            Self::Sqlite(path) => blocking(async {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut connection = SqliteConnection::connect_with(&options).await?;
                let mut transaction = connection.begin().await?;
                Ok(read_from!(&mut *transaction, part))
            }),
            Self::Postgres(url) => blocking(async {
                let mut connection = PgConnection::connect(url).await?;
                let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
                Ok(read_from!(&mut *transaction, part))
            }),
        };
        stored.expect("the truth can be read")
    }
}

impl Truth {
    /// Changes it, as somebody does with SQL.
    ///
    /// # Panics
    /// Where that is refused.
    pub fn run(&self, sql: &str) {
        let statements = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let run = blocking(async {
            match self {
                Self::Sqlite(path) => {
                    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                    let mut connection = SqliteConnection::connect_with(&options).await?;
                    connection.execute(statements).await.map(drop)?;
                    connection.close().await
                }
                Self::Postgres(url) => {
                    let mut connection = PgConnection::connect(url).await?;
                    connection.execute(statements).await.map(drop)
                }
            }
        });
        run.expect("the statements run");
    }
}

/// What each subject has used in a month.
const MONTH: &str =
    "SELECT subject, CAST(sum(used) AS bigint) FROM usage_by_month WHERE month = $1 GROUP BY subject";

impl Truth {
    /// What each subject has used of its budgets in a month, such as `2026-01`: what people bill from.
    pub fn usage_of_month(&self, month: &str) -> BTreeMap<String, u64> {
        let rows: Result<Vec<(String, i64)>, _> = match self {
            Self::Sqlite(path) => blocking(async {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut connection = SqliteConnection::connect_with(&options).await?;
                sqlx::query_as(MONTH).bind(month).fetch_all(&mut connection).await
            }),
            Self::Postgres(url) => blocking(async {
                let mut connection = PgConnection::connect(url).await?;
                sqlx::query_as(MONTH).bind(month).fetch_all(&mut connection).await
            }),
        };
        let rows = rows.expect("the truth can be read");
        rows.into_iter().map(|(subject, used)| (subject, unsigned(used))).collect()
    }
}

/// Waits for what is asynchronous, on this thread.
pub fn blocking<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(work)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).expect("the truth has no negative numbers here")
}

fn database(number: i64) -> u8 {
    u8::try_from(number).expect("databases are bytes")
}

impl Stored {
    fn from_batches((epoch, applied): (i64, i64), epochs: &[(i64, i64)]) -> Self {
        let last_seqs = epochs.iter().map(|(epoch, last)| (unsigned(*epoch), unsigned(*last))).collect();
        Self { epoch: unsigned(epoch), applied: unsigned(applied), last_seqs, keys: BTreeMap::new() }
    }

    fn add_keys(&mut self, strings: Vec<StringRow>, usage: Vec<UsageRow>) {
        for (number, name, state, until) in strings {
            let content = quotad::persist::decode(&state).expect("a packed state can be read");
            let Content::Integer(number_held) = content else { panic!("{name} is no integer: {content:?}") };
            let value = Value::Number { number: number_held, until_ms: until.map(unsigned) };
            self.keys.insert((database(number), name), value);
        }
        for (number, name, limit, used) in usage {
            let key = (database(number), name);
            let value = self.keys.entry(key.clone()).or_insert(Value::Used { requests: None, tokens: None });
            let Value::Used { requests, tokens } = value else { panic!("{key:?} is a string and has a use") };
            let slot = match limit.as_str() {
                REQUESTS => requests,
                TOKENS => tokens,
                other => panic!("{key:?} has a limit that nobody named: {other}"),
            };
            assert_eq!(slot.replace(unsigned(used)), None, "{key:?} has {limit} twice");
        }
    }

    /// Whether the batch of this token is in the truth.
    pub fn has(&self, token: u64) -> bool {
        let (epoch, seq) = (token >> SEQ_BITS, token & ((1 << SEQ_BITS) - 1));
        if epoch == self.epoch {
            return seq <= self.applied;
        }
        self.last_seqs.get(&epoch).is_some_and(|last| seq <= *last)
    }

    /// What a subject has used of its requests.
    pub fn used(&self, database: u8, name: &str) -> u64 {
        match self.keys.get(&(database, name.to_owned())) {
            Some(Value::Used { requests, .. }) => requests.unwrap_or_default(),
            None => 0,
            Some(other) => panic!("{name} is {other:?}"),
        }
    }

    /// What a client's own keys hold.
    pub fn own_keys(&self, client: u8) -> OwnKeys {
        let database = own_database(client);
        let own = self.keys.iter().filter(|((found, _), _)| *found == database);
        own.map(|((_, name), value)| {
            let key = name.rsplit('/').next().and_then(|key| key.parse().ok()).unwrap_or(u16::MAX);
            assert_eq!(*name, own_name(client, key), "nobody used this key of database {database}");
            (key, *value)
        })
        .collect()
    }
}
