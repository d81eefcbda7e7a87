//! Rows that cannot be read, as somebody has edited them or a newer version has written them: they hold nobody else up, and count as
//! neither absent nor fresh.

use super::scene::PROBE_DATABASE;
use crate::client::{Connection, write_words};
use crate::cluster::Cluster;
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::support::Reply;
use crate::surroundings::until;

/// What stands before the error of a key whose row cannot be read.
const UNREADABLE: &str = "ERR the truth's row of the key '";

/// Neither a version nor a kind that anybody knows.
const GARBAGE: [&str; 2] = ["x'0163'", "'\\x0163'"];

/// Damaged between two runs, told so, and repaired in the truth while the server runs.
pub fn edited() -> Row {
    let cluster = Cluster::start();
    let sqlite = tempfile::tempdir().expect("a directory can be made");
    let postgres = tempfile::tempdir().expect("a directory can be made");
    let setups = [Setup::sqlite(sqlite.path()), Setup::postgres(&cluster.url(), postgres.path())];
    for (setup, garbage) in setups.iter().zip(GARBAGE) {
        let server = setup.start();
        let client = &mut connection(&server);
        for words in ["SET good 1", "SET bad 7", "QUOTA.TAKE quota 3 BUDGET 10 PER TOTAL"] {
            call(client, words);
        }
        assert!(server.terminate().success());
        let truth = setup.truth();
        truth.run(&format!(
            "CREATE TABLE aside AS SELECT subject, state FROM entries WHERE subject IN ('bad', 'quota');
            UPDATE entries SET state = {garbage} WHERE subject IN ('bad', 'quota');
            UPDATE owner SET pruned = applied + 1"
        ));
        // Beyond memory each key is fetched.
        let small = setup.clone().with(&["--maxmemory", "1", "--maxmemory-policy", "allkeys-lru"]);
        assert!(told(small.start()).terminate().success());
        let server = told(setup.start());
        // Somebody repairs one and deletes the other.
        truth.run(
            "UPDATE entries SET state = (SELECT state FROM aside WHERE subject = 'quota') WHERE subject = 'quota';
            DELETE FROM entries WHERE subject = 'bad'",
        );
        let client = &mut connection(&server);
        let Reply::Many(_, verdict) = call(client, "QUOTA.TAKE quota 8 BUDGET 10 PER TOTAL") else {
            panic!("a take answers a verdict")
        };
        assert_eq!(verdict[0].in_cli_notation(), "(integer) 0", "3 of 10 are used: {verdict:?}");
        assert_eq!(call(client, "INCR bad").in_cli_notation(), "(integer) 1");
        assert_eq!(server.figure("truth_damaged_rows"), 0);
        assert!(server.terminate().success());
    }
    Row::default()
}

/// Everything that a server says of damaged rows.
fn told(server: Server) -> Server {
    server.wait_until_loaded();
    assert_eq!(server.figure("truth_damaged_rows"), 2);
    let client = &mut connection(&server);
    let calls = [
        "GET good",
        "GET bad",
        "QUOTA.TAKE quota 1 BUDGET 10 PER TOTAL",
        "GET good",
        "MGET good bad",
        "DEL bad",
        "GET none",
    ];
    let mut requests = Vec::new();
    calls.iter().for_each(|words| write_words(words, &mut requests));
    let replies = until("the take is not refused for want of memory", || {
        // In one pipeline, so that they share a query.
        client.send(&requests).expect("the server reads");
        let replies = calls.map(|_| client.reply().expect("the server answers").in_cli_notation());
        // Where memory has no room at all, a key that was read must leave it first.
        (!replies[2].starts_with("(error) OOM")).then_some(replies)
    });
    for (reply, key) in replies.iter().zip(["", "bad", "quota", "", "bad", "bad"]) {
        let expected =
            if key.is_empty() { "\"1\"".to_owned() } else { format!("(error) {UNREADABLE}{key}'") };
        assert!(reply.starts_with(&expected), "{replies:?}");
    }
    assert_eq!(replies[6], "(nil)");
    assert_eq!(server.figure("truth_damaged_rows"), 2);
    server
}

fn connection(server: &Server) -> Connection {
    let mut connection = server.connect();
    call(&mut connection, &format!("SELECT {PROBE_DATABASE}"));
    connection
}

fn call(client: &mut Connection, words: &str) -> Reply {
    client.call(words).expect("the server answers")
}
