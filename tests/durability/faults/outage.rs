//! The truth is away for a while, in every way that it can be, and comes back.

use super::scene::{Probe, Scene};
use crate::cluster::Cluster;
use crate::proxy::{Manner, Proxy};
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::support::Reply;
use crate::surroundings::{kill_rounds, outage, pass, until};

/// Connections that the crowded server has: quotad's eight and some.
const FEW_CONNECTIONS: usize = 16;

/// Takes Postgres away, lets the outage last, and brings it back.
fn away(cluster: &Cluster, take_away: impl FnOnce(), bring_back: impl FnOnce()) -> Row {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut scene = Scene::begin(Setup::postgres(&cluster.url(), directory.path()));
    let row = scene.survive(|server| {
        take_away();
        let probe = Probe::take(server);
        if server.figure("truth_reachable") == 0 {
            let reply = server.call("QUOTA.VERIFY");
            assert!(matches!(reply, Reply::Error(_)), "nothing can be compared, but {reply:?} is answered");
        }
        pass(outage());
        bring_back();
        probe.arrives(server);
    });
    scene.restart_and_compare();
    row
}

/// Postgres is stopped in good order.
pub fn stopped() -> Row {
    let cluster = Cluster::start();
    away(&cluster, || cluster.stop(), || cluster.start_again())
}

/// Postgres stands still: connections stay open and nothing answers.
pub fn frozen() -> Row {
    let cluster = Cluster::start();
    away(&cluster, || cluster.freeze(), || cluster.thaw())
}

/// Somebody holds a lock on the table.
pub fn locked() -> Row {
    let cluster = Cluster::start();
    let mut session = None;
    let lock = || {
        let mut opened = cluster.session();
        opened.run("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE");
        opened
    };
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut scene = Scene::begin(Setup::postgres(&cluster.url(), directory.path()));
    let row = scene.survive(|server| {
        session = Some(lock());
        let probe = Probe::take(server);
        pass(outage());
        drop(session.take());
        probe.arrives(server);
    });
    scene.restart_and_compare();
    row
}

/// Others have all connections that Postgres gives.
pub fn crowded() -> Row {
    let cluster = Cluster::start();
    cluster.run(&format!("ALTER SYSTEM SET max_connections = {FEW_CONNECTIONS}"));
    cluster.run("ALTER SYSTEM SET superuser_reserved_connections = 0");
    cluster.run("ALTER SYSTEM SET max_wal_senders = 0");
    cluster.start_again();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut scene = Scene::begin(Setup::postgres(&cluster.url(), directory.path()));
    let row = scene.survive(|server| {
        let crowd = crowd(&cluster);
        let probe = Probe::take(server);
        pass(outage());
        drop(crowd);
        probe.arrives(server);
    });
    scene.restart_and_compare();
    row
}

/// Opens sessions until quotad has none.
fn crowd(cluster: &Cluster) -> Vec<crate::cluster::Session> {
    const QUOTADS: &str = "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'quotad'";
    const END: &str =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'quotad'";
    let mut sessions = vec![cluster.session()];
    until("quotad has no connection", || {
        while let Ok(session) = crate::cluster::Session::try_open(&cluster.url()) {
            sessions.push(session);
        }
        let is_alone = sessions[0].text(QUOTADS) == "0";
        sessions[0].run(END);
        (is_alone && crate::cluster::Session::try_open(&cluster.url()).is_err()).then_some(())
    });
    sessions
}

/// Postgres is killed while it commits, before that or behind it, again and again.
pub fn killed_mid_commit() -> Row {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.port());
    let directory = tempfile::tempdir().expect("a directory can be made");
    let setup = Setup::postgres(&crate::cluster::url_at(proxy.port()), directory.path());
    let mut scene = Scene::behind(setup, crate::truth::Truth::Postgres(cluster.url()));
    let mut row = Row::default();
    for round in 0..kill_rounds().div_ceil(4) {
        row.add(&scene.survive(|_: &Server| {
            // What was sent but not committed, and what was committed but not answered.
            let manner =
                if round % 2 == 0 { Manner::HoldBehind("COMMIT") } else { Manner::HoldBefore("COMMIT") };
            let applied = cluster.text("SELECT applied::text FROM owner");
            proxy.set(manner);
            proxy.wait_until_caught();
            if round % 2 == 0 {
                until("the commit is done", || {
                    (cluster.text("SELECT applied::text FROM owner") != applied).then_some(())
                });
            }
            cluster.kill();
            proxy.cut();
            proxy.set(Manner::Pass);
            cluster.start_again();
        }));
    }
    scene.restart_and_compare();
    row
}
