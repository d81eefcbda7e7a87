//! The network between quotad and Postgres cuts, delays, drips, resets and falls silent.

use std::time::Duration;

use super::scene::{Probe, SOME_FLUSHES, Scene};
use crate::cluster::{Cluster, url_at};
use crate::proxy::{Manner, Proxy};
use crate::random::Random;
use crate::report::Row;
use crate::server::Setup;
use crate::surroundings::{kill_rounds, outage, pass, seed};
use crate::truth::Truth;

/// The most between two cuts.
const MOST_PAUSE_MS: u64 = 300;

fn with_proxy(fault: impl Fn(&mut Scene, &Proxy) -> Row) -> Row {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.port());
    let directory = tempfile::tempdir().expect("a directory can be made");
    let setup = Setup::postgres(&url_at(proxy.port()), directory.path());
    let mut scene = Scene::behind(setup, Truth::Postgres(cluster.url()));
    let row = fault(&mut scene, &proxy);
    scene.restart_and_compare();
    row
}

/// Connections are closed or reset at random moments.
pub fn cuts() -> Row {
    with_proxy(|scene, proxy| {
        let mut random = Random::new(seed());
        let mut row = scene.survive(|_| {
            for _ in 0..kill_rounds() {
                pass(Duration::from_millis(random.below(MOST_PAUSE_MS)));
                if random.once_in(2) { proxy.cut() } else { proxy.reset() }
            }
        });
        row.rounds = kill_rounds();
        row
    })
}

/// Every connection is closed as soon as it is made, for a while.
pub fn refuses() -> Row {
    with_proxy(|scene, proxy| {
        scene.survive(|server| {
            proxy.set(Manner::Refuse);
            proxy.cut();
            let probe = Probe::take(server);
            pass(outage() / 4);
            proxy.set(Manner::Pass);
            probe.arrives(server);
        })
    })
}

/// Everything arrives late, and then a few bytes at a time.
pub fn slow() -> Row {
    with_proxy(|scene, proxy| {
        let mut row = Row::default();
        for manner in [Manner::Delay(Duration::from_millis(200)), Manner::Drip(512, Duration::from_millis(2))]
        {
            row.add(&scene.survive(|_| {
                proxy.set(manner);
                pass(outage() / 4);
                proxy.set(Manner::Pass);
            }));
        }
        row
    })
}

/// Nothing arrives, new connections neither.
pub fn holds() -> Row {
    with_proxy(|scene, proxy| {
        scene.survive(|server| {
            proxy.set(Manner::Hold);
            let probe = Probe::take(server);
            pass(outage() / 2);
            proxy.set(Manner::Pass);
            probe.arrives(server);
        })
    })
}

/// What is open falls silent for good, as behind a firewall that forgot it; new connections work.
pub fn forgets() -> Row {
    with_proxy(|scene, proxy| {
        scene.survive(|server| {
            pass(SOME_FLUSHES);
            proxy.silence();
            Probe::take(server).arrives(server);
        })
    })
}
