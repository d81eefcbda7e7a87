//! Starts after something has happened to the truth or to the machine meanwhile.

use quotad::clock::{Clock, SystemClock};

use super::scene::{SOME_FLUSHES, Scene};
use crate::cluster::Cluster;
use crate::ledger::{Allowed, Ledger};
use crate::load::{CLIENTS, Load};
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::support::Reply;
use crate::surroundings::{DEADLINE, outage, pass, seed, until};

/// Debian's package `faketime`; the variant for programs with threads.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// How the clock stands in further runs: set back, wrong by a year, and right again.
const CLOCKS: [(&str, i64); 3] = [("-1h", -3_600), ("+365d", 365 * 86_400), ("+0", 0)];

/// How far the server's time may be from what was set.
const MOST_SECONDS: u64 = 60;

/// The environment in which a program's wall clock stands as `time` says, and its monotonic clock is left alone.
///
/// # Panics
/// With the remedy, where the library is missing.
pub fn fake_time(time: &str) -> Vec<(String, String)> {
    assert!(
        std::path::Path::new(FAKETIME).exists(),
        "{FAKETIME} is missing; as root: apt-get install --no-install-recommends faketime"
    );
    [("LD_PRELOAD", FAKETIME), ("FAKETIME", time), ("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("TZ", "UTC")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

/// Someone empties the database: it is not taken for new.
pub fn emptied() -> Row {
    let cluster = Cluster::start();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let setup = Setup::postgres(&cluster.url(), directory.path());
    let mut ledger = Ledger::new(seed(), CLIENTS);
    let server = setup.start();
    let load = Load::begin(&mut ledger, server.address());
    pass(SOME_FLUSHES);
    load.end(&mut ledger);
    assert!(server.terminate().success());
    let row = ledger.settle(&setup.truth().read(), Allowed::Nothing);
    let data_set = cluster.text("SELECT data_set::text FROM owner");
    cluster.run("ALTER SCHEMA public RENAME TO aside; CREATE SCHEMA public");
    for _ in 0..2 {
        let refusal = setup.refusal();
        assert!(refusal.contains(&data_set) && refusal.contains("is empty"), "{refusal}");
    }
    let tables =
        cluster.text("SELECT count(*)::text FROM pg_class WHERE relnamespace = 'public'::regnamespace");
    assert_eq!(tables, "0", "what is refused is left as it is");
    cluster.run("DROP SCHEMA public CASCADE; ALTER SCHEMA aside RENAME TO public");
    let server = setup.start();
    server.compare(&ledger.names(), &setup.truth().read());
    row
}

/// A data directory that is started with a truth that is not its own, or whose file is not there: nothing is made or lost.
pub fn misplaced() -> Row {
    let cluster = Cluster::start();
    let [postgres, sqlite, other] = [(); 3].map(|()| tempfile::tempdir().expect("a directory can be made"));
    let setup = Setup::postgres(&cluster.url(), postgres.path());
    assert!(setup.start().terminate().success());
    let refusal = Setup::sqlite(postgres.path()).refusal();
    for part in ["truth.sqlite", "belongs to a server on Postgres", "--truth postgres://", "--data-dir"] {
        assert!(refusal.contains(part), "{refusal}");
    }
    assert!(!postgres.path().join("truth.sqlite").exists(), "no file is made");
    assert!(setup.start().terminate().success());

    assert!(Setup::sqlite(other.path()).start().terminate().success());
    let setup = Setup::sqlite(sqlite.path());
    let [file, log, aside] =
        ["truth.sqlite", "truth.sqlite-wal", "aside"].map(|name| sqlite.path().join(name));
    // Most of it is in the file, the last change in the log beside it alone.
    let server = setup.start();
    server.call("SET first 1");
    assert!(server.terminate().success());
    let server = setup.start();
    server.call("SET last 1");
    server.wait_for_truth(DEADLINE);
    server.kill();
    let logged = std::fs::read(&log).expect("the log is there");
    std::fs::rename(&file, &aside).expect("a file can be moved");
    let others = std::fs::read(other.path().join("truth.sqlite")).expect("the other file is there");
    for content in [None, Some(Vec::new()), Some(others)] {
        if let Some(content) = &content {
            std::fs::write(&file, content).expect("a file can be written");
        }
        let refusal = setup.refusal();
        assert!(refusal.contains("belongs to the data set") && refusal.contains("--data-dir"), "{refusal}");
        assert_eq!(std::fs::read(&file).ok(), content, "it is left as it is: {refusal}");
        assert!(
            std::fs::read(&log).is_ok_and(|found| found == logged),
            "the log is left as it is: {refusal}"
        );
    }
    std::fs::rename(&aside, &file).expect("a file can be moved");
    let server = setup.start();
    assert_eq!(server.call("MGET first last").in_cli_notation(), "1) \"1\"\n2) \"1\"");
    Row::default()
}

/// SIGTERM while Postgres is down; it is back for the next start.
pub fn terminated_without_truth() -> Row {
    let cluster = Cluster::start();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let setup = Setup::postgres(&cluster.url(), directory.path());
    let mut ledger = Ledger::new(seed(), CLIENTS);
    let server = setup.start();
    let load = Load::begin(&mut ledger, server.address());
    pass(SOME_FLUSHES);
    cluster.stop();
    pass(outage() / 4);
    server.signal(rustix::process::Signal::TERM);
    load.end(&mut ledger);
    assert_eq!(server.ended().code(), Some(0), "the outbox keeps what the truth lacks");
    // A start waits for the truth as long as it takes.
    let server = setup.begin();
    pass(SOME_FLUSHES);
    let reply = server.call("GET client/0/0");
    assert!(format!("{reply:?}").contains("LOADING"), "no data is served before it is known: {reply:?}");
    until("it is told what is waited for", || (!server.trouble().is_empty()).then_some(()));
    assert_eq!(server.figure("truth_reachable"), 0);
    cluster.start_again();
    server.line_with("the truth is this server's");
    assert_eq!((server.figure("truth_reachable"), server.trouble()), (1, String::new()));
    let stored = setup.truth().read();
    let row = ledger.settle(&stored, Allowed::Nothing);
    server.compare(&ledger.names(), &stored);
    row
}

/// The clock is set back by an hour between two runs, then it is a year ahead, then right again.
pub fn clock_set() -> Row {
    let cluster = Cluster::start();
    let sqlite = tempfile::tempdir().expect("a directory can be made");
    let postgres = tempfile::tempdir().expect("a directory can be made");
    let mut row = Row::default();
    for setup in [Setup::sqlite(sqlite.path()), Setup::postgres(&cluster.url(), postgres.path())] {
        let mut scene = Scene::begin(setup);
        row.add(&scene.survive(|_| {}));
        for (time, seconds) in CLOCKS {
            // Not in good order: where the truth's clock is this machine's, the lease is held until a time that may be far ahead.
            scene.server.kill();
            scene.setup.environment = fake_time(time);
            scene.server = scene.setup.start();
            let expected = SystemClock::new().now().as_secs().saturating_add_signed(seconds);
            assert!(told_seconds(&scene.server).abs_diff(expected) < MOST_SECONDS, "the clock was set");
            scene.settle();
            row.add(&scene.survive(|_| {}));
        }
    }
    row
}

/// The server's time.
fn told_seconds(server: &Server) -> u64 {
    let Reply::Many(_, parts) = server.call("TIME") else { panic!("TIME answers a list") };
    let Reply::Bulk(text) = &parts[0] else { panic!("TIME answers texts: {parts:?}") };
    String::from_utf8_lossy(text).parse().expect("the seconds are a number")
}
