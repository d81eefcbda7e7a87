//! Truths that share their beginning with another one: set back to an older backup, or left behind by a restore.

use std::fs;

use crate::client::Client;
use crate::site::{Site, kill, stop};

/// A take of most of a budget.
const MOST: &str = "QUOTA.TAKE alice 90 BUDGET 100 PER TOTAL";

fn status(client: &mut Client) -> String {
    client.call(MOST).in_cli_notation().lines().next().expect("a verdict has lines").to_owned()
}

#[test]
fn a_truth_that_was_set_back_takes_no_snapshot_of_what_it_lost() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &[]);
    let server = site.start();
    assert_eq!(status(&mut Client::of(&server)), "1) (integer) 1");
    stop(server);
    let (truth, backup) = (folder.path().join("truth.sqlite"), folder.path().join("backup"));
    fs::copy(&truth, &backup).unwrap();

    let server = site.start();
    let mut client = Client::of(&server);
    client.check("QUOTA.RESET alice", "(integer) 1");
    client.check("SET future 1", "OK");
    client.check("SAVE", "OK");
    kill(server);
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(folder.path().join(format!("truth.sqlite{end}")));
    }
    fs::copy(&backup, &truth).unwrap();
    // The same epoch comes to the same numbers with other changes.
    let server = site.with(&["--snapshots", "none"]).start();
    let mut client = Client::of(&server);
    for number in 0..8 {
        client.check(&format!("SET other {number}"), "OK");
        client.check("WAIT 1 0", "(integer) 1");
    }
    kill(server);

    let server = site.start();
    let mut client = Client::of(&server);
    client.until("INFO persistence", |reply| reply.in_cli_notation().contains("async_loading:0"));
    client.check("GET future", "(nil)");
    assert_eq!(status(&mut client), "1) (integer) 0");
    stop(server);
}

#[test]
fn a_server_that_a_restore_left_behind_never_takes_the_store_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file://{}", folder.path().join("snapshots").to_str().unwrap());
    let flags = ["--snapshots", &store];
    let (old, new) =
        (Site::new(folder.path().join("old"), &flags), Site::new(folder.path().join("new"), &flags));
    let server = old.start();
    assert_eq!(status(&mut Client::of(&server)), "1) (integer) 1");
    Client::of(&server).check("SAVE", "OK");
    kill(server);
    let (code, told) = new.snapshot(&["restore", "--into", "sqlite"]);
    assert_eq!(code, Some(0), "{told}");
    let server = new.start();
    let mut client = Client::of(&server);
    client.check("SAVE", "OK");
    for _ in 0..5 {
        let told = old.refused();
        assert!(told.contains("another server") && told.contains("writes snapshots of this data"), "{told}");
    }
    client.check("SET new 1", "OK");
    client.check("SAVE", "OK");
    stop(server);
}
