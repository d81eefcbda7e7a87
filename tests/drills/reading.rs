//! A network to the store that misbehaves while snapshots are read: starts wait or read the truth, tools say what they could not do.

use crate::bucket::Bucket;
use crate::client::Client;
use crate::http_proxy::Fault;
use crate::site::{Site, kill, logged, stop};
use crate::state::{fill, peek};
use crate::support::Reply;

/// A fault that does not end.
const ALWAYS: usize = usize::MAX;

const FAILED: Fault = Fault::Answer(500, "InternalError", "We failed.");
const BUSY: Fault = Fault::Answer(503, "SlowDown", "Reduce your rate.");

/// A server that was filled, wrote a snapshot, and was killed.
fn killed(site: &Site) {
    let server = site.start();
    let mut client = Client::of(&server);
    fill(&mut client);
    client.until("SAVE", |reply| *reply == Reply::Status("OK".to_owned()));
    kill(server);
}

/// Requests that fail, how, and what the log says.
type Case = (&'static str, &'static str, Fault, &'static str);

/// Every case at once, since all of them mostly wait.
fn check_all(cases: &[Case], check: fn(Case)) {
    std::thread::scope(|scope| {
        for &case in cases {
            scope.spawn(move || check(case));
        }
    });
}

#[test]
fn without_a_truth_a_start_waits_for_the_store() {
    let cases = [
        ("GET", "list-type", BUSY, "503, SlowDown"),
        ("PUT", "writers/", FAILED, "500, InternalError"),
        ("GET", "manifests/", BUSY, "503, SlowDown"),
        // An older snapshot is no answer to a store that is away.
        ("GET", ".part", Fault::CutDownload, "the connection broke"),
    ];
    check_all(&cases, |(method, part, fault, told)| {
        let bucket = Bucket::start();
        let site = bucket.site("one", &["--truth", "none"]);
        killed(&site);
        bucket.network.script(method, part, ALWAYS, fault);
        let server = site.begin();
        let line = logged(&server, "waiting for the store of snapshots");
        assert!(line.contains(told), "{line} with {method} {part}");
        let mut client = Client::of(&server);
        client.check("PING", "PONG");
        let reply = client.call("GET text").in_cli_notation();
        assert!(reply.starts_with("(error) LOADING"), "{reply} with {method} {part}");
        bucket.network.reset();
        client.until("GET text", |reply| *reply == Reply::Bulk(b"hello".to_vec()));
        peek(&mut client, 98);
        client.check("SAVE", "OK");
        stop(server);
    });
}

#[test]
fn in_front_of_a_truth_a_start_does_not_wait_for_the_store() {
    const NONE: &str = "the truth is read as a whole, since no snapshot can be";
    const SILENT: &str = "the truth is read as a whole, since the store of snapshots does not answer";
    const NOT_LOADED: &str = "the snapshot cannot be loaded, and the truth is read as a whole";
    let cases = [
        ("GET", "list-type", BUSY, NONE),
        ("GET", "list-type", Fault::Hold, SILENT),
        ("GET", "manifests/", FAILED, NONE),
        ("GET", ".part", Fault::Hold, NOT_LOADED),
        ("GET", ".part", Fault::CutDownload, NOT_LOADED),
    ];
    check_all(&cases, |(method, part, fault, told)| {
        let bucket = Bucket::start();
        let site = bucket.site("one", &["--snapshot-request-timeout-ms", "4000"]);
        killed(&site);
        bucket.network.script(method, part, ALWAYS, fault);
        let server = site.start();
        let mut client = Client::of(&server);
        peek(&mut client, 98);
        logged(&server, told);
        logged(&server, "the truth's keys are in memory");
        peek(&mut client, 98);
        bucket.network.reset();
        client.until("SAVE", |reply| *reply == Reply::Status("OK".to_owned()));
        stop(server);
    });
}

#[test]
fn a_list_of_before_misleads_no_start() {
    let bucket = Bucket::start();
    // The first answers to lists, which are told again later, know of nothing.
    let site = bucket.site("one", &[]);
    killed(&site);
    bucket.network.script("GET", "list-type", ALWAYS, Fault::Stale);
    let server = site.start();
    let mut client = Client::of(&server);
    logged(&server, "the truth's keys are in memory");
    peek(&mut client, 98);
    client.check("SAVE", "OK");
    bucket.network.reset();
    stop(server);
    let (code, told) = site.snapshot(&["verify", "--all"]);
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn tools_outlive_faults_that_end_and_tell_of_those_that_do_not() {
    let bucket = Bucket::start();
    let site = bucket.site("one", &["--truth", "none"]);
    killed(&site);
    let into = bucket.site("two", &[]);
    let restore = ["restore", "--into", "sqlite"];
    for (part, words) in [("list-type", &["list"][..]), (".part", &["verify"]), (".part", &restore)] {
        bucket.network.script("GET", part, ALWAYS, BUSY);
        let (code, told) = into.snapshot(words);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("503, SlowDown: Reduce your rate.") && !told.contains("damaged"), "{told}");
        bucket.network.reset();
        bucket.network.script("GET", part, 2, Fault::CutDownload);
        // The truth that could not be filled was left as it was: nothing is to be replaced.
        let (code, told) = into.snapshot(words);
        assert_eq!(code, Some(0), "{told}");
        bucket.network.reset();
    }
    let server = into.start();
    peek(&mut Client::of(&server), 98);
    stop(server);
}
