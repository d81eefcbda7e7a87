//! A truth that is lost: Postgres is gone with all it held, and comes back from a bucket.

use std::time::Duration;

use crate::answers::Answers;
use crate::bucket::Bucket;
use crate::client::Client;
use crate::database::Database;
use crate::histories::history;
use crate::http_proxy::Fault;
use crate::program::{Running, text};
use crate::site::kill;
use crate::state::call;
use crate::support::Reply;

/// The history on top of which the values are written, and its calls.
const SEED: u64 = 4;
const CALLS: usize = 300;

/// Values of every sort in several databases. Limits and rates are slow, so that what is left of them stands still while the drill lasts.
const VALUES: &[(u8, &str)] = &[
    (0, "SET text hello"),
    (0, "SET ends soon EX 100000"),
    (0, "SET ends:at later PXAT 4000000000123"),
    (0, "SET empty \"\""),
    (0, "SETRANGE bytes 3 \"\\xff\\x00\\r\\n\""),
    (0, "INCRBY count 41"),
    (0, "INCRBY lowest -9223372036854775808"),
    (0, "DECRBY count:ends 7"),
    (0, "EXPIRE count:ends 90000"),
    (0, "INCRBYFLOAT number 10.5"),
    (0, "CL.THROTTLE user 15 30 1000000 3"),
    (0, "CL.THROTTLE user:used-up 1 1 1000000 2"),
    (0, "QUOTA.TAKE org/acme 7 BUDGET 100 PER TOTAL"),
    (
        0,
        "QUOTA.TAKE org/acme/agent 1 tokens 700 usd_micro 12 RATE 10 PER 1000000s BURST 20 \
        WINDOW 5000 PER 1000000s SLIDING UNIT tokens BUDGET 100 PER TOTAL UNIT usd_micro",
    ),
    (1, "QUOTA.TAKE log 3 WINDOW 10 PER 1000000s LOG"),
    (1, "QUOTA.TAKE log 2 WINDOW 10 PER 1000000s LOG"),
    (1, "QUOTA.TAKE fixed 3 WINDOW 10 PER 100000000s FIXED"),
    (1, "QUOTA.TAKE forced 12 BUDGET 10 PER TOTAL FORCE"),
    (1, "QUOTA.TAKE zone 5 BUDGET 10 PER YEAR TZ Europe/Berlin"),
    (1, "GCRA tokens 9 1 1000000 TOKENS 4"),
    (7, "MSET one 1 two 2 three 3"),
    (7, "EXPIREAT two 4000000000"),
    (15, "SET text other"),
];

/// Writes all values, and lives through a history on top of them; answers the snapshot of it, and what is there.
fn fill(server: &Running) -> (String, Answers) {
    let mut client = Client::of(server);
    // It may empty databases, so it comes first.
    for words in history(SEED, CALLS) {
        call(&mut client, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    for (database, line) in VALUES {
        client.check(&format!("SELECT {database}"), "OK");
        let reply = client.call(line);
        assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
    }
    let Reply::Many(_, facts) = client.call("QUOTA.SNAPSHOT") else { panic!("a snapshot is written") };
    let Reply::Bulk(id) = &facts[1] else { panic!("a snapshot has a name") };
    (text(id), Answers::of(server))
}

#[test]
fn a_postgres_that_is_lost_comes_back_from_a_bucket() {
    let database = Database::start();
    let url = database.url();
    let bucket = Bucket::start();
    let site = bucket.site("one", &["--truth", &url]);
    let server = site.start();
    let (id, before) = fill(&server);
    assert!(before.keys() >= VALUES.len() / 2, "{} keys", before.keys());
    // Behind the snapshot: lost with the database.
    Client::of(&server).check("SET behind 1", "OK");
    kill(server);
    database.lose();

    // Its host may be lost too: tools and server begin with a data directory of their own.
    let site = bucket.site("two", &["--truth", &url]);
    let (code, told) = site.snapshot(&["restore", &id, "--into", &url]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.starts_with(&format!("{} keys and 0 closed periods of {id} are in the truth", before.keys())),
        "{told}"
    );
    let (code, told) = site.snapshot(&["restore", &id, "--into", &url]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("to give them up, restore with --replace"), "{told}");

    let server = site.start();
    before.check_same(&Answers::of(&server), "Postgres");
    let mut client = Client::of(&server);
    client.check("GET behind", "(nil)");
    let taken = client.take("org/acme", "");
    assert_eq!((taken[0].as_str(), taken[2].as_str()), ("1", "92"), "{taken:?}");
    for line in ["SET behind 2", "SELECT 7", "SET more 1", "SELECT 0"] {
        client.check(line, "OK");
    }
    client.check("DEL text", "(integer) 1");
    client.check("WAIT 1 30000", "(integer) 1");
    let flushed = Answers::of(&server);
    kill(server);

    let server = site.start();
    flushed.check_same(&Answers::of(&server), "Postgres");
    let mut client = Client::of(&server);
    client.check("MGET behind text", "1) \"2\"\n2) (nil)");
    client.check("SAVE", "OK");
    let verified = client.call("QUOTA.VERIFY").in_cli_notation();
    assert!(verified.ends_with("2) (integer) 0\n3) (integer) 0\n4) (empty array)"), "{verified}");
    // While a server owns it, not even --replace empties it.
    let (code, told) = site.snapshot(&["restore", &id, "--into", &url, "--replace"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("is owned by a server"), "{told}");
    kill(server);
    let (code, told) = site.snapshot(&["verify", "--all"]);
    assert_eq!(code, Some(0), "{told}");

    // Once more, with the data directory of the first server, whose log on disk knows of changes that were lost with the database.
    database.lose();
    let (code, told) = bucket.site("one", &[]).snapshot(&["restore"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("belongs to a server on Postgres"),
        "the default is not that server's truth: {told}"
    );
    let site = bucket.site("one", &["--truth", &url]);
    let (code, told) = site.snapshot(&["restore", "--into", &url]);
    assert_eq!(code, Some(0), "{told}");
    let server = site.start();
    flushed.check_same(&Answers::of(&server), "Postgres");
    kill(server);
}

#[test]
fn a_restore_that_is_killed_leaves_no_truth_to_start_on_and_is_run_again() {
    let database = Database::start();
    let url = database.url();
    let bucket = Bucket::start();
    let memory = bucket.site("one", &["--truth", "none"]);
    let server = memory.start();
    let (id, before) = fill(&server);
    kill(server);
    let site = bucket.site("two", &["--truth", &url]);
    // It is read once to be checked, and once more while the truth is filled.
    bucket.network.script("GET", ".part", 1, Fault::Delay(Duration::ZERO));
    bucket.network.script("GET", ".part", usize::MAX, Fault::Hold);
    let mut restoring = site.begin_snapshot(&["restore", &id, "--into", &url]);
    bucket.network.until_held();
    restoring.kill().unwrap();
    restoring.wait().unwrap();
    bucket.network.reset();

    let told = site.refused();
    assert!(told.contains("a restore of"), "{told}");
    let replace = ["restore", &id, "--into", &url, "--replace"];
    let (code, told) = site.snapshot(&replace);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("a restore of") && told.contains("whose lease holds for"), "{told}");
    database.end_lease();
    // Nor when the lease has run out, whatever is said of the owner.
    for flags in [&[][..], &["--take-over"]] {
        let told = site.with(flags).refused();
        assert!(told.contains("the truth is not whole") && told.contains("--replace"), "{told}");
    }
    let (code, told) = site.snapshot(&replace);
    assert_eq!(code, Some(0), "{told}");
    let server = site.start();
    before.check_same(&Answers::of(&server), "Postgres");
    kill(server);
}

#[test]
fn a_restore_that_fails_half_way_is_run_again_at_once() {
    let bucket = Bucket::start();
    let memory = bucket.site("one", &["--truth", "none"]);
    let server = memory.start();
    let (id, before) = fill(&server);
    kill(server);
    let site = bucket.site("two", &[]);
    // It is read once to be checked, and once more while the truth is filled.
    bucket.network.script("GET", ".part", 1, Fault::Delay(Duration::ZERO));
    bucket.network.script("GET", ".part", usize::MAX, Fault::Answer(403, "AccessDenied", "No."));
    let (code, told) = site.snapshot(&["restore", &id, "--into", "sqlite"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("AccessDenied") && told.contains("run the restore again with --replace"), "{told}");
    bucket.network.reset();
    assert!(site.refused().contains("the truth is not whole"));
    let (code, told) = site.snapshot(&["restore", &id, "--into", "sqlite", "--replace"]);
    assert_eq!(code, Some(0), "{told}");
    let server = site.start();
    before.check_same(&Answers::of(&server), "SQLite");
    kill(server);
}
