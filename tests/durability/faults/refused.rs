//! A row that Postgres refuses, as a constraint that somebody added does: nobody is told that it is durable, and others are not held up.

use super::scene::{PROBE_DATABASE, Scene};
use crate::client::{Connection, integer};
use crate::cluster::Cluster;
use crate::report::Row;
use crate::server::Setup;
use crate::support::Reply;

/// The subject whose rows are refused.
const REFUSED: &str = "refused";

/// Refused, told so in every way, and taken once the reason is gone.
pub fn constrained() -> Row {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().expect("a directory can be made");
    let mut scene = Scene::begin(Setup::postgres(&cluster.url(), folder.path()));
    cluster.run(&format!(
        "ALTER TABLE entries ADD CONSTRAINT of_the_test CHECK (subject <> '{REFUSED}') NOT VALID"
    ));
    let row = scene.survive(|server| {
        let mut connection = server.connect();
        let client = &mut connection;
        call(client, &format!("SELECT {PROBE_DATABASE}"));
        let reply = take(client, REFUSED, " DURABLE");
        let Reply::Error(text) = &reply else { panic!("it is refused, but DURABLE is answered {reply:?}") };
        assert!(
            text.starts_with("REFUSED the take is counted in memory") && text.contains("of_the_test"),
            "{text}"
        );
        assert!(matches!(take(client, "taken", " DURABLE"), Reply::Many(..)), "others are not held up");
        assert_eq!(copies(client), [1, 0]);
        let token = token_of(&take(client, REFUSED, ""));
        assert_eq!(synced(client, token), "REFUSED");
        cluster.run("ALTER TABLE entries DROP CONSTRAINT of_the_test");
        assert!(matches!(take(client, REFUSED, " DURABLE"), Reply::Many(..)), "it is taken now");
        assert_eq!((synced(client, token).as_str(), copies(client)), ("DURABLE", [1, 1]));
        let used = format!(
            "SELECT used::text FROM quota_usage WHERE database = {PROBE_DATABASE} AND subject = '{REFUSED}'"
        );
        assert_eq!(cluster.text(&used), "3");
    });
    scene.restart_and_compare();
    forgotten(&cluster, folder.path());
    row
}

/// What was refused is lost with the process, and the next one knows it, also when the row has been taken since without it.
fn forgotten(cluster: &Cluster, directory: &std::path::Path) {
    let setup = Setup::postgres(&cluster.url(), directory);
    let server = setup.start();
    let client = &mut server.connect();
    call(client, &format!("SELECT {PROBE_DATABASE}"));
    let kept = token_of(&take(client, "taken", " DURABLE"));
    cluster.run(&format!(
        "ALTER TABLE entries ADD CONSTRAINT of_the_test CHECK (subject <> '{REFUSED}') NOT VALID"
    ));
    let lost = token_of(&take(client, REFUSED, ""));
    assert_eq!(synced(client, lost), "REFUSED");
    assert!(server.terminate().success());
    cluster.run("ALTER TABLE entries DROP CONSTRAINT of_the_test");
    // Four were taken, of which the truth has refused one: a start from the snapshot of the end must not bring it back.
    for remaining in [96, 95] {
        let server = setup.start();
        server.wait_until_loaded();
        let client = &mut server.connect();
        call(client, &format!("SELECT {PROBE_DATABASE}"));
        assert_eq!([kept, lost].map(|token| synced(client, token)), ["DURABLE", "REFUSED"]);
        match take(client, REFUSED, " DURABLE") {
            Reply::Many(_, parts) => assert_eq!(integer(&parts[2]), Some(remaining)),
            other => panic!("it is taken now, but answered {other:?}"),
        }
        server.kill();
    }
}

fn call(client: &mut Connection, words: &str) -> Reply {
    client.call(words).expect("the server answers")
}

fn take(client: &mut Connection, subject: &str, durable: &str) -> Reply {
    call(client, &format!("QUOTA.TAKE {subject} 1 BUDGET 100 PER TOTAL{durable}"))
}

fn token_of(verdict: &Reply) -> u64 {
    match verdict {
        Reply::Many(_, parts) => parts.last().and_then(integer).expect("a verdict ends with its number"),
        other => panic!("a take is answered {other:?}"),
    }
}

fn synced(client: &mut Connection, token: u64) -> String {
    match call(client, &format!("QUOTA.SYNC {token} TIMEOUT 10000")) {
        Reply::Status(text) => text,
        other => panic!("QUOTA.SYNC answers {other:?}"),
    }
}

/// How many copies have what was changed before: on this disk, in the truth.
fn copies(client: &mut Connection) -> [u64; 2] {
    match call(client, "WAITAOF 1 1 10000") {
        Reply::Many(_, parts) => [0, 1].map(|at| integer(&parts[at]).expect("a number of copies")),
        other => panic!("WAITAOF answers {other:?}"),
    }
}
