//! Two servers on one store: other data is refused, and of one data set only the last that came writes.

use std::fs;
use std::io::Write as _;

use crate::bucket::Bucket;
use crate::client::Client;
use crate::database::Database;
use crate::http_proxy::Fault;
use crate::program::Running;
use crate::site::{Site, kill, stop};
use crate::state::{fill, peek};
use crate::support::Reply;

/// Told to a server whose data is not that of the store.
const OTHER_DATA: &str = "holds snapshots of the data set";

/// The data directory `copy` of what lies in `site`: the same data set, and another server.
fn copied(site: &Site, copy: Site) -> Site {
    fs::create_dir(copy.directory()).expect("a folder can be made");
    fs::copy(site.directory().join("identity"), copy.directory().join("identity")).expect("it can be copied");
    copy
}

/// A snapshot of the older server is refused, and it says by whom.
#[track_caller]
fn check_refused(server: &Running, reply: &Reply) {
    let Reply::Error(refused) = reply else { panic!("it is refused: {reply:?}") };
    assert!(refused.contains("another server (") && refused.contains("since epoch 2"), "{refused}");
    let line = server.line_with("no snapshot was written");
    assert!(line.contains("ERROR") && line.contains("since epoch 2"), "{line}");
}

#[test]
fn other_data_and_an_older_epoch_do_not_write_into_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file://{}", folder.path().join("store").display());
    let flags = ["--truth", "none", "--snapshots", &store];
    let site = Site::new(folder.path().join("one"), &flags);
    let first = site.start();
    Client::of(&first).check("SAVE", "OK");
    let told = Site::new(folder.path().join("two"), &flags).refused();
    assert!(told.contains(OTHER_DATA), "{told}");

    // A copy of the directory is the same data: the later start takes the epoch over.
    let second = copied(&site, Site::new(folder.path().join("copy"), &flags)).start();
    check_refused(&first, &Client::of(&first).call("SAVE"));
    Client::of(&second).check("SAVE", "OK");
    kill(first);
    stop(second);
}

#[test]
fn other_data_does_not_write_under_one_prefix() {
    for (first_truth, second_truth) in
        [("sqlite", "sqlite"), ("none", "none"), ("none", "sqlite"), ("sqlite", "none")]
    {
        let bucket = Bucket::start();
        let first = bucket.site("one", &["--truth", first_truth]).start();
        let mut client = Client::of(&first);
        fill(&mut client);
        client.until("PING", |_| bucket.objects("writers", ".json").len() == 1);
        // Before there is a snapshot, by the mark of the first; then by both.
        for _ in 0..2 {
            let told = bucket.site("two", &["--truth", second_truth]).refused();
            assert!(told.contains(OTHER_DATA), "{first_truth}, {second_truth}: {told}");
            client.check("SAVE", "OK");
        }
        peek(&mut client, 98);
        stop(first);
        let (code, told) = bucket.direct("one", &[]).snapshot(&["verify", "--all"]);
        assert_eq!(code, Some(0), "{told}");
    }
}

#[test]
fn other_data_that_was_not_listed_yet_is_refused_all_the_same() {
    for truth in ["none", "sqlite"] {
        let bucket = Bucket::start();
        // Its lists are empty, and told again to the second.
        let first = bucket.site("one", &["--truth", truth]).start();
        let mut client = Client::of(&first);
        client.until("PING", |_| bucket.objects("writers", ".json").len() == 1);
        bucket.network.script("GET", "list-type", usize::MAX, Fault::Stale);
        let told = bucket.site("two", &["--truth", truth]).refused();
        assert!(told.contains(OTHER_DATA), "{truth}: {told}");
        bucket.network.reset();
        client.check("SAVE", "OK");
        stop(first);
    }
}

#[test]
fn an_older_epoch_does_not_write_under_one_prefix() {
    let bucket = Bucket::start();
    let flags = ["--truth", "none"];
    let (site, tools) = (bucket.site("one", &flags), bucket.direct("one", &flags));
    let first = site.start();
    let mut client = Client::of(&first);
    fill(&mut client);
    client.check("SAVE", "OK");
    let before = tools.ids();
    // It has begun a snapshot when the other comes.
    bucket.network.script("PUT", ".part", usize::MAX, Fault::Hold);
    let mut saving = Client::of(&first);
    saving.stream.write_all(b"SAVE\r\n").expect("the server reads");
    bucket.network.until_held();
    let second = copied(&site, bucket.site("copy", &flags)).start();
    bucket.network.reset();
    check_refused(&first, &saving.read());
    assert_eq!(bucket.loose_parts(&tools), [""; 0].map(std::path::PathBuf::from), "what it sent is deleted");
    // It begins one when the other is there.
    check_refused(&first, &client.call("SAVE"));
    assert_eq!(tools.ids(), before);
    peek(&mut client, 98);
    let mut client = Client::of(&second);
    peek(&mut client, 98);
    client.check("SAVE", "OK");
    let ids = tools.ids();
    assert!(ids.len() == 2 && ids[0].contains("-2-") && ids[1] == before[0], "{ids:?}");
    kill(first);
    stop(second);
}

#[test]
fn a_server_whose_truth_was_taken_over_publishes_nothing_more() {
    let database = Database::start();
    let url = database.url();
    let bucket = Bucket::start();
    let flags = ["--truth", &url, "--lease", "3"];
    let tools = bucket.direct("one", &flags);
    let first = bucket.site("one", &flags).start();
    let mut client = Client::of(&first);
    fill(&mut client);
    client.check("SAVE", "OK");
    let before = tools.ids();
    client.check("SET text:2 other", "OK");
    client.check("WAIT 1 30000", "(integer) 1");
    bucket.network.script("PUT", ".part", usize::MAX, Fault::Hold);
    let mut saving = Client::of(&first);
    saving.stream.write_all(b"SAVE\r\n").expect("the server reads");
    bucket.network.until_held();
    first.signal("-STOP");
    database.until("SELECT lease_until < clock_timestamp() FROM owner");
    let second = bucket.site("two", &[&flags[..], &["--take-over"]].concat()).start();
    bucket.network.reset();
    first.signal("-CONT");
    assert_eq!(first.ended().code(), Some(1), "its truth is another's");
    assert_eq!(tools.ids(), before);
    let mut client = Client::of(&second);
    peek(&mut client, 98);
    client.check("SAVE", "OK");
    assert_eq!(tools.ids().len(), 2);
    let (code, told) = tools.snapshot(&["verify", "--all"]);
    assert_eq!(code, Some(0), "{told}");
    stop(second);
}
