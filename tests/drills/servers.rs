//! Two servers on one store.

use std::fs;

use crate::client::Client;
use crate::site::{Site, kill, stop};
use crate::support::Reply;

#[test]
fn other_data_and_an_older_epoch_do_not_write_into_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file://{}", folder.path().join("store").display());
    let flags = ["--truth", "none", "--snapshots", &store];
    let first = Site::new(folder.path().join("one"), &flags).start();
    Client::of(&first).check("SAVE", "OK");
    let told = Site::new(folder.path().join("two"), &flags).refused();
    assert!(told.contains("holds snapshots of the data set"), "{told}");

    // A copy of the directory is the same data: the later start takes the epoch over.
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(folder.path().join("one/identity"), copy.join("identity")).unwrap();
    let second = Site::new(&copy, &flags).start();
    let Reply::Error(refused) = Client::of(&first).call("SAVE") else { panic!("it is refused") };
    assert!(refused.contains("another server") && refused.contains("since epoch 2"), "{refused}");
    Client::of(&second).check("SAVE", "OK");
    kill(first);
    stop(second);
}
