//! Something in front of Postgres, or Postgres itself, is exchanged for another.

use std::time::Duration;

use super::scene::{SOME_FLUSHES, Scene};
use crate::client::integer;
use crate::cluster::{Cluster, url_at};
use crate::ledger::Allowed;
use crate::load::Load;
use crate::pooler::Pooler;
use crate::proxy::{Manner, Proxy};
use crate::random::Random;
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::support::Reply;
use crate::surroundings::{DEADLINE, kill_rounds, now_ms, pass, seed, until};
use crate::truth::Truth;

/// Subjects of each sort whose takes a replica lacks.
const ACCOUNTS: u64 = 20;

/// Values that push them out of memory.
const FILLS: u64 = 60;

/// The bytes of each.
const FILL_BYTES: usize = 100_000;

/// The most between two restarts of PgBouncer.
const MOST_PAUSE_MS: u64 = 500;

/// What the server may lose when it is killed too: what its outbox did not have yet.
const MOST_LOST_MS: u64 = 2_000;

/// PgBouncer is killed and started again, again and again.
pub fn pooler_restarts() -> Row {
    let cluster = Cluster::start();
    let mut pooler = Pooler::start(cluster.port(), "postgres", 10);
    let directory = tempfile::tempdir().expect("a directory can be made");
    let setup = Setup::postgres(&url_at(pooler.port()), directory.path());
    let mut scene = Scene::behind(setup, Truth::Postgres(cluster.url()));
    let mut random = Random::new(seed());
    let rounds = kill_rounds() / 2;
    let mut row = scene.survive(|_| {
        for _ in 0..rounds {
            pass(Duration::from_millis(random.below(MOST_PAUSE_MS)));
            pooler.kill();
            pass(Duration::from_millis(random.below(MOST_PAUSE_MS)));
            pooler.start_again();
        }
    });
    row.rounds = rounds;
    scene.restart_and_compare();
    row
}

/// Two servers, of which the second lacks what the first committed last.
struct Pair {
    primary: Cluster,
    replica: Cluster,
    proxy: Proxy,
}

impl Pair {
    fn start() -> Self {
        let primary = Cluster::start();
        let replica = primary.replica();
        let proxy = Proxy::start(primary.port());
        Self { primary, replica, proxy }
    }

    /// Lets the replica receive nothing more.
    fn stop_receiving(&self) {
        self.replica.run("ALTER SYSTEM SET primary_conninfo = ''");
        self.replica.run("SELECT pg_reload_conf()");
        until("the replica receives nothing", || {
            self.replica.is_true("SELECT count(*) = 0 FROM pg_stat_wal_receiver").then_some(())
        });
    }

    /// Lets the replica receive nothing more; waits until it lacks batches.
    fn fall_behind(&self) {
        self.stop_receiving();
        let applied = |cluster: &Cluster| -> u64 {
            cluster.text("SELECT applied::text FROM owner").parse().expect("it is a number")
        };
        let had = applied(&self.replica);
        until("the replica lacks batches", || (applied(&self.primary) > had + 3).then_some(()));
    }

    /// The first server is gone, and the second takes its place.
    fn promote(&self) {
        self.proxy.set(Manner::Refuse);
        self.proxy.cut();
        self.primary.kill();
        self.replica.run("SELECT pg_promote()");
        until("the replica writes", || self.replica.is_true("SELECT NOT pg_is_in_recovery()").then_some(()));
        self.proxy.lead_to(self.replica.port());
        self.proxy.set(Manner::Pass);
    }

    fn wait_until_copied(&self) {
        until("the replica has the table", || {
            self.replica.is_true("SELECT to_regclass('owner') IS NOT NULL").then_some(())
        });
    }

    fn setup(&self, directory: &tempfile::TempDir) -> Setup {
        Setup::postgres(&url_at(self.proxy.port()), directory.path())
    }
}

/// An asynchronous replica is promoted without the last commits, while quotad runs.
pub fn promoted() -> Row {
    let pair = Pair::start();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut scene = Scene::behind(pair.setup(&directory), Truth::Postgres(pair.replica.url()));
    pair.wait_until_copied();
    let row = scene.survive(|server| {
        pair.fall_behind();
        pair.promote();
        server.line_with("the truth has lost batches");
    });
    assert!(scene.server.figure("truth_chain_gaps") > 0);
    assert_eq!(scene.server.figure("truth_lost_windows"), 0, "the outbox has all of it");
    scene.restart_and_compare();
    row
}

/// Calls again until keys have left memory that fills faster than they leave.
fn with_room(server: &Server, words: &str) -> Reply {
    until("there is room", || match server.call(words) {
        Reply::Error(text) if text.starts_with("OOM") => None,
        reply => Some(reply),
    })
}

/// A server whose truth is a primary with a replica that lacks the last takes, which have left memory.
fn beyond_memory(pair: &Pair, setup: &Setup) -> Server {
    let server = setup.start();
    server.wait_until_loaded();
    pair.wait_until_copied();
    let take = |name: &str, amount: u64| {
        let reply = with_room(&server, &format!("QUOTA.TAKE {name} {amount} BUDGET 100 PER TOTAL DURABLE"));
        assert!(matches!(reply, Reply::Many(..)), "{reply:?}");
    };
    accounts("old").for_each(|name| take(&name, 10));
    let applied = pair.primary.text("SELECT applied::text FROM owner");
    until("the replica has the first takes", || {
        pair.replica.is_true(&format!("SELECT applied >= {applied} FROM owner")).then_some(())
    });
    pair.stop_receiving();
    accounts("old").for_each(|name| take(&name, 80));
    accounts("new").for_each(|name| take(&name, 90));
    let fill = "x".repeat(FILL_BYTES);
    for at in 0..FILLS {
        let reply = with_room(&server, &format!("SET fill/{at} {fill}"));
        assert!(!matches!(reply, Reply::Error(_)), "fill/{at}: {reply:?}");
        server.wait_for_truth(DEADLINE);
    }
    server
}

fn accounts(sort: &str) -> impl Iterator<Item = String> {
    (0..ACCOUNTS).map(move |at| format!("{sort}/{at}"))
}

/// What was taken before is not there to be taken again.
fn grants_nothing_twice(server: &Server) {
    for name in accounts("old").chain(accounts("new")) {
        let words = format!("QUOTA.TAKE {name} 80 BUDGET 100 PER TOTAL");
        let verdict = until("the key is there", || match server.call(&words) {
            Reply::Error(text) if text.starts_with("TRYAGAIN") || text.starts_with("OOM") => None,
            reply => Some(reply),
        });
        let Reply::Many(_, parts) = &verdict else { panic!("a take is answered {verdict:?}") };
        assert_eq!(integer(&parts[0]), Some(0), "80 of {name} were granted twice: {verdict:?}");
    }
}

const BEYOND_MEMORY: [&str; 6] =
    ["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru", "--fetch-timeout", "1000"];

/// Nothing is written behind the promotion, and what the replica lacks has left memory: what is fetched must not be what it has.
pub fn promoted_and_read() -> Row {
    let pair = Pair::start();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let server = beyond_memory(&pair, &pair.setup(&directory).with(&BEYOND_MEMORY));
    pair.promote();
    grants_nothing_twice(&server);
    server.line_with("the truth has lost batches");
    assert!(server.figure("fetch_queries") > 0, "keys have left memory");
    Row { rounds: 1, acknowledged: 3 * ACCOUNTS, ..Row::default() }
}

/// Nor must a snapshot have it that is taken then, which the next start would load in place of what the truth has by that time.
pub fn promoted_and_saved() -> Row {
    let pair = Pair::start();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let setup = pair.setup(&directory).with(&BEYOND_MEMORY);
    let server = beyond_memory(&pair, &setup);
    pair.promote();
    until("a snapshot is written", || (server.call("SAVE") == Reply::Status("OK".to_owned())).then_some(()));
    server.kill();
    let server = setup.start();
    server.wait_until_loaded();
    grants_nothing_twice(&server);
    Row { rounds: 1, acknowledged: 3 * ACCOUNTS, ..Row::default() }
}

/// As [`promoted`], and the replica lacks the server's whole epoch.
pub fn promoted_without_epoch() -> Row {
    let pair = Pair::start();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut scene = Scene::behind(pair.setup(&directory), Truth::Postgres(pair.replica.url()));
    pair.wait_until_copied();
    // The primary is read until the replica takes its place.
    scene.truth = Truth::Postgres(pair.primary.url());
    let mut row = scene.survive(|_| pair.fall_behind());
    scene.server.kill();
    scene.server = scene.setup.start();
    scene.server.wait_until_loaded();
    scene.truth = Truth::Postgres(pair.replica.url());
    row.add(&scene.survive(|server| {
        pair.promote();
        server.line_with("the truth was set back behind this server's epoch");
    }));
    row.rounds = 1;
    scene.restart_and_compare();
    row
}

/// As [`promoted`], and quotad is killed at the same time: its next start replays its outbox.
pub fn promoted_and_killed() -> Row {
    let pair = Pair::start();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut scene = Scene::behind(pair.setup(&directory), Truth::Postgres(pair.replica.url()));
    pair.wait_until_copied();
    let load = Load::begin(&mut scene.ledger, scene.server.address());
    pass(SOME_FLUSHES);
    pair.fall_behind();
    let killed_ms = now_ms();
    scene.server.kill();
    load.end(&mut scene.ledger);
    pair.promote();
    scene.server = scene.setup.start();
    let stored = scene.truth.read();
    let row = scene.ledger.settle(&stored, Allowed::Since(killed_ms, MOST_LOST_MS));
    scene.server.compare(&scene.ledger.names(), &stored);
    row
}
