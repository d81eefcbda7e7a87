//! A network to the store that misbehaves while a snapshot is written: who waits for it is told, nobody else notices, and the next one succeeds.

use std::io::Write as _;

use crate::bucket::Bucket;
use crate::client::Client;
use crate::http_proxy::Fault;
use crate::program::{Running, text};
use crate::site::{Site, logged, stop};
use crate::state::{fill, peek};
use crate::support::Reply;

/// A fault that does not end.
const ALWAYS: usize = usize::MAX;

/// What happens to which requests, how often.
type Rule = (&'static str, &'static str, usize, Fault);

/// A network, and what comes of a snapshot behind it.
struct Case {
    rules: &'static [Rule],
    /// A part of the error; `None`: there is none.
    told: Option<&'static str>,
    /// What is left in the store.
    left: Left,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// A snapshot.
    Snapshot,
    /// Nothing.
    Nothing,
    /// Parts that belong to none.
    Parts,
}

const fn good(rules: &'static [Rule]) -> Case {
    Case { rules, told: None, left: Left::Snapshot }
}

const fn bad(rules: &'static [Rule], told: &'static str, left: Left) -> Case {
    Case { rules, told: Some(told), left }
}

const FAILED: Fault = Fault::Answer(500, "InternalError", "We failed.");
const BUSY: Fault = Fault::Answer(503, "SlowDown", "Reduce your rate.");
const DENIED: Fault = Fault::Answer(403, "AccessDenied", "");

const OF_PARTS: [Case; 8] = [
    good(&[("PUT", ".part", 2, FAILED)]),
    good(&[("PUT", ".part", 2, BUSY)]),
    good(&[("PUT", ".part", 2, Fault::CutUpload)]),
    bad(&[("PUT", ".part", ALWAYS, FAILED)], "500, InternalError: We failed.", Left::Nothing),
    bad(&[("PUT", ".part", ALWAYS, BUSY)], "503, SlowDown: Reduce your rate.", Left::Nothing),
    bad(&[("PUT", ".part", ALWAYS, Fault::CutUpload)], "the connection broke", Left::Nothing),
    bad(&[("PUT", ".part", ALWAYS, DENIED)], "403, AccessDenied", Left::Nothing),
    // What was sent is deleted, unless that fails too.
    bad(
        &[("PUT", ".part", ALWAYS, Fault::LoseAnswer), ("DELETE", "", ALWAYS, DENIED)],
        "the connection broke",
        Left::Parts,
    ),
];

const OF_MANIFESTS: [Case; 7] = [
    good(&[("PUT", "manifests/", 2, BUSY)]),
    good(&[("PUT", "manifests/", ALWAYS, Fault::LoseAnswer)]),
    good(&[("PUT", "manifests/", 1, Fault::AnswerBehind(500, "InternalError"))]),
    bad(&[("PUT", "manifests/", ALWAYS, FAILED)], "500, InternalError", Left::Parts),
    bad(&[("PUT", "manifests/", ALWAYS, Fault::CutUpload)], "the connection broke", Left::Parts),
    // It is there, and whoever asked for it cannot be told.
    bad(
        &[("PUT", "manifests/", 1, Fault::LoseAnswer), ("GET", "manifests/", ALWAYS, BUSY)],
        "503, SlowDown",
        Left::Snapshot,
    ),
    bad(&[("PUT", "manifests/", 1, DENIED)], "403, AccessDenied", Left::Parts),
];

const OF_LISTS: [Case; 5] = [
    good(&[("GET", "list-type", 3, FAILED)]),
    good(&[("GET", "list-type", 1, Fault::CutDownload)]),
    good(&[("GET", "list-type", ALWAYS, Fault::Stale)]),
    bad(&[("GET", "list-type", ALWAYS, BUSY)], "503, SlowDown", Left::Nothing),
    bad(&[("GET", "list-type", ALWAYS, Fault::LoseAnswer)], "the connection broke", Left::Nothing),
];

/// Cases on one server, which mostly waits.
const AT_A_SERVER: usize = 3;

/// Every case, on a few servers at once.
fn check(truth: &str, cases: &[Case]) {
    std::thread::scope(|scope| {
        for share in cases.chunks(AT_A_SERVER) {
            scope.spawn(move || check_share(truth, share));
        }
    });
}

/// The cases on one server, one after the other.
fn check_share(truth: &str, cases: &[Case]) {
    let bucket = Bucket::start();
    let flags = ["--truth", truth];
    let (site, tools) = (bucket.site("one", &flags), bucket.direct("one", &flags));
    let server = site.start();
    let mut client = Client::of(&server);
    fill(&mut client);
    client.check("SAVE", "OK");
    for (number, case) in cases.iter().enumerate() {
        client.check(&format!("SET number {number}"), "OK");
        check_case(&bucket, &tools, &server, case);
    }
    let (code, told) = tools.snapshot(&["verify", "--all"]);
    assert_eq!(code, Some(0), "{told}");
    peek(&mut client, 98);
    stop(server);
}

fn check_case(bucket: &Bucket, tools: &Site, server: &Running, case: &Case) {
    let (before, loose) = (tools.ids().len(), bucket.loose_parts(tools).len());
    for &(method, part, times, fault) in case.rules {
        bucket.network.script(method, part, times, fault);
    }
    let (mut saving, mut client) = (Client::of(server), Client::of(server));
    saving.stream.write_all(b"SAVE\r\n").expect("the server reads");
    client.check("GET text", "\"hello\"");
    client.check("SET other 1", "OK");
    let reply = saving.read();
    let rules = case.rules;
    match (&reply, case.told) {
        (Reply::Status(text), None) => assert_eq!(text, "OK", "{rules:?}"),
        (Reply::Error(text), Some(told)) => {
            assert!(text.contains(told) && text.contains(" in s3://"), "{text} with {rules:?}");
            let line = server.line_with("no snapshot was written");
            assert!(line.contains(told) && line.contains("ERROR"), "{line} with {rules:?}");
        }
        _ => panic!("{reply:?} with {rules:?}"),
    }
    let status = if case.told.is_none() { "ok" } else { "err" };
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), status, "{rules:?}");

    bucket.network.reset();
    assert_eq!(tools.ids().len(), before + usize::from(case.left == Left::Snapshot), "{rules:?}");
    let (code, told) = tools.snapshot(&["verify"]);
    assert_eq!(code, Some(0), "{told} with {rules:?}");
    assert_eq!(bucket.loose_parts(tools).len() > loose, case.left == Left::Parts, "{rules:?}");
    let before = tools.ids().len();
    client.check("SAVE", "OK");
    assert_eq!(tools.ids().len(), before + 1, "{rules:?}");
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
}

fn info(client: &mut Client, name: &str) -> String {
    let Reply::Bulk(info) = client.call("INFO persistence") else { panic!("INFO answers text") };
    let info = text(&info);
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("INFO tells it").to_owned()
}

#[test]
fn what_becomes_of_parts_is_told() {
    check("none", &OF_PARTS);
}

#[test]
fn what_becomes_of_a_manifest_is_told() {
    check("sqlite", &OF_MANIFESTS);
}

#[test]
fn what_becomes_of_lists_is_told() {
    check("none", &OF_LISTS);
}

#[test]
fn a_store_without_an_answer_holds_up_nobody_but_who_waits_for_it() {
    let bucket = Bucket::start();
    let server = bucket.site("one", &["--truth", "none"]).start();
    let tools = bucket.direct("one", &[]);
    let mut client = Client::of(&server);
    fill(&mut client);
    bucket.network.script("PUT", ".part", ALWAYS, Fault::Hold);
    let mut saving = Client::of(&server);
    saving.stream.write_all(b"SAVE\r\n").expect("the server reads");
    bucket.network.until_held();
    peek(&mut client, 98);
    client.check("SET meanwhile 1", "OK");
    assert_eq!(info(&mut client, "rdb_bgsave_in_progress"), "1");
    client.check("BGSAVE", "(error) ERR Background save already in progress");
    client.check("BGSAVE SCHEDULE", "Background saving scheduled");
    assert_eq!(tools.ids(), [""; 0]);
    bucket.network.reset();
    assert_eq!(saving.read(), Reply::Status("OK".to_owned()));
    client.until("PING", |_| tools.ids().len() == 2);
    stop(server);
    let (code, told) = tools.snapshot(&["verify", "--all"]);
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn a_store_without_an_answer_is_told_in_time() {
    let bucket = Bucket::start();
    let site = bucket.site("one", &["--truth", "none", "--snapshot-request-timeout-ms", "1500"]);
    let server = site.start();
    let mut client = Client::of(&server);
    fill(&mut client);
    // A manifest that came to the store is found there by the second try.
    for (method, part, fault, is_told) in [
        ("GET", "list-type", Fault::Hold, true),
        ("PUT", ".part", Fault::Hold, true),
        ("PUT", ".part", Fault::HoldAnswer, true),
        ("PUT", "manifests/", Fault::Hold, true),
        ("PUT", "manifests/", Fault::HoldAnswer, false),
    ] {
        bucket.network.script(method, part, ALWAYS, fault);
        let mut saving = Client::of(&server);
        saving.stream.write_all(b"SAVE\r\n").expect("the server reads");
        bucket.network.until_held();
        let told = saving.read().in_cli_notation();
        let expected = if is_told { ": no answer " } else { "OK" };
        assert!(told.contains(expected), "{told} with {method} {part} and {fault:?}");
        bucket.network.reset();
        client.until("SAVE", |reply| *reply == Reply::Status("OK".to_owned()));
    }
    stop(server);
    let tools = bucket.direct("one", &[]);
    let (code, told) = tools.snapshot(&["verify", "--all"]);
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn an_end_whose_last_snapshot_fails_says_what_is_lost_or_tries_on() {
    let bucket = Bucket::start();
    let site = bucket.site("one", &["--truth", "none", "--shutdown-timeout", "6"]);
    let server = site.start();
    fill(&mut Client::of(&server));
    bucket.network.script("PUT", ".part", ALWAYS, DENIED);
    server.signal("-TERM");
    let told = logged(&server, "the end was not in good order");
    assert!(told.contains("behind no snapshot") && told.contains("AccessDenied"), "{told}");
    assert_eq!(server.ended().code(), Some(1));
    bucket.network.reset();

    let server = site.start();
    fill(&mut Client::of(&server));
    bucket.network.script("PUT", ".part", 1, DENIED);
    stop(server);
    let server = site.start();
    peek(&mut Client::of(&server), 98);
    stop(server);
}
