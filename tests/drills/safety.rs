//! What snapshots must not do: be believed without a seal, or make anybody wait for ever for a store that does not answer.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use quotad::clock::Stopwatch;

use crate::client::Client;
use crate::postgres;
use crate::program::{FREE_PORTS, Running, finished, text};
use crate::site::{Site, stop};
use crate::support::Reply;

fn words<'a>(directory: &'a Path, flags: &[&'a str]) -> Vec<&'a str> {
    let directory = directory.to_str().expect("the path is text");
    [&FREE_PORTS[..], &["--data-dir", directory], flags].concat()
}

fn start(directory: &Path, flags: &[&str]) -> Running {
    Site::new(directory, flags).start()
}

fn snapshot(directory: &Path, words: &[&str]) -> (Option<i32>, String) {
    Site::new(directory, &[]).snapshot(words)
}

fn key_file(path: &Path) -> &str {
    fs::write(path, "ab".repeat(32)).expect("it can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    path.to_str().expect("the path is text")
}

#[test]
fn with_a_key_nothing_is_read_that_is_not_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let key = ["--snapshot-key-file", key_file(&path)];
    let accepting = [&key[..], &["--snapshot-accept-unencrypted", "yes"]].concat();
    let data = folder.path().join("data");
    let none = ["--truth", "none"];
    let server = start(&data, &none);
    Client::of(&server).check("SET a 1", "OK");
    stop(server);

    let refused = |told: &str| assert!(told.contains("snapshot-accept-unencrypted yes"), "{told}");
    let output = finished(&words(&data, &[&none[..], &key].concat()));
    assert_eq!(output.status.code(), Some(1), "an empty start would begin every quota afresh");
    refused(&text(&output.stderr));
    let (code, told) = snapshot(&data, &[&["verify"], &key[..]].concat());
    assert_eq!(code, Some(1));
    assert!(told.contains(": refused: "), "{told}");
    refused(&told);
    let restore = ["restore", "--into", "sqlite"];
    let (code, told) = snapshot(&data, &[&restore, &key[..]].concat());
    assert_eq!(code, Some(1));
    refused(&told);
    assert!(!data.join("truth.sqlite").exists());
    let (code, told) = snapshot(&data, &[&["list"], &key[..]].concat());
    assert_eq!(code, Some(0));
    assert!(told.contains("not encrypted, so not read"), "{told}");

    // The way to a key: once a server has read what was there, its own snapshots are sealed.
    let server = start(&data, &[&none[..], &accepting].concat());
    Client::of(&server).check("GET a", "\"1\"");
    stop(server);
    let server = start(&data, &[&none[..], &key].concat());
    Client::of(&server).check("GET a", "\"1\"");
    stop(server);
    let (code, told) = snapshot(&data, &[&restore, &key[..]].concat());
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn a_truth_is_read_as_a_whole_where_its_snapshot_is_not_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let key = ["--snapshot-key-file", key_file(&path)];
    let server = start(folder.path(), &[]);
    Client::of(&server).check("SET a 1", "OK");
    stop(server);
    let server = start(folder.path(), &key);
    assert!(server.line_with("a snapshot is passed over").contains("snapshot-accept-unencrypted"));
    Client::of(&server).check("GET a", "\"1\"");
    stop(server);
}

#[test]
fn a_forgotten_key_ends_the_server_before_it_writes_for_all_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let key = ["--snapshot-key-file", key_file(&path)];
    let server = start(folder.path(), &key);
    Client::of(&server).check("SET a 1", "OK");
    stop(server);
    let output = finished(&words(folder.path(), &[]));
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("is encrypted with the key") && told.contains("no snapshot-key-file is set"),
        "{told}"
    );
    let (_, told) = snapshot(folder.path(), &[&["list"], &key[..]].concat());
    assert_eq!(told.lines().count(), 2, "none was written: {told}");
}

#[test]
fn a_new_truth_beside_snapshots_grants_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let store = format!("file://{}", folder.path().join("snapshots").to_str().unwrap());
    let flags = ["--snapshots", &store];
    let server = start(&old, &flags);
    assert_eq!(Client::of(&server).take("org/acme", "")[2], "99");
    stop(server);

    let output = finished(&words(&new, &flags));
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("there is the snapshot 20") && told.contains("quotad snapshot restore"), "{told}");
    let (code, told) = snapshot(&new, &[&["restore", "--into", "sqlite"], &flags[..]].concat());
    assert_eq!(code, Some(0), "{told}");
    let server = start(&new, &flags);
    assert_eq!(Client::of(&server).take("org/acme", "")[2], "98");
    stop(server);
}

#[test]
fn who_asks_for_a_snapshot_is_told_that_the_store_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    // A truth that is new would wait for a store that may have its data.
    stop(start(folder.path(), &["--snapshots", "none"]));
    let server = start(folder.path(), &["--snapshots", "s3://bucket", "--snapshot-endpoint", &endpoint]);
    let mut client = Client::of(&server);
    client.check("SET a 1", "OK");
    for call in ["SAVE", "QUOTA.SNAPSHOT", "BGSAVE"] {
        let reply = client.until(call, |reply| matches!(reply, Reply::Error(_)));
        let Reply::Error(told) = &reply else { panic!("{reply:?}") };
        assert!(told.contains("their store has not answered at the start: "), "{call}: {told}");
        assert!(told.contains(&endpoint), "{call}: {told}");
    }
    client.check("GET a", "\"1\"");
    server.signal("-TERM");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn the_end_takes_one_shutdown_timeout_where_neither_store_nor_truth_answers() {
    const TIMEOUT_SECS: u64 = 8;
    let folder = tempfile::tempdir().unwrap();
    // It takes connections, and never says anything.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let postgres = postgres::Server::start(false);
    let url = postgres.url();
    let timeout = TIMEOUT_SECS.to_string();
    let flags = [
        ["--truth", &url],
        ["--snapshots", "s3://bucket"],
        ["--snapshot-endpoint", &endpoint],
        ["--shutdown-timeout", &timeout],
    ];
    stop(start(folder.path(), &["--truth", &url, "--snapshots", "none"]));
    let server = start(folder.path(), &flags.concat());
    let mut client = Client::of(&server);
    client.check("SET a 1", "OK");
    client.check("WAIT 1 30000", "(integer) 1");
    drop(postgres);
    client.check("SET a 2", "OK");
    let ending = Stopwatch::start();
    server.signal("-TERM");
    server.ended();
    let took = ending.micros() / 1_000;
    assert!(took < TIMEOUT_SECS * 1_500, "it took {took} ms");
}
