//! Databases that the truth does not get, as clients and operators see them.

use std::fs;
use std::path::Path;

use crate::client::Client;
use crate::program::{FREE_PORTS, Running, finished, text};
use crate::site::{Site, files, kill, stop};
use crate::support::Reply;

const EPHEMERAL: [&str; 2] = ["--ephemeral-databases", "3,5"];

fn start(directory: &Path, flags: &[&str]) -> Running {
    Site::new(directory, flags).start()
}

/// A connection that has selected a database.
fn selected(server: &Running, database: u8) -> Client {
    let mut client = Client::of(server);
    client.check(&format!("SELECT {database}"), "OK");
    client
}

#[test]
fn a_clean_stop_keeps_everything_and_a_crash_what_the_last_snapshot_has() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &EPHEMERAL);
    let (mut kept, mut ephemeral) = (Client::of(&server), selected(&server, 3));
    for client in [&mut kept, &mut ephemeral] {
        client.check("INCRBY hits 41", "(integer) 41");
        assert_eq!(client.take("org/acme", "")[2], "99");
    }
    kept.check("QUOTA.VERIFY", "1) (integer) 2\n2) (integer) 0\n3) (integer) 0\n4) (empty array)");
    stop(server);

    let server = start(folder.path(), &EPHEMERAL);
    let (mut kept, mut ephemeral) = (Client::of(&server), selected(&server, 3));
    for client in [&mut kept, &mut ephemeral] {
        client.check("GET hits", "\"41\"");
        assert_eq!(client.take("org/acme", "")[2], "98");
    }
    kept.check("SAVE", "OK");
    for client in [&mut kept, &mut ephemeral] {
        client.check("INCR hits", "(integer) 42");
        client.check("SET late 1", "OK");
    }
    kept.check("WAITAOF 0 1 0", "1) (integer) 1\n2) (integer) 1");
    kill(server);

    let server = start(folder.path(), &EPHEMERAL);
    let (mut kept, mut ephemeral) = (Client::of(&server), selected(&server, 3));
    kept.check("GET hits", "\"42\"");
    ephemeral.check("GET hits", "\"41\"");
    ephemeral.check("GET late", "(nil)");
    assert_eq!(ephemeral.take("org/acme", "")[2], "97");
    stop(server);
}

#[test]
fn nothing_of_it_goes_to_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &EPHEMERAL);
    let mut client = selected(&server, 5);
    let verdict = client.take("org/acme", "");
    assert_eq!(verdict[7], "0", "no batch carries it");
    let reply = client.call("QUOTA.TAKE org/acme 1 RATE 100 PER 1h DURABLE").in_cli_notation();
    assert!(reply.contains("DURABLE cannot be had: database 5 is ephemeral"), "{reply}");
    assert_eq!(client.take("org/acme", "")[2], "98", "and nothing was taken");
    client.check("SET key 1", "OK");
    let info = client.call("INFO persistence").in_cli_notation();
    assert!(info.contains("ephemeral_databases:3,5") && info.contains("dirty_keys:0"), "{info}");
    stop(server);

    // Without the setting the truth is asked, which has never had any of it.
    let server = start(folder.path(), &["--snapshots", "none"]);
    let mut client = selected(&server, 5);
    client.check("GET key", "(nil)");
    client.check("SET key 2", "OK");
    stop(server);

    let data_dir = folder.path().to_str().unwrap();
    let output = finished(&[&["serve"], &FREE_PORTS[..], &["--data-dir", data_dir], &EPHEMERAL].concat());
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the truth holds keys of database 5") && told.contains("FLUSHDB"), "{told}");

    let server = start(folder.path(), &[]);
    let mut client = selected(&server, 5);
    client.check("GET key", "\"2\"");
    client.check("FLUSHDB", "OK");
    stop(server);
    let server = start(folder.path(), &EPHEMERAL);
    selected(&server, 5).check("GET key", "(nil)");
    stop(server);
}

#[test]
fn changes_of_it_alone_are_in_the_next_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[&EPHEMERAL[..], &["--snapshot-interval", "1"]].concat());
    let mut client = selected(&server, 3);
    let written = |least: u64| {
        move |reply: &Reply| {
            let Reply::Bulk(info) = reply else { return false };
            let info = String::from_utf8_lossy(info);
            let count = info.lines().find_map(|line| line.strip_prefix("snapshots_written:"));
            count.and_then(|count| count.trim().parse::<u64>().ok()).is_some_and(|count| count >= least)
        }
    };
    client.until("INFO persistence", written(1));
    client.check("SET key 1", "OK");
    client.until("INFO persistence", written(3));
    kill(server);
    let server = start(folder.path(), &EPHEMERAL);
    selected(&server, 3).check("GET key", "\"1\"");
    stop(server);
}

#[test]
fn a_damaged_snapshot_of_it_gives_way_to_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &EPHEMERAL);
    let mut client = selected(&server, 3);
    client.check("SET key 1", "OK");
    client.check("SAVE", "OK");
    let before = files(folder.path(), ".part");
    client.check("SET key 2", "OK");
    client.check("SET new 2", "OK");
    Client::of(&server).check("SET key 7", "OK");
    client.check("SAVE", "OK");
    kill(server);
    for part in files(folder.path(), ".part").into_iter().filter(|part| !before.contains(part)) {
        let mut bytes = fs::read(&part).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&part, bytes).unwrap();
    }

    let server = start(folder.path(), &EPHEMERAL);
    let mut client = selected(&server, 3);
    client.check("GET key", "\"1\"");
    client.check("GET new", "(nil)");
    Client::of(&server).check("GET key", "\"7\"");
    stop(server);
}

#[test]
fn a_restored_truth_has_the_rest_and_the_start_takes_it_from_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &EPHEMERAL);
    Client::of(&server).check("SET key kept", "OK");
    selected(&server, 3).check("SET key ephemeral", "OK");
    stop(server);

    let data_dir = folder.path().to_str().unwrap();
    let listed = text(&finished(&["snapshot", "list", "--data-dir", data_dir]).stdout);
    let id = listed.lines().nth(1).and_then(|line| line.split(' ').next()).unwrap().to_owned();
    let told = text(&finished(&["snapshot", "inspect", &id, "--data-dir", data_dir]).stdout);
    assert!(told.contains("database 3  1 entries, ephemeral"), "{told}");
    let truth = folder.path().join("restored.sqlite");
    let truth = format!("sqlite:{}", truth.to_str().unwrap());
    let output = finished(&["snapshot", "restore", &id, "--into", &truth, "--data-dir", data_dir]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("1 entries of ephemeral databases (3) are not in it: a start takes"), "{told}");

    let server = start(folder.path(), &[&EPHEMERAL[..], &["--truth", &truth, "--take-over"]].concat());
    Client::of(&server).check("GET key", "\"kept\"");
    selected(&server, 3).check("GET key", "\"ephemeral\"");
    stop(server);
}
