//! Snapshots as operators live with them: a start from one, a truth that is lost and restored, damage, and two servers on one store.

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "support/client.rs"]
mod client;
#[expect(dead_code, reason = "the program's own tests use more of it")]
#[path = "support/program.rs"]
mod program;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use client::Client;
use program::{FREE_PORTS, Running, finished, quotad, text};
use support::Reply;

/// A server with its data in `directory`.
fn start(directory: &Path, flags: &[&str]) -> Running {
    let directory = directory.to_str().expect("the path is text");
    let server = Running::from(quotad(&[&FREE_PORTS[..], &["--data-dir", directory], flags].concat()));
    let mut client = Client::of(&server);
    client.until("GET nothing", |reply| !matches!(reply, Reply::Error(text) if text.starts_with("LOADING")));
    server
}

fn stop(server: Running) {
    server.signal("-TERM");
    assert_eq!(server.ended().code(), Some(0));
}

fn kill(server: Running) {
    server.signal("-KILL");
    assert_eq!(server.ended().code(), None);
}

/// The tool with the snapshots of `directory`; its exit code and what it printed.
fn snapshot(directory: &Path, words: &[&str]) -> (Option<i32>, String) {
    let directory = directory.to_str().expect("the path is text");
    let output = finished(&[&["snapshot"], words, &["--data-dir", directory]].concat());
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn ids(directory: &Path) -> Vec<String> {
    let (code, listed) = snapshot(directory, &["list"]);
    assert_eq!(code, Some(0), "{listed}");
    listed.lines().skip(1).filter_map(|line| line.split(' ').next()).map(ToOwned::to_owned).collect()
}

/// All files below a folder whose names end so.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Keys of every kind, with what reads them and what is answered.
const STATE: &[(&str, &str, &str)] = &[
    ("SET text hello EX 100000", "GET text", "\"hello\""),
    ("INCRBY count 41", "GET count", "\"41\""),
    ("SET forever 1", "TTL forever", "(integer) -1"),
    ("SET text:2 other", "GET text:2", "\"other\""),
];

fn fill(client: &mut Client) {
    for (write, ..) in STATE {
        client.call(write);
    }
    client.take("org/acme", "");
    client.take("org/acme", "");
    client.call("CL.THROTTLE user 15 30 1000000 3");
}

#[track_caller]
fn check(client: &mut Client, remaining: &str) {
    for (_, read, expected) in STATE {
        client.check(read, expected);
    }
    assert_eq!(client.take("org/acme", "")[2], remaining);
    let Reply::Many(_, parts) = client.call("CL.THROTTLE user 15 30 1000000 0") else { panic!("it answers") };
    assert_eq!(parts[2].in_cli_notation(), "(integer) 13");
}

#[test]
fn memory_alone_comes_back_as_it_was_at_the_last_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let none = ["--truth", "none"];
    let server = start(folder.path(), &none);
    let mut client = Client::of(&server);
    fill(&mut client);
    client.check("SAVE", "OK");
    client.check("SET late 1", "OK");
    kill(server);

    let server = start(folder.path(), &none);
    let mut client = Client::of(&server);
    check(&mut client, "97");
    client.check("GET late", "(nil)");
    client.check("SET late 2", "OK");
    stop(server);

    let server = start(folder.path(), &none);
    Client::of(&server).check("GET late", "\"2\"");
    stop(server);
}

#[test]
fn a_start_loads_a_snapshot_and_the_truth_wins() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    fill(&mut client);
    for line in ["SET changed 1", "SET deleted 1", "SELECT 3", "SET flushed 1", "SELECT 0"] {
        client.check(line, "OK");
    }
    client.check("SAVE", "OK");
    client.check("DEL deleted", "(integer) 1");
    for line in ["SET changed 2", "SET new 1", "SELECT 3", "FLUSHDB", "SET after 1", "SELECT 0"] {
        client.check(line, "OK");
    }
    client.check("WAIT 1 30000", "(integer) 1");
    kill(server);

    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    client.until(
        "INFO persistence",
        |reply| matches!(reply, Reply::Bulk(info) if text(info).contains("async_loading:0")),
    );
    let line = server.line_with("the truth's keys are in memory");
    assert!(line.contains("-1-"), "it was loaded from a snapshot: {line}");
    client.check("MGET changed deleted new", "1) \"2\"\n2) (nil)\n3) \"1\"");
    check(&mut client, "97");
    client.check("SELECT 3", "OK");
    client.check("MGET flushed after", "1) (nil)\n2) \"1\"");
    client.check("QUOTA.VERIFY", "1) (integer) 9\n2) (integer) 0\n3) (integer) 0\n4) (empty array)");
    stop(server);
}

#[test]
fn a_lost_truth_is_restored_and_keeps_what_is_flushed_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    fill(&mut client);
    stop(server);

    for file in
        files(folder.path(), "").into_iter().filter(|path| path.to_string_lossy().contains("truth.sqlite"))
    {
        fs::remove_file(file).unwrap();
    }
    let (code, told) = snapshot(folder.path(), &["restore", "--into", "sqlite"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("6 keys and 0 closed periods of "), "{told}");
    let (code, told) = snapshot(folder.path(), &["restore", "--into", "sqlite"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("restore with --replace"), "{told}");

    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    check(&mut client, "97");
    client.check("SET behind 1", "OK");
    client.check("WAIT 1 30000", "(integer) 1");
    kill(server);

    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    client.check("GET behind", "\"1\"");
    check(&mut client, "96");
    let (code, told) = snapshot(folder.path(), &["restore", "--into", "sqlite", "--replace"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("is owned by a server"), "{told}");
    stop(server);
}

#[test]
fn a_damaged_part_is_named_and_the_truth_is_read_instead() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    fill(&mut Client::of(&server));
    stop(server);
    let part = files(&folder.path().join("snapshots"), ".part").pop().expect("there is a part");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    let (code, told) = snapshot(folder.path(), &["verify"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("damaged: parts/") && told.contains("000000.part"), "{told}");
    let (code, told) = snapshot(folder.path(), &["restore", "--into", "sqlite", "--replace"]);
    assert_eq!(code, Some(1), "a damaged snapshot leaves the truth as it is: {told}");

    let server = start(folder.path(), &[]);
    assert!(server.line_with("the snapshot cannot be loaded").contains("000000.part"));
    check(&mut Client::of(&server), "97");
    stop(server);
}

#[test]
fn without_a_truth_a_damaged_snapshot_makes_way_for_the_one_before_and_none_is_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let none = ["--truth", "none"];
    let server = start(folder.path(), &none);
    let mut client = Client::of(&server);
    fill(&mut client);
    client.check("SAVE", "OK");
    client.check("SET text:2 later", "OK");
    stop(server);
    assert_eq!(ids(folder.path()).len(), 2);
    let parts = files(&folder.path().join("snapshots"), ".part");
    fs::write(&parts[1], b"").unwrap();
    let server = start(folder.path(), &none);
    check(&mut Client::of(&server), "97");
    kill(server);
    fs::write(&parts[0], b"other").unwrap();
    let directory = folder.path().to_str().unwrap();
    let output = finished(&[&FREE_PORTS[..], &none, &["--data-dir", directory]].concat());
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("no snapshot in") && told.contains("can be loaded"), "{told}");
}

#[test]
fn other_data_and_an_older_epoch_do_not_write_into_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file://{}", folder.path().join("store").display());
    let flags = ["--truth", "none", "--snapshots", &store];
    let first = start(&folder.path().join("one"), &flags);
    Client::of(&first).check("SAVE", "OK");
    let other = folder.path().join("two");
    let output = finished(&[&FREE_PORTS[..], &flags, &["--data-dir", other.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("holds snapshots of the data set"), "{}", text(&output.stderr));

    // A copy of the directory is the same data: the later start takes the epoch over.
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(folder.path().join("one/identity"), copy.join("identity")).unwrap();
    let second = start(&copy, &flags);
    let Reply::Error(refused) = Client::of(&first).call("SAVE") else { panic!("it is refused") };
    assert!(refused.contains("another server") && refused.contains("since epoch 2"), "{refused}");
    Client::of(&second).check("SAVE", "OK");
    kill(first);
    stop(second);
}

#[test]
fn parts_of_a_snapshot_that_was_cut_short_are_no_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    fill(&mut Client::of(&server));
    stop(server);
    let manifest = files(&folder.path().join("snapshots/manifests"), ".json").pop().expect("there is one");
    fs::remove_file(manifest).unwrap();
    assert_eq!(ids(folder.path()), [""; 0]);
    let server = start(folder.path(), &[]);
    check(&mut Client::of(&server), "97");
    let (code, told) = snapshot(folder.path(), &["prune", "--dry-run"]);
    assert_eq!((code, told.as_str()), (Some(0), "would delete 0 snapshots and 0 parts without one\n"));
    stop(server);
}

#[test]
fn snapshots_of_one_second_between_which_nothing_changed_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    fill(&mut client);
    for _ in 0..3 {
        client.check("SAVE", "OK");
    }
    kill(server);
    assert_eq!(ids(folder.path()).len(), 3);
    let (code, told) = snapshot(folder.path(), &["verify", "--all"]);
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn snapshots_are_sealed_with_a_key_that_rotates() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str, digit: &str| {
        let path = folder.path().join(name);
        fs::write(&path, digit.repeat(64)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (old, new) = (key("old", "a"), key("new", "b"));
    let data = folder.path().join("data");
    let server = start(&data, &["--truth", "none", "--snapshot-key-file", &old]);
    fill(&mut Client::of(&server));
    stop(server);
    let part = fs::read(files(&data.join("snapshots"), ".part").pop().unwrap()).unwrap();
    assert!(!part.windows(5).any(|window| window == b"hello"), "nothing is readable in it");
    let (code, told) = snapshot(&data, &["verify"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("key"), "{told}");
    let both = format!("{new},{old}");
    let server = start(&data, &["--truth", "none", "--snapshot-key-file", &both]);
    check(&mut Client::of(&server), "97");
    stop(server);
    let (code, told) = snapshot(&data, &["verify", "--snapshot-key-file", &new]);
    assert_eq!(code, Some(0), "the newest is sealed with the new key: {told}");
}
