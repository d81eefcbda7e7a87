//! How many changed keys a second a truth takes in batches, beside the naive way in the same run: one `UPDATE` a transaction.
//!
//! Postgres and `SQLite` are new, local, and wait for the disk at each commit. Every key of a batch has its row already and lies
//! anywhere in the table; building the batches is not measured, and both sides share the machine. Outside of `cargo bench` a tiny
//! version runs once, which shows that it works and measures nothing.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "../tests/support/postgres.rs"]
mod postgres;

use std::process::Command;
use std::time::{Duration, Instant};

use quotad::clock::Timestamp;
use quotad::engine::Expiry;
use quotad::engine::value::Content;
use quotad::persist::{
    Applied, Batch, Claim, Claimed, Id, OwnerId, PostgresOptions, PostgresStore, Record, SqliteStore, Store,
    StoredValue,
};
use quotad::quota::{Limit, SpanCache, limits};

/// 2026-11-20, 12:00:00 UTC.
const NOON: Timestamp = Timestamp::from_millis(1_795_176_000_000);

const OWNER: OwnerId = Id([1; 16]);

/// Steps through the subjects out of their order; it is a prime, so that every subject has its turn.
const STRIDE: u64 = 61_803_401;

/// What is measured, and how long.
struct Plan {
    /// Rows in the table.
    subjects: u64,
    /// Rows of a batch.
    sizes: &'static [u64],
    /// Batches of each size are applied for this long.
    span: Duration,
    /// Rows of a batch whose latency is measured, and how often.
    latency: (u64, usize),
    /// Seconds of pgbench.
    naive_seconds: u32,
}

const MEASURED: Plan = Plan {
    subjects: 200_000,
    sizes: &[1_000, 10_000, 100_000],
    span: Duration::from_secs(8),
    latency: (10_000, 50),
    naive_seconds: 8,
};

const TINY: Plan =
    Plan { subjects: 300, sizes: &[100], span: Duration::ZERO, latency: (100, 2), naive_seconds: 1 };

/// Updates that change no index, of all: what the free half of each page is for.
const HEAP_ONLY: &str = "SELECT format('%s of %s updates were heap-only', n_tup_hot_upd, n_tup_upd)
    FROM pg_stat_user_tables WHERE relname = 'entries'";

/// Who pays for the naive way: clients of pgbench, each with a transaction in flight.
const NAIVE_CLIENTS: &str = "8";

/// Batches, one after the other, of subjects with one limit each: a window or a rate.
struct Traffic {
    limits: [Limit; 2],
    epoch: u64,
    seq: u64,
    subjects: u64,
    /// How many records were made.
    made: u64,
}

impl Traffic {
    fn new(epoch: u64, subjects: u64) -> Self {
        let limit = |words: &str| {
            let (limits, _) = limits(words.split(' ').map(str::as_bytes)).expect("it is a limit");
            *limits.first().expect("it is one")
        };
        let limits = [limit("WINDOW 100000 PER 1m FIXED UNIT tokens"), limit("RATE 100 PER 1s BURST 200")];
        Self { limits, epoch, seq: 0, subjects, made: 0 }
    }

    fn record(&mut self, cut_at: Timestamp) -> Record {
        let subject = self.made.wrapping_mul(STRIDE) % self.subjects;
        let used = 1 + self.made / self.subjects % 50;
        self.made += 1;
        let limit = self.limits[usize::from(subject % 2 == 1)];
        let word = limit.rule.charge_word(0, used, cut_at, &mut SpanCache::new());
        let key = format!("org/acme/agent/{subject:07}").into_bytes().into();
        let value = StoredValue { content: Content::Quota(limit, word), expiry: Expiry::NEVER };
        Record { database: 0, key, value: Some(value) }
    }

    fn batch(&mut self, rows: u64) -> Batch {
        self.seq += 1;
        let cut_at = NOON.plus_micros(self.seq * 100_000);
        let records: Vec<_> = (0..rows).map(|_| self.record(cut_at)).collect();
        let (epoch, seq) = (self.epoch, self.seq);
        let mut batch =
            Batch { epoch, first_seq: seq, seq, cut_at, records: records.into(), ..Batch::default() };
        batch.sort();
        batch
    }
}

/// Seconds of applying one batch.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
async fn apply(store: &dyn Store, batch: &Batch) -> f64 {
    let begin = Instant::now();
    let applied = store.apply(OWNER, batch).await;
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(applied, Ok(Applied::Whole { rejected: Vec::new() }), "batch {}", batch.seq);
    seconds
}

/// Applies batches for a while; the rows a second.
async fn throughput(store: &dyn Store, traffic: &mut Traffic, rows: u64, span: Duration) -> f64 {
    let (mut seconds, mut batches) = (0.0, 0_u32);
    while batches == 0 || seconds < span.as_secs_f64() {
        seconds += apply(store, &traffic.batch(rows)).await;
        batches += 1;
    }
    f64::from(batches) * number(rows) / seconds
}

#[expect(clippy::cast_precision_loss, reason = "it is printed in four digits")]
fn number(rows: u64) -> f64 {
    rows as f64
}

/// Measures one store; the best rows a second.
async fn measure(name: &str, store: &dyn Store, plan: &Plan) -> f64 {
    store.migrate(false).await.expect("the schema is made");
    let claim = Claim {
        data_set: None,
        owner: OWNER,
        holder: "benches/flush".to_owned(),
        lease: Duration::from_secs(3_600),
        take_over: false,
        same_directory: false,
        behind: None,
    };
    let claimed = store.begin_epoch(&claim).await.expect("the truth answers");
    let Claimed::Epoch(epoch) = claimed else { panic!("the new truth is refused: {claimed:?}") };
    let traffic = &mut Traffic::new(epoch.epoch, plan.subjects);
    // Subjects come in no order, as they are met.
    let mut seconds = 0.0;
    let part = plan.subjects.min(10_000);
    for _ in 0..plan.subjects / part {
        seconds += apply(store, &traffic.batch(part)).await;
    }
    println!("{name}: {:.0} new rows/s in batches of {part}", number(plan.subjects) / seconds);
    let mut best = 0.0_f64;
    for &rows in plan.sizes {
        let rate = throughput(store, traffic, rows, plan.span).await;
        println!("{name}: {rate:.0} changed rows/s in batches of {rows}");
        best = best.max(rate);
    }
    let (rows, times) = plan.latency;
    let mut latencies = Vec::with_capacity(times);
    for _ in 0..times {
        latencies.push(1_000.0 * apply(store, &traffic.batch(rows)).await);
    }
    latencies.sort_by(f64::total_cmp);
    let (p50, p99) = (latencies[times / 2], latencies[times * 99 / 100]);
    println!("{name}: a batch of {rows} takes {p50:.1} ms at p50, {p99:.1} ms at p99, of {times}");
    best
}

/// What psql answers.
fn psql(server: &postgres::Server, sql: &str) -> String {
    let psql =
        Command::new(postgres::programs().join("psql")).args(["-qAtc", sql]).arg(server.url()).output();
    let psql = psql.expect("psql starts");
    assert!(psql.status.success(), "{sql}: {}", String::from_utf8_lossy(&psql.stderr));
    String::from_utf8_lossy(&psql.stdout).trim().to_owned()
}

/// Rows a second of one `UPDATE` a transaction, as pgbench tells it.
fn naive(server: &postgres::Server, plan: &Plan) -> f64 {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let script = directory.path().join("naive.sql");
    let update = format!(
        "\\set id random(1, {})\nUPDATE usage SET used = used + 1 WHERE subject = :id;\n",
        plan.subjects
    );
    std::fs::write(&script, update).expect("the script can be written");
    let table = format!(
        "CREATE TABLE usage (subject bigint PRIMARY KEY, used bigint NOT NULL);
        INSERT INTO usage SELECT number, 0 FROM generate_series(1, {}) AS number",
        plan.subjects
    );
    psql(server, &table);
    let seconds = plan.naive_seconds.to_string();
    let run = Command::new(postgres::programs().join("pgbench"))
        .args(["-n", "-M", "prepared", "-c", NAIVE_CLIENTS, "-j", "2", "-T", &seconds, "-f"])
        .arg(&script)
        .arg(server.url())
        .output()
        .expect("pgbench starts");
    let told = String::from_utf8_lossy(&run.stdout);
    let rate = told.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    rate.unwrap_or_else(|| panic!("pgbench tells no rate: {told}{}", String::from_utf8_lossy(&run.stderr)))
}

fn main() {
    // Only `cargo bench` says so.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let plan = if measured { &MEASURED } else { &TINY };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the machine gives timers and sockets").block_on(async {
        let server = postgres::Server::start(true);
        let options = PostgresOptions::parse(&server.url()).expect("it is an address");
        let store = PostgresStore::new(&options);
        let best = measure("postgres", &store, plan).await;
        store.close().await;
        println!("postgres: {}", psql(&server, HEAP_ONLY));
        let naive = naive(&server, plan);
        println!(
            "postgres: {naive:.0} rows/s in the naive way; batches are {:.0} times as fast",
            best / naive
        );
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("truth.sqlite");
        let store = SqliteStore::open(&path).await.expect("a file is made");
        measure("sqlite", &store, plan).await;
        store.close().await;
    });
}
