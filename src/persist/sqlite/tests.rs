//! SQLite keeps the stores' contract, and its file can be read by people.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::persist::batch::ClosedPeriod;
use crate::persist::contract::{self, Harness, NOON, OWNER, batch, claimed, limit, put, record, used};

struct Fixture {
    store: SqliteStore,
    directory: tempfile::TempDir,
}

impl Fixture {
    async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&directory.path().join("truth.sqlite")).await.unwrap();
        Self { store, directory }
    }

    async fn migrated() -> Self {
        let fixture = Self::empty().await;
        assert_eq!(
            fixture.store.migrate(false).await.unwrap(),
            ["0001 truth", "0002 refused_batches", "0003 snapshots", "0004 refused_periods"]
        );
        fixture
    }

    async fn run(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.store.writer).await.unwrap();
    }

    async fn rows(&self, sql: &'static str) -> Vec<(String, String, i64)> {
        sqlx::query_as(sql).fetch_all(&self.store.readers).await.unwrap()
    }
}

impl Harness for Fixture {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn expire_lease(&self) {
        self.run("UPDATE owner SET lease_until_ms = 1").await;
    }

    async fn refuse_key(&self, key: &[u8]) {
        self.run("CREATE TABLE IF NOT EXISTS refused (key BLOB)").await;
        self.run(
            "CREATE TRIGGER IF NOT EXISTS refuse BEFORE UPDATE ON entries WHEN new.key IN (SELECT key FROM refused)
            BEGIN SELECT RAISE(ABORT, 'the key is refused'); END",
        )
        .await;
        sqlx::query("INSERT INTO refused VALUES (?)").bind(key).execute(&self.store.writer).await.unwrap();
    }

    async fn accept_key(&self, key: &[u8]) {
        sqlx::query("DELETE FROM refused WHERE key = ?").bind(key).execute(&self.store.writer).await.unwrap();
    }

    async fn damage_key(&self, key: &[u8]) {
        let damage = sqlx::query("UPDATE entries SET state = x'0163' WHERE key = ?").bind(key);
        damage.execute(&self.store.writer).await.unwrap();
    }

    async fn make_newer(&self, key: &[u8]) {
        let newer = sqlx::query("UPDATE entries SET seq = 1000000 WHERE key = ?").bind(key);
        newer.execute(&self.store.writer).await.unwrap();
    }
}

contract::suite!(Fixture::migrated());

/// As it does where a commit finds the disk full.
#[tokio::test]
async fn what_sqlite_has_rolled_back_by_itself_leaves_a_store_that_writes() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    let mut transaction = fixture.store.write().await.unwrap();
    sqlx::raw_sql("ROLLBACK").execute(&mut *transaction).await.unwrap();
    assert!(transaction.commit().await.is_err());
    let whole = Ok(Applied::Whole { rejected: Vec::new() });
    assert_eq!(fixture.store.apply(OWNER, &batch(epoch, 1, vec![put("a", 1)])).await, whole);
}

/// As it does where a page cannot be read.
#[tokio::test]
async fn what_sqlite_has_rolled_back_by_itself_leaves_a_store_that_reads() {
    let fixture = Fixture::migrated().await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = fixture.store.readers.begin().await.unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut *reader).await.unwrap();
        readers.push(reader);
    }
    drop(readers);
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let reader = fixture.store.readers.acquire().await.unwrap();
        assert!(!reader.is_in_transaction());
        readers.push(reader);
    }
}

/// A commit into a file without a name is none that anybody finds again.
#[tokio::test]
async fn what_is_written_into_a_removed_file_is_not_told_as_applied() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    let path = fixture.directory.path().join("truth.sqlite");
    let aside = path.with_extension("aside");
    let log = path.with_extension("sqlite-wal");
    let apply = async |seq| fixture.store.apply(OWNER, &batch(epoch, seq, vec![put("a", 1)])).await;
    let refused = async |seq, expected: &str| match apply(seq).await {
        Err(StoreError::Unavailable(reason)) => assert!(reason.contains(expected), "{reason}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(apply(1).await, Ok(Applied::Whole { rejected: Vec::new() }));
    std::fs::rename(&path, &aside).unwrap();
    refused(2, "truth.sqlite was removed while this server has it").await;
    std::fs::copy(&aside, &path).unwrap();
    refused(2, "truth.sqlite was replaced while this server has it").await;
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(apply(2).await, Ok(Applied::Whole { rejected: Vec::new() }));
    std::fs::rename(&log, &aside).unwrap();
    std::fs::copy(&aside, &log).unwrap();
    refused(3, "truth.sqlite-wal was replaced").await;
    std::fs::rename(&aside, &log).unwrap();
    assert_eq!(apply(3).await, Ok(Applied::Whole { rejected: Vec::new() }));
    std::fs::remove_file(log).unwrap();
    refused(4, "truth.sqlite-wal was removed").await;
    assert!(matches!(
        fixture.store.renew(epoch, OWNER, Duration::from_secs(30)).await,
        Err(StoreError::Unavailable(_))
    ));
}

#[tokio::test]
async fn closed_periods_that_are_refused_block_nobody() {
    let fixture = Fixture::migrated().await;
    fixture
        .run(
            "CREATE TRIGGER mine BEFORE INSERT ON closed_periods WHEN new.subject = 'bad'
            BEGIN SELECT RAISE(ABORT, 'it is bad'); END",
        )
        .await;
    contract::refused_closed_periods_block_nobody(&fixture.store).await;
}

#[tokio::test]
async fn rows_that_a_trigger_drops_block_nobody() {
    let fixture = Fixture::migrated().await;
    fixture
        .run(
            "CREATE TRIGGER drops BEFORE INSERT ON entries WHEN new.subject = 'bad'
            BEGIN SELECT RAISE(IGNORE); END",
        )
        .await;
    fixture
        .run(
            "CREATE TRIGGER drops_too BEFORE INSERT ON closed_periods WHEN new.subject = 'bad'
            BEGIN SELECT RAISE(IGNORE); END",
        )
        .await;
    contract::dropped_rows_block_nobody(&fixture.store).await;
}

#[tokio::test]
async fn the_file_is_its_owners_and_keeps_what_was_applied() {
    let fixture = Fixture::migrated().await;
    let path = fixture.directory.path().join("truth.sqlite");
    let epoch = claimed(&fixture.store).await;
    fixture.store.apply(OWNER, &batch(epoch, 1, vec![put("a", 1)])).await.unwrap();
    for name in ["truth.sqlite", "truth.sqlite-wal"] {
        let mode = std::fs::metadata(path.with_file_name(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    fixture.store.close().await;
    let again = SqliteStore::open(&path).await.unwrap();
    assert_eq!(again.migrate(false).await, Ok(Vec::new()));
    assert_eq!(again.count(NOON).await, Ok(1));
}

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
async fn another_schema_is_refused() {
    let fixture = Fixture::migrated().await;
    fixture.run("UPDATE migrations SET checksum = 'other'").await;
    let drift = fixture.store.migrate(false).await.unwrap_err().to_string();
    assert!(drift.contains("another migration 1"), "{drift}");
    fixture.run("INSERT INTO migrations SELECT 9, name, checksum, 0 FROM migrations WHERE version = 1").await;
    fixture.run("DELETE FROM migrations WHERE version = 1").await;
    assert!(fixture.store.migrate(false).await.is_err());
}

#[tokio::test]
async fn refusals_from_before_they_were_kept_count() {
    let fixture = Fixture::migrated().await;
    let undo = async {
        fixture.run("DROP TABLE refused_batches").await;
        fixture.run("ALTER TABLE rejected RENAME TO rejected_behind").await;
        fixture
            .run(
                "CREATE TABLE rejected (database, key, subject, reason, rejected_at_ms, epoch, seq,
                    PRIMARY KEY (database, key)) WITHOUT ROWID",
            )
            .await;
        fixture
            .run(
                "INSERT INTO rejected SELECT database, key, subject, reason, rejected_at_ms, epoch, seq
                FROM rejected_behind",
            )
            .await;
        fixture.run("DROP TABLE rejected_behind").await;
        fixture.run("ALTER TABLE owner DROP COLUMN pruned").await;
        fixture.run("DELETE FROM migrations WHERE version >= 2").await;
    };
    contract::refusals_are_kept_by_a_migration(&fixture, undo).await;
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("truth.sqlite");
    std::fs::write(&path, [b'x'; 5_000]).unwrap();
    let opened = SqliteStore::open(&path).await.map(|_| ());
    let path = path.display().to_string();
    assert!(matches!(&opened, Err(StoreError::Damaged(reason)) if reason.contains(&path)), "{opened:?}");
    let missing = SqliteStore::open(&directory.path().join("none/truth.sqlite")).await.map(|_| ());
    assert!(matches!(&missing, Err(StoreError::Denied(reason)) if reason.contains("none")), "{missing:?}");
}

/// SQLite keeps in any column whatever somebody has written into it.
#[tokio::test]
async fn columns_of_any_type_make_damaged_rows() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    let names = ["a", "b", "c", "d", "e", "f"];
    let records = names.map(|name| put(name, 1)).to_vec();
    fixture.store.apply(OWNER, &batch(epoch, 1, records)).await.unwrap();
    for sql in [
        "UPDATE entries SET state = 7 WHERE key = x'61'",
        "UPDATE entries SET state = NULL WHERE key = x'62'",
        "UPDATE entries SET expires_at_ms = 'never' WHERE key = x'63'",
        "UPDATE entries SET key = 'd' WHERE key = x'64'",
        "UPDATE entries SET database = 16 WHERE key = x'65'",
        "INSERT INTO entries SELECT 300, key, type, state, NULL, NULL, NULL, 0, 1, 1 FROM entries WHERE key = x'66' AND database = 0",
        "INSERT INTO entries SELECT -1, key, type, state, NULL, NULL, NULL, 0, 1, 1 FROM entries WHERE key = x'66' AND database = 0",
    ] {
        fixture.run(sql).await;
    }
    let page = fixture.store.scan(None, 10, NOON).await.unwrap();
    assert_eq!(page.records, [put("f", 1)]);
    let damaged: Vec<_> = page.damaged.iter().map(|row| (row.database, &*row.key)).collect();
    let expected: [(i64, &[u8]); 5] = [(0, b"a"), (0, b"b"), (0, b"c"), (16, b"e"), (300, b"f")];
    assert_eq!(damaged, expected);
    // However pages are cut, they come to an end.
    let (mut met, mut after) = (0, None);
    for _ in 0..=expected.len() {
        let page = fixture.store.scan(after.as_ref(), 1, NOON).await.unwrap();
        met += page.records.len() + page.damaged.len();
        after = page.next;
        assert_eq!(after.is_none(), met > expected.len(), "at row {met}");
    }
    let keys = names.map(|name| MissingKey { database: 0, key: name.as_bytes().into() });
    let values = fixture.store.fetch(&keys, NOON).await.unwrap().values;
    let damaged = values.iter().map(Result::is_err);
    assert_eq!(damaged.collect::<Vec<_>>(), [true, true, true, false, false, false], "{values:?}");
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
        .rows("SELECT subject, limit_name || ' ' || unit || ' ' || kind || ' ' || coalesce(period_start, '-') || ' ' || maximum, used FROM quota_usage")
        .await;
    let row = |subject: &str, text: &str, used| (subject.to_owned(), text.to_owned(), used);
    assert_eq!(
        usage,
        [
            row(
                "org/a",
                "usd_micro:budget:month:Europe/Berlin usd_micro budget 2026-10-31T23:00:00.000Z 9",
                4
            ),
            row("org/b", "requests:rate:10s requests rate - 10", 3),
        ]
    );
    let months =
        fixture.rows("SELECT subject, month || ' ' || unit, used FROM usage_by_month ORDER BY month").await;
    assert_eq!(months, [row("org/a", "2026-10 usd_micro", 8), row("org/a", "2026-11 usd_micro", 4)]);
}

/// People back up the file they were told of.
#[tokio::test]
async fn a_released_file_alone_has_everything() {
    let fixture = Fixture::migrated().await;
    let epoch = claimed(&fixture.store).await;
    fixture.store.apply(OWNER, &batch(epoch, 1, vec![put("a", 1)])).await.unwrap();
    fixture.store.release(epoch, OWNER).await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("truth.sqlite");
    std::fs::copy(fixture.directory.path().join("truth.sqlite"), &copy).unwrap();
    let copied = SqliteStore::open(&copy).await.unwrap();
    assert_eq!(copied.owner().await.unwrap().applied, 1);
}
