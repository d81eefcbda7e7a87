//! quotad is killed at random moments under load, again and again on the same data.

use std::cell::Cell;
use std::time::Duration;

use super::memory::SMALL_MEMORY;
use crate::cluster::{Cluster, url_at};
use crate::ledger::{Allowed, Ledger};
use crate::load::{CLIENTS, Load, Pace};
use crate::postgres;
use crate::proxy::{Manner, Proxy};
use crate::random::Random;
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::surroundings::{kill_rounds, now_ms, pass, seed};
use crate::truth::Truth;
use crate::values::Spread;

/// The longest that a server runs before it is killed: some flushes.
const MOST_MS: u64 = 700;

/// The most that may lie between an acknowledged change and the kill that loses it: an interval of 100 ms, and the flush before and
/// its own, each with a commit, on a machine that is busy with other tests.
pub const MOST_LOST_MS: u64 = 2_000;

/// Keys that leave memory and come back in a round, on average, where they are to.
const LEAST_MOVED: u64 = 500;

/// With SQLite as the truth.
pub fn on_sqlite() -> Row {
    let directory = tempfile::tempdir().expect("a directory can be made");
    rounds(&Setup::sqlite(directory.path()), Ledger::new(seed(), CLIENTS), |_| {})
}

/// With Postgres as the truth.
pub fn on_postgres() -> Row {
    let server = postgres::Server::start(true);
    let directory = tempfile::tempdir().expect("a directory can be made");
    rounds(&Setup::postgres(&server.url(), directory.path()), Ledger::new(seed(), CLIENTS), |_| {})
}

/// With Postgres as the truth and more keys than memory holds: what is changed leaves it and comes back again and again.
pub fn with_small_memory() -> Row {
    let server = postgres::Server::start(true);
    let directory = tempfile::tempdir().expect("a directory can be made");
    let setup = Setup::postgres(&server.url(), directory.path()).with(&SMALL_MEMORY);
    let mut ledger = Ledger::new(seed(), CLIENTS);
    ledger.spread = Spread::WIDE;
    let (left, fetched) = (Cell::new(0), Cell::new(0));
    let row = rounds(&setup, ledger, |server| {
        left.set(left.get() + server.figure("evicted_keys"));
        fetched.set(fetched.get() + server.figure("fetched_keys"));
    });
    assert!(
        left.get() > row.rounds * LEAST_MOVED && fetched.get() > row.rounds * LEAST_MOVED,
        "{} keys left memory and {} came back: too few to say something",
        left.get(),
        fetched.get()
    );
    row
}

/// Where a flush is held while the server is killed.
const STEPS: [Manner; 5] = [
    Manner::HoldBefore("BEGIN"),
    Manner::HoldBefore("UPDATE owner SET applied"),
    Manner::HoldBefore("MERGE INTO entries"),
    Manner::HoldBefore("COMMIT"),
    Manner::HoldBehind("COMMIT"),
];

/// At each step of a flush's transaction, also between its commit and the answer.
pub fn at_each_step() -> Row {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.port());
    let directory = tempfile::tempdir().expect("a directory can be made");
    let setup = Setup::postgres(&url_at(proxy.port()), directory.path());
    let truth = Truth::Postgres(cluster.url());
    let mut row = Row::default();
    let mut ledger = Ledger::new(seed(), CLIENTS);
    let mut server = setup.start();
    for step in STEPS {
        let load = Load::begin(&mut ledger, server.address());
        pass(Duration::from_millis(MOST_MS / 2));
        proxy.set(step);
        proxy.wait_until_caught();
        let killed_ms = now_ms();
        server.kill();
        load.end(&mut ledger);
        proxy.cut();
        proxy.set(Manner::Pass);
        server = setup.start();
        let stored = truth.read();
        row.add(&ledger.settle(&stored, Allowed::Since(killed_ms, MOST_LOST_MS)));
        server.compare(&ledger.names(), &stored);
    }
    row
}

/// Kills a server again and again; `look` sees it just before each time.
fn rounds(setup: &Setup, mut ledger: Ledger, look: impl Fn(&Server)) -> Row {
    let mut row = Row::default();
    let mut random = Random::new(seed());
    ledger.pace = Pace::DENSE;
    let mut server = setup.start();
    for round in 0..kill_rounds() {
        // While keys are loaded, a change may wait for its key in the middle of a turn; where memory is small, always.
        let is_loaded = round % 2 == 0;
        ledger.has_whole_turns = is_loaded && !ledger.spread.is_wide;
        if is_loaded {
            server.wait_until_loaded();
        }
        let load = Load::begin(&mut ledger, server.address());
        pass(Duration::from_millis(random.below(MOST_MS)));
        look(&server);
        let killed_ms = now_ms();
        server.kill();
        load.end(&mut ledger);
        server = setup.start();
        let stored = setup.truth().read();
        row.add(&ledger.settle(&stored, Allowed::Since(killed_ms, MOST_LOST_MS)));
        server.compare(&ledger.names(), &stored);
    }
    row
}
