//! Postgres keeps the stores' contract, with a role that owns only its schema, and can be read by people.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::Executor;

use super::key::indexed;
use super::*;
use crate::persist::batch::ClosedPeriod;
use crate::persist::contract::{
    self, Harness, NOON, OWNER, batch, claimed, fetched, limit, put, record, used,
};

mod connections;
mod pooled;
mod reports;
mod tls;

#[path = "../../../tests/support/pooler.rs"]
mod pooler;
#[path = "../../../tests/support/postgres.rs"]
mod postgres;

use pooler::Pooler;
use postgres::Server;

/// One server for all tests of this process: it ends with it.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(false))
}

struct Fixture {
    store: PostgresStore,
    schema: String,
    /// What stands between, if anything does.
    pooler: Option<Pooler>,
}

impl Fixture {
    /// A new role with a schema of its own, and nothing else.
    async fn empty() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let schema = format!("quota_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let admin = PgPool::connect(&server().url()).await.unwrap();
        let sql = format!("CREATE ROLE {schema} LOGIN; CREATE SCHEMA {schema} AUTHORIZATION {schema}");
        admin.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
        admin.close().await;
        Self { store: Self::open(&schema), schema, pooler: None }
    }

    fn open(schema: &str) -> PostgresStore {
        let url = server().url().replace("postgres@", &format!("{schema}@"));
        PostgresStore::new(&PostgresOptions::parse(&format!("{url}&schema={schema}")).unwrap())
    }

    async fn migrated() -> Self {
        let fixture = Self::empty().await;
        assert_eq!(
            fixture.store.migrate(false).await.unwrap(),
            ["0001 truth", "0002 refused_batches", "0003 snapshots", "0004 refused_periods"]
        );
        fixture
    }

    async fn run(&self, sql: String) {
        let mut transaction = self.store.begin().await.unwrap();
        transaction.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn rows(&self, sql: &'static str) -> Vec<(String, String, i64)> {
        let mut transaction = self.store.begin().await.unwrap();
        sqlx::query_as(sql).persistent(false).fetch_all(&mut *transaction).await.unwrap()
    }
}

fn literal(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("'\\x{digits}'::bytea")
}

/// Postgres cuts names at 63 bytes.
fn constraint_of(key: &[u8]) -> String {
    let beginning: String = key.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    format!("refused_{beginning}")
}

impl Harness for Fixture {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn expire_lease(&self) {
        self.run("UPDATE owner SET lease_until = now() - interval '1 second'".to_owned()).await;
    }

    async fn refuse_key(&self, key: &[u8]) {
        let (name, key) = (constraint_of(key), literal(&indexed(key)));
        self.run(format!("ALTER TABLE entries ADD CONSTRAINT {name} CHECK (key <> {key}) NOT VALID")).await;
    }

    async fn accept_key(&self, key: &[u8]) {
        self.run(format!("ALTER TABLE entries DROP CONSTRAINT {}", constraint_of(key))).await;
    }

    async fn damage_key(&self, key: &[u8]) {
        self.run(format!("UPDATE entries SET state = '\\x0163' WHERE key = {}", literal(key))).await;
    }

    async fn make_newer(&self, key: &[u8]) {
        self.run(format!("UPDATE entries SET seq = 1000000 WHERE key = {}", literal(key))).await;
    }
}

contract::suite!(Fixture::migrated());

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let fixture = Fixture::empty().await;
    for _ in 0..2 {
        assert_eq!(
            fixture.store.migrate(true).await.unwrap(),
            ["0001 truth", "0002 refused_batches", "0003 snapshots", "0004 refused_periods"]
        );
    }
    assert!(matches!(fixture.store.owner().await, Err(StoreError::Denied(_))));
    assert_eq!(fixture.store.data_set().await, Ok(None));
    assert_eq!(
        fixture.store.migrate(false).await.unwrap(),
        ["0001 truth", "0002 refused_batches", "0003 snapshots", "0004 refused_periods"]
    );
    assert_eq!(fixture.store.migrate(true).await, Ok(Vec::new()));
}

#[tokio::test]
async fn starts_at_once_migrate_once() {
    let fixture = Fixture::empty().await;
    let other = Fixture::open(&fixture.schema);
    let (one, two) = tokio::join!(fixture.store.migrate(false), other.migrate(false));
    assert_eq!(one.unwrap().len() + two.unwrap().len(), MIGRATIONS.len());
}

#[tokio::test]
async fn another_schema_is_refused() {
    let fixture = Fixture::migrated().await;
    fixture.run("INSERT INTO quotad_migrations VALUES (9, 'later', 'x', now())".to_owned()).await;
    let newer = fixture.store.migrate(false).await.unwrap_err().to_string();
    assert!(newer.contains("its schema has version 9, this quotad knows versions up to"), "{newer}");
    fixture
        .run(
            "DELETE FROM quotad_migrations WHERE version = 9; UPDATE quotad_migrations SET checksum = 'x'"
                .to_owned(),
        )
        .await;
    let drift = fixture.store.migrate(false).await.unwrap_err().to_string();
    assert!(drift.contains("another migration 1"), "{drift}");
}

#[tokio::test]
async fn refusals_from_before_they_were_kept_count() {
    let fixture = Fixture::migrated().await;
    let undo = "DROP TABLE refused_batches; DROP INDEX rejected_by_batch; ALTER TABLE rejected DROP COLUMN batches, DROP COLUMN period, ADD PRIMARY KEY (database, key);
        ALTER TABLE owner DROP COLUMN pruned; DELETE FROM quotad_migrations WHERE version >= 2";
    contract::refusals_are_kept_by_a_migration(&fixture, fixture.run(undo.to_owned())).await;
}

#[tokio::test]
async fn whoever_cannot_be_reached_or_refuses_is_told_apart() {
    let closed = PostgresOptions::parse("postgres://nobody@127.0.0.1:1/none?sslmode=disable").unwrap();
    let closed = PostgresStore::new(&closed).owner().await;
    assert!(matches!(closed, Err(StoreError::Unavailable(_))), "{closed:?}");
    let denied = Fixture::open("nobody").owner().await;
    assert!(matches!(denied, Err(StoreError::Denied(_))), "{denied:?}");
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_key_is_refused() {
    let mut admin = PgConnection::connect(&server().url()).await.unwrap();
    let make = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    sqlx::raw_sql(make).execute(&mut admin).await.unwrap();
    let url = server().url().replace("/postgres?", "/latin?");
    let store = PostgresStore::new(&PostgresOptions::parse(&url).unwrap());
    let refused = store.migrate(false).await;
    let Err(StoreError::Denied(reason)) = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("encoding is LATIN1") && reason.contains("ENCODING 'UTF8'"), "{reason}");
}

#[tokio::test]
async fn a_lock_on_the_row_and_an_end_of_the_session_are_unavailable() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    // A server that is ended in the middle of a transaction: nothing was changed, and the next one is whole.
    let mut held = fixture.store.begin().await.unwrap();
    let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *held).await.unwrap();
    fixture.run(format!("SELECT pg_terminate_backend({process})")).await;
    let error = sqlx::query("SELECT 1").persistent(false).execute(&mut *held).await.unwrap_err();
    assert!(matches!(unavailable(error), StoreError::Unavailable(_)));
    let lost = held.commit().await.map_err(unclear);
    assert!(matches!(lost, Err(StoreError::Unclear(_))), "{lost:?}");
    let first = batch(epoch, 1, vec![put("a", 1)]);
    assert_eq!(fixture.store.apply(OWNER, &first).await, Ok(Applied::Whole { rejected: Vec::new() }));
}

/// Fetches keep their connections, which may end meanwhile.
#[tokio::test]
async fn closed_periods_that_are_refused_block_nobody() {
    let fixture = Fixture::migrated().await;
    let constraint = "ALTER TABLE closed_periods ADD CONSTRAINT mine CHECK (subject <> 'bad')";
    fixture.run(constraint.to_owned()).await;
    contract::refused_closed_periods_block_nobody(&fixture.store).await;
}

#[tokio::test]
async fn rows_that_a_trigger_drops_block_nobody() {
    let fixture = Fixture::migrated().await;
    let drops = "CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF new.subject = 'bad' THEN RETURN NULL; END IF; RETURN new; END $$;
        CREATE TRIGGER mine BEFORE INSERT OR UPDATE ON entries FOR EACH ROW EXECUTE FUNCTION drops();
        CREATE TRIGGER mine BEFORE INSERT OR UPDATE ON closed_periods FOR EACH ROW EXECUTE FUNCTION drops()";
    fixture.run(drops.to_owned()).await;
    contract::dropped_rows_block_nobody(&fixture.store).await;
}

/// It would refuse the commit, and with it every row of the batch, as often as that is tried.
#[tokio::test]
async fn a_deferred_constraint_refuses_its_row_alone() {
    let fixture = Fixture::migrated().await;
    let trigger = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF new.subject = 'bad' THEN RAISE EXCEPTION 'it is bad' USING ERRCODE = '23514'; END IF; RETURN new; END $$;
        CREATE CONSTRAINT TRIGGER mine AFTER INSERT OR UPDATE ON entries DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse()";
    fixture.run(trigger.to_owned()).await;
    let epoch = claimed(&fixture.store).await;
    let first = batch(epoch, 1, vec![put("a", 1), put("bad", 1), put("c", 1)]);
    let Ok(Applied::Whole { rejected }) = fixture.store.apply(OWNER, &first).await else {
        panic!("one bad row blocks the batch")
    };
    assert_eq!(rejected.iter().map(|record| &*record.key).collect::<Vec<_>>(), [b"bad"]);
    assert_eq!(fixture.store.owner().await.unwrap().applied, 1);
}

/// Each that is taken for itself would keep a lock until the commit, of which the server has some thousands.
#[tokio::test]
async fn thousands_of_refused_rows_block_nobody() {
    let fixture = Fixture::migrated().await;
    let constraint = "ALTER TABLE entries ADD CONSTRAINT mine CHECK (subject NOT LIKE '%bad');
        ALTER TABLE closed_periods ADD CONSTRAINT mine CHECK (subject NOT LIKE '%bad')";
    fixture.run(constraint.to_owned()).await;
    let epoch = claimed(&fixture.store).await;
    let subject = |at: u32| format!("{at:05}{}", if at.is_multiple_of(2) { "bad" } else { "" });
    let records = (0..9_000).map(|at| put(subject(at), 1)).collect();
    let closed = |at| ClosedPeriod {
        database: 0,
        subject: subject(at).into_bytes().into(),
        limit: limit("BUDGET 10 PER HOUR"),
        start: NOON,
        end: NOON.plus_micros(3_600_000_000),
        used: 5,
    };
    let closed_periods = (0..1_000).map(closed).collect();
    let first = Batch { closed_periods, ..batch(epoch, 1, records) };
    let Ok(Applied::Whole { rejected }) = fixture.store.apply(OWNER, &first).await else {
        panic!("bad rows block the batch")
    };
    let periods = rejected.iter().filter(|record| record.period.is_some()).count();
    assert_eq!((rejected.len() - periods, periods), (4_500, 500));
    assert!(rejected.iter().all(|record| record.key.ends_with(b"bad")));
    assert_eq!(fixture.store.count(NOON).await, Ok(4_500));
}

/// Each alone would be taken, so that no probe finds them.
#[tokio::test]
async fn rows_that_are_refused_beside_each_other_block_nobody() {
    let fixture = Fixture::migrated().await;
    fixture.run("CREATE UNIQUE INDEX mine ON entries (left(subject, 1))".to_owned()).await;
    let epoch = claimed(&fixture.store).await;
    let first = batch(epoch, 1, ["a1", "a2", "b1", "c1", "c2"].map(|key| put(key, 1)).to_vec());
    let Ok(Applied::Whole { rejected }) = fixture.store.apply(OWNER, &first).await else {
        panic!("bad rows block the batch")
    };
    assert_eq!(rejected.iter().map(|record| &*record.key).collect::<Vec<_>>(), [b"a2", b"c2"]);
    assert_eq!(fixture.store.count(NOON).await, Ok(3));
}

#[tokio::test]
async fn a_fetch_goes_on_where_its_connection_has_ended() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    fixture.store.apply(OWNER, &batch(epoch, 1, vec![put("a", 7)])).await.unwrap();
    let keys = [MissingKey { database: 0, key: b"a"[..].into() }];
    let found = fetched(&fixture.store, &keys, NOON).await;
    assert!(found[0].is_some());
    let mut admin = PgConnection::connect(&server().url()).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = $1";
    for _ in 0..3 {
        sqlx::query(end).bind(&fixture.schema).execute(&mut admin).await.unwrap();
        assert_eq!(fetched(&fixture.store, &keys, NOON).await, found);
    }
}

#[tokio::test]
async fn a_stopped_flush_does_not_hold_the_owner_row() {
    let fixture = Fixture::migrated().await;
    let url = server().url().replace("postgres@", &format!("{}@", fixture.schema));
    let options = PostgresOptions::parse(&format!("{url}&schema={}", fixture.schema)).unwrap();
    let short = options.idle_in_transaction(Duration::from_secs(1));
    let stopped = PostgresStore::new(&short);
    let epoch = claimed(&fixture.store).await;
    let mut half = stopped.begin().await.unwrap();
    sqlx::query("UPDATE owner SET applied = 1").persistent(false).execute(&mut *half).await.unwrap();
    // The other waits for the row no longer than the stopped one may stand idle.
    let first = batch(epoch, 1, vec![put("a", 1)]);
    assert_eq!(fixture.store.apply(OWNER, &first).await, Ok(Applied::Whole { rejected: Vec::new() }));
    assert!(half.commit().await.is_err());
}

/// A fetch reads bytes out of a text.
#[tokio::test]
async fn bytes_are_fetched_whatever_the_role_says() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    let keys = ["a", "\\x61", "\n"];
    let records = keys.iter().map(|key| put(key, 7)).collect();
    fixture.store.apply(OWNER, &batch(epoch, 1, records)).await.unwrap();
    fixture.run(format!("ALTER ROLE {} SET bytea_output = escape", fixture.schema)).await;
    let again = Fixture { store: Fixture::open(&fixture.schema), ..fixture };
    let keys = keys.map(|key| MissingKey { database: 0, key: key.as_bytes().into() });
    for keys in [&keys[..1], &keys] {
        let found = fetched(&again.store, keys, NOON).await;
        assert!(found.iter().all(Option::is_some), "{found:?}");
    }
}

#[tokio::test]
async fn a_commit_waits_for_the_disk_whatever_the_role_says() {
    let fixture = Fixture::empty().await;
    fixture.run(format!("ALTER ROLE {} SET synchronous_commit = off", fixture.schema)).await;
    let again = Fixture { store: Fixture::open(&fixture.schema), ..fixture };
    let set = again
        .rows("SELECT current_setting('synchronous_commit'), current_setting('search_path'), 0::bigint")
        .await;
    assert_eq!(set, [("on".to_owned(), again.schema.clone(), 0)]);
}

#[tokio::test]
async fn usage_is_read_with_sql() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    let month = "BUDGET 9 PER MONTH TZ Europe/Berlin UNIT usd_micro";
    let closed = |start: u64, used| ClosedPeriod {
        database: 0,
        subject: (*b"org/a").into(),
        limit: limit(month),
        start: Timestamp::from_millis(start),
        end: NOON,
        used,
    };
    let records = vec![
        record("org/a", Some(used(month, 4))),
        record("org/b", Some(used("RATE 10 PER 10s", 3))),
        record("gone", Some(used(month, 4))),
        put("counter", 1),
    ];
    // October, told twice; November before a clock was set back, of which the open period tells more.
    let closed_periods =
        vec![closed(1_790_805_600_000, 7), closed(1_790_805_600_000, 8), closed(1_793_487_600_000, 3)];
    let first = Batch { closed_periods, ..batch(epoch, 1, records) };
    fixture.store.apply(OWNER, &first).await.unwrap();
    fixture.store.apply(OWNER, &batch(epoch, 2, vec![record("gone", None)])).await.unwrap();
    let usage = fixture
        .rows(
            "SELECT subject, concat_ws(' ', limit_name, unit, kind,
                coalesce(to_char(period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), '-'), maximum), used
            FROM quota_usage ORDER BY subject",
        )
        .await;
    let row = |subject: &str, text: &str, used| (subject.to_owned(), text.to_owned(), used);
    assert_eq!(
        usage,
        [
            row("org/a", "usd_micro:budget:month:Europe/Berlin usd_micro budget 2026-10-31 23:00 9", 4),
            row("org/b", "requests:rate:10s requests rate - 10", 3),
        ]
    );
    let months = fixture
        .rows("SELECT subject, month || ' ' || unit, used::bigint FROM usage_by_month ORDER BY month")
        .await;
    assert_eq!(months, [row("org/a", "2026-10 usd_micro", 8), row("org/a", "2026-11 usd_micro", 4)]);
}

#[tokio::test]
async fn every_column_is_described() {
    let fixture = Fixture::migrated().await;
    let bare = fixture
        .rows(
            "SELECT c.relname::text, a.attname::text, 0::bigint FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> 'quotad_migrations'
                AND a.attnum > 0 AND col_description(c.oid, a.attnum) IS NULL",
        )
        .await;
    assert_eq!(bare, []);
}
