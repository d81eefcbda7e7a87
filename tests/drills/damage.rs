//! What is damaged is named, and never served.

use std::fs;

use crate::client::Client;
use crate::site::{Site, files, kill, logged, stop};
use crate::state::{check, fill};

#[test]
fn a_damaged_part_is_named_and_the_truth_is_read_instead() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &[]);
    let server = site.start();
    fill(&mut Client::of(&server));
    stop(server);
    let part = files(&folder.path().join("snapshots"), ".part").pop().expect("there is a part");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    let (code, told) = site.snapshot(&["verify"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("damaged: parts/") && told.contains("000000.part"), "{told}");
    let (code, told) = site.snapshot(&["restore", "--into", "sqlite", "--replace"]);
    assert_eq!(code, Some(1), "a damaged snapshot leaves the truth as it is: {told}");

    let server = site.start();
    assert!(logged(&server, "the snapshot cannot be loaded").contains("000000.part"));
    check(&mut Client::of(&server), "97");
    stop(server);
}

#[test]
fn without_a_truth_a_damaged_snapshot_makes_way_for_the_one_before_and_none_is_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &["--truth", "none"]);
    let server = site.start();
    let mut client = Client::of(&server);
    fill(&mut client);
    client.check("SAVE", "OK");
    client.check("SET text:2 later", "OK");
    stop(server);
    assert_eq!(site.ids().len(), 2);
    let parts = files(&folder.path().join("snapshots"), ".part");
    fs::write(&parts[1], b"").unwrap();
    let server = site.start();
    check(&mut Client::of(&server), "97");
    kill(server);
    fs::write(&parts[0], b"other").unwrap();
    let told = site.refused();
    assert!(told.contains("no snapshot in") && told.contains("can be loaded"), "{told}");
}
