//! What people bill from is as it was, once a lost truth is restored from a snapshot: closed periods and the months that they add up to.

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "support/client.rs"]
mod client;
#[path = "support/postgres.rs"]
mod postgres;
#[expect(dead_code, reason = "the program's own tests use more of it")]
#[path = "support/program.rs"]
mod program;
mod support;

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use quotad::app::{End, Server, Surroundings};
use quotad::clock::{ManualClock, Timestamp};
use quotad::config::{AdminAddress, Config, ListenAddress, SnapshotsSetting, TruthSetting};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use client::Client;
use program::{finished, text};
use support::Reply;

/// 2026-11-29T12:00:00Z: the month ends on the second day from then.
const START: Timestamp = Timestamp::from_millis(1_795_953_600_000);

const DAY_MICROS: u64 = 86_400_000_000;

/// Every column that is about a period, and every sum of a month.
const SQLITE: [&str; 2] = [
    "SELECT concat_ws(' ', database, hex(key), subject, limit_name, unit, period_start_us, period_end_us, month, used, maximum)
    FROM closed_periods ORDER BY 1",
    "SELECT concat_ws(' ', database, subject, month, unit, limit_name, used) FROM usage_by_month ORDER BY 1",
];
const POSTGRES: [&str; 2] = [
    "SELECT concat_ws(' ', database, upper(encode(key, 'hex')), subject, limit_name, unit,
        (extract(epoch FROM period_start) * 1000000)::bigint, (extract(epoch FROM period_end) * 1000000)::bigint, month, used, maximum)
    FROM closed_periods ORDER BY 1",
    "SELECT concat_ws(' ', database, subject, month, unit, limit_name, used) FROM usage_by_month ORDER BY 1",
];

/// The rows of both, sorted as text is.
fn rows(truth: &str) -> [Vec<String>; 2] {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let mut found = [Vec::new(), Vec::new()];
        for (at, rows) in found.iter_mut().enumerate() {
            *rows = if truth.starts_with("postgres") {
                let mut connection = PgConnection::connect(truth).await.expect("the truth is there");
                sqlx::query_scalar(POSTGRES[at])
                    .fetch_all(&mut connection)
                    .await
                    .expect("the rows can be read")
            } else {
                let mut connection = SqliteConnection::connect(truth).await.expect("the truth is there");
                sqlx::query_scalar(SQLITE[at]).fetch_all(&mut connection).await.expect("the rows can be read")
            };
            rows.sort();
        }
        found
    })
}

struct Scene {
    clock: Arc<ManualClock>,
    server: Server,
    client: Client,
}

fn start(folder: &Path, truth: &str) -> Scene {
    let clock = Arc::new(ManualClock::at(START));
    let config = Config {
        listen: vec![ListenAddress::parse("127.0.0.1:0").expect("it is an address")],
        admin: AdminAddress::Off,
        threads: 1,
        truth: TruthSetting::parse(truth).expect("it is a truth"),
        snapshots: SnapshotsSetting::Folder(None),
        snapshot_interval_secs: 0,
        data_dir: folder.to_owned(),
        ..Config::default()
    };
    let surroundings = Surroundings { clock: clock.clone(), signals: false };
    let server = Server::start_with(config, surroundings).expect("ports are free");
    let mut client =
        Client::on(TcpStream::connect(server.tcp_address().expect("it listens")).expect("it accepts"));
    client.until("GET nothing", |reply| !matches!(reply, Reply::Error(text) if text.starts_with("LOADING")));
    Scene { clock, server, client }
}

impl Scene {
    fn take(&mut self, subject: &str, amount: u64) {
        let limits = "BUDGET 1000 PER DAY UNIT tokens BUDGET 5000 PER MONTH TZ Europe/Berlin UNIT usd_micro";
        let reply =
            self.client.call(&format!("QUOTA.TAKE {subject} 0 tokens {amount} usd_micro {amount} {limits}"));
        let reply = reply.in_cli_notation();
        assert!(reply.starts_with("1) (integer) 1\n"), "{reply}");
    }

    /// Three days with two subjects, of which the second closes a period late, behind the cut; a snapshot; and another day.
    fn run(mut self, truth: &str) -> [Vec<String>; 2] {
        let long = "k".repeat(2_000);
        for day in 1..=3 {
            self.take("org/acme", 10 * day);
            self.take(&long, day);
            if day < 3 {
                self.take("org/late", 5);
                self.clock.advance_micros(DAY_MICROS);
            }
        }
        self.client.check("WAIT 1 30000", "(integer) 1");
        let as_of_the_cut = rows(truth);
        self.client.check("SAVE", "OK");
        self.take("org/late", 7);
        self.clock.advance_micros(DAY_MICROS);
        self.take("org/acme", 99);
        self.client.check("WAIT 1 30000", "(integer) 1");
        assert_ne!(rows(truth), as_of_the_cut);
        assert_eq!(self.server.stop(), End::Orderly);
        as_of_the_cut
    }
}

fn snapshot(folder: &Path, words: &[&str]) -> String {
    let output = finished(
        &[&["snapshot"], words, &["--data-dir", folder.to_str().expect("the path is text")]].concat(),
    );
    let told = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {told}");
    told
}

/// The oldest: that of the cut, not that of the end.
fn id(folder: &Path) -> String {
    let listed = snapshot(folder, &["list"]);
    assert!(listed.starts_with("ID") && listed.contains("CLOSED"), "{listed}");
    listed.lines().last().and_then(|line| line.split(' ').next()).expect("there is one").to_owned()
}

fn check(folder: &Path, truth: &str, others: &[&str]) {
    let expected = start(folder, truth).run(truth);
    // A day of two, and the month of one, of each subject.
    assert!(expected[0].len() >= 6, "{expected:?}");
    assert!(expected[1].iter().any(|row| row.starts_with("0 org/acme 2026-11 tokens")), "{expected:?}");
    let id = id(folder);
    let inspected = snapshot(folder, &["inspect", &id]);
    let count = inspected.lines().find_map(|line| line.strip_prefix("closed      ")).expect("it is told");
    let count: usize = count.split(' ').next().and_then(|count| count.parse().ok()).expect("it is a number");
    assert!(count >= expected[0].len(), "{inspected}");
    assert!(snapshot(folder, &["list", "--json"]).contains(&format!("\"closed_periods\": {count}")));
    let verified = snapshot(folder, &["verify", &id]);
    assert!(verified.contains(&format!(" and {count} closed periods in ")), "{verified}");
    for into in [truth].iter().chain(others) {
        let told = snapshot(folder, &["restore", &id, "--into", into, "--replace"]);
        assert!(told.contains(&format!(" keys and {count} closed periods of ")), "{told}");
        let found = rows(into);
        assert!(found[1] == expected[1], "the months in {into}");
        // Of a long subject, Postgres has another form in its index than SQLite.
        assert!(*into != truth || found[0] == expected[0], "the closed periods in {into}");
    }
}

#[test]
fn what_people_bill_from_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    check(folder.path(), &path("truth.sqlite"), &[&path("other.sqlite")]);

    let server = postgres::Server::start(false);
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("from-postgres.sqlite").display());
    check(folder.path(), &server.url(), &[&sqlite]);
}
