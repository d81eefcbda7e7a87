//! Who owns a truth: refusals that name the holder, an expired lease, and an owner that was stopped past its lease.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::scene::SOME_FLUSHES;
use crate::cluster::{Cluster, url_at};
use crate::ledger::{Allowed, Ledger};
use crate::load::{CLIENTS, Load};
use crate::proxy::{Manner, Proxy};
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::support::Reply;
use crate::surroundings::{pass, seed, until};
use crate::truth::Truth;

/// The shortest lease there is.
const LEASE: [&str; 2] = ["--lease", "3"];

/// Whether nobody holds the lease any more.
const IS_EXPIRED: &str = "SELECT count(*) = 1 FROM owner WHERE lease_until < clock_timestamp()";

/// Rows that an epoch wrote behind its last batch, or that were written after the one behind it began.
const STRAYS: &str =
    "SELECT count(*)::text FROM entries AS e JOIN epochs AS p USING (epoch) WHERE e.seq > p.last_seq";

fn assert_names(refusal: &str, parts: &[&str]) {
    for part in parts {
        assert!(refusal.contains(part), "'{part}' is not in: {refusal}");
    }
}

/// A second server is refused: on the same truth, on the same data directory, on a copy of it, and on what a copy that serves was made of.
pub fn second_server() -> Row {
    let cluster = Cluster::start();
    let sqlite = tempfile::tempdir().expect("a directory can be made");
    let postgres = tempfile::tempdir().expect("a directory can be made");
    let file = format!("sqlite:{}", sqlite.path().join("truth.sqlite").display());
    for (directory, truth) in [(sqlite.path(), file.as_str()), (postgres.path(), &cluster.url())] {
        let setup = Setup::postgres(truth, directory);
        let first = setup.start();
        let other = tempfile::tempdir().expect("a directory can be made");
        let holder = format!("process {}", first.number());
        let path = directory.display().to_string();
        let same_truth = Setup { data_dir: other.path().to_owned(), ..setup.clone() };
        for setup in [same_truth.clone(), same_truth.clone().with(&["--take-over"])] {
            assert_names(
                &setup.refusal(),
                &["owned by another server", &holder, &path, "stop that one first"],
            );
        }
        assert_names(&setup.refusal(), &[&path, &first.number().to_string()]);
        let copied = tempfile::tempdir().expect("a directory can be made");
        std::fs::copy(directory.join("identity"), copied.path().join("identity")).expect("it is there");
        let copy = Setup { data_dir: copied.path().to_owned(), ..setup.clone() };
        assert_names(
            &copy.refusal(),
            &["is a copy of one whose server", &holder, "a data directory of its own"],
        );
        assert_eq!(first.call("INCR served"), Reply::Integer("1".to_owned()), "the first goes on");
        assert!(first.terminate().success());
        // The copy may begin now, and has an owner of its own: where it came from is another server.
        let moved = copy.start();
        assert_names(&setup.refusal(), &["owned by another server", &format!("process {}", moved.number())]);
        assert_eq!(moved.call("INCR served"), Reply::Integer("2".to_owned()));
        assert!(moved.terminate().success());
        // Given up in good order, the truth is anybody's.
        assert!(same_truth.start().terminate().success());
    }
    Row { rounds: 2, ..Row::default() }
}

/// The owner is gone and its lease runs out: only `--take-over` takes it from another data directory.
pub fn take_over() -> Row {
    let cluster = Cluster::start();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let other = tempfile::tempdir().expect("a directory can be made");
    let setup = Setup::postgres(&cluster.url(), directory.path()).with(&LEASE);
    let successor = Setup { data_dir: other.path().to_owned(), ..setup.clone() };
    let mut ledger = Ledger::new(seed(), CLIENTS);
    ledger.keeps_disk = false;
    let server = setup.start();
    let load = Load::begin(&mut ledger, server.address());
    pass(SOME_FLUSHES);
    server.kill();
    load.end(&mut ledger);
    assert_names(&successor.refusal(), &["owned by another server", "whose lease holds for"]);
    wait_until_expired(&cluster);
    assert_names(&successor.refusal(), &["whose lease has run out", "--take-over"]);
    let server = successor.with(&["--take-over"]).start();
    let stored = setup.truth().read();
    let row = ledger.settle(&stored, Allowed::Unconfirmed);
    server.compare(&ledger.names(), &stored);
    let path = other.path().display().to_string();
    assert_names(&setup.refusal(), &["owned by another server", &path]);
    row
}

fn wait_until_expired(cluster: &Cluster) {
    until("the lease runs out", || cluster.is_true(IS_EXPIRED).then_some(()));
}

/// An owner is stopped past its lease, another takes over, and the first goes on.
pub fn stopped_past_lease() -> Row {
    zombie(|_| {}, |_| {})
}

/// As [`stopped_past_lease`], in the middle of a flush: its transaction is open, and its commit is on the way.
pub fn stopped_mid_flush() -> Row {
    zombie(
        |proxy| {
            proxy.set(Manner::HoldBefore("COMMIT"));
            proxy.wait_until_caught();
        },
        |proxy| proxy.set(Manner::Pass),
    )
}

fn zombie(before: impl FnOnce(&Proxy), behind: impl FnOnce(&Proxy)) -> Row {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.port());
    let truth = Truth::Postgres(cluster.url());
    let directory = tempfile::tempdir().expect("a directory can be made");
    let other = tempfile::tempdir().expect("a directory can be made");
    let setup = Setup::postgres(&url_at(proxy.port()), directory.path()).with(&LEASE);
    let mut ledger = Ledger::new(seed(), CLIENTS);
    ledger.keeps_disk = false;
    let first = setup.start();
    let load = Load::begin(&mut ledger, first.address());
    pass(SOME_FLUSHES);
    before(&proxy);
    first.signal(Signal::STOP);
    wait_until_expired(&cluster);
    let (second, taken) = successor(&cluster, other.path(), &truth);
    first.signal(Signal::CONT);
    behind(&proxy);
    first.line_with("another server owns the data now");
    assert_eq!(first.ended().code(), Some(1), "it says by its code that something is wrong");
    // Its clients see their connections closed, or errors.
    load.end(&mut ledger);
    let stored = truth.read();
    assert_eq!(stored.keys, taken, "the first wrote something after it was taken over from");
    assert_eq!(cluster.text(STRAYS), "0");
    let row = ledger.settle(&stored, Allowed::Unconfirmed);
    second.compare(&ledger.names(), &stored);
    assert_eq!(second.call("INCR served"), Reply::Integer("1".to_owned()), "the second serves");
    row
}

/// Takes over, and answers what the truth held then.
fn successor(
    cluster: &Cluster,
    directory: &Path,
    truth: &Truth,
) -> (Server, std::collections::BTreeMap<(u8, String), crate::values::Value>) {
    let setup = Setup::postgres(&cluster.url(), directory).with(&LEASE).with(&["--take-over"]);
    let server = setup.start();
    server.wait_for_truth(Duration::from_secs(5));
    (server, truth.read().keys)
}
