//! Drills on the local folder: starts from snapshots, a lost truth, names, keys.

use std::fs;

use crate::client::Client;
use crate::program::text;
use crate::site::{Site, files, kill, logged, stop};
use crate::state::{check, fill};
use crate::support::Reply;

#[test]
fn memory_alone_comes_back_as_it_was_at_the_last_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &["--truth", "none"]);
    let server = site.start();
    let mut client = Client::of(&server);
    fill(&mut client);
    client.check("SAVE", "OK");
    client.check("SET late 1", "OK");
    kill(server);

    let server = site.start();
    let mut client = Client::of(&server);
    check(&mut client, "97");
    client.check("GET late", "(nil)");
    client.check("SET late 2", "OK");
    stop(server);

    let server = site.start();
    Client::of(&server).check("GET late", "\"2\"");
    stop(server);
}

#[test]
fn a_start_loads_a_snapshot_and_the_truth_wins() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &[]);
    let server = site.start();
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

    let server = site.start();
    let mut client = Client::of(&server);
    client.until(
        "INFO persistence",
        |reply| matches!(reply, Reply::Bulk(info) if text(info).contains("async_loading:0")),
    );
    let line = logged(&server, "the truth's keys are in memory");
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
    let site = Site::new(folder.path(), &[]);
    let server = site.start();
    let mut client = Client::of(&server);
    fill(&mut client);
    stop(server);

    for file in
        files(folder.path(), "").into_iter().filter(|path| path.to_string_lossy().contains("truth.sqlite"))
    {
        fs::remove_file(file).unwrap();
    }
    let (code, told) = site.snapshot(&["restore", "--into", "sqlite"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("6 keys and 0 closed periods of "), "{told}");
    let (code, told) = site.snapshot(&["restore", "--into", "sqlite"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("restore with --replace"), "{told}");

    let server = site.start();
    let mut client = Client::of(&server);
    check(&mut client, "97");
    client.check("SET behind 1", "OK");
    client.check("WAIT 1 30000", "(integer) 1");
    kill(server);

    let server = site.start();
    let mut client = Client::of(&server);
    client.check("GET behind", "\"1\"");
    check(&mut client, "96");
    let (code, told) = site.snapshot(&["restore", "--into", "sqlite", "--replace"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("is in use by quotad, process "), "{told}");
    stop(server);
}

#[test]
fn parts_of_a_snapshot_that_was_cut_short_are_no_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &[]);
    let server = site.start();
    fill(&mut Client::of(&server));
    stop(server);
    let manifest = files(&folder.path().join("snapshots/manifests"), ".json").pop().expect("there is one");
    fs::remove_file(manifest).unwrap();
    assert_eq!(site.ids(), [""; 0]);
    let server = site.start();
    check(&mut Client::of(&server), "97");
    let (code, told) = site.snapshot(&["prune", "--dry-run"]);
    assert_eq!((code, told.as_str()), (Some(0), "would delete 0 snapshots and 0 parts without one\n"));
    stop(server);
}

#[test]
fn snapshots_of_one_second_between_which_nothing_changed_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &[]);
    let server = site.start();
    let mut client = Client::of(&server);
    fill(&mut client);
    for _ in 0..3 {
        client.check("SAVE", "OK");
    }
    kill(server);
    assert_eq!(site.ids().len(), 3);
    let (code, told) = site.snapshot(&["verify", "--all"]);
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
    let site = Site::new(&data, &["--truth", "none"]);
    let server = site.with(&["--snapshot-key-file", &old]).start();
    fill(&mut Client::of(&server));
    stop(server);
    let part = fs::read(files(&data.join("snapshots"), ".part").pop().unwrap()).unwrap();
    assert!(!part.windows(5).any(|window| window == b"hello"), "nothing is readable in it");
    let (code, told) = site.snapshot(&["verify"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(": not checked: ") && told.contains("which is none of the keys given"), "{told}");
    let both = format!("{new},{old}");
    let server = site.with(&["--snapshot-key-file", &both]).start();
    check(&mut Client::of(&server), "97");
    stop(server);
    let (code, told) = site.with(&["--snapshot-key-file", &new]).snapshot(&["verify"]);
    assert_eq!(code, Some(0), "the newest is sealed with the new key: {told}");
    // The one before can be read, and would grant again what was used since.
    let told = site.with(&["--snapshot-key-file", &old]).refused();
    assert!(
        told.contains("which is none of the keys given") && told.contains("or delete manifests/"),
        "{told}"
    );
    let restore = ["restore", "--into", "sqlite"];
    let (code, told) = site.with(&["--snapshot-key-file", &old]).snapshot(&restore);
    assert_eq!(code, Some(1), "{told}");
}
