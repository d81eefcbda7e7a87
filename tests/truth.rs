//! What outlives the process, as clients and operators see it, with the embedded truth; `tests/durability` is about faults.

#[path = "support/client.rs"]
mod client;
#[expect(dead_code, reason = "the program's own tests use more of it")]
#[path = "support/program.rs"]
mod program;
mod support;

use std::io::Write;
use std::path::Path;

use quotad::clock::Stopwatch;
use sqlx::Connection as _;

use client::{Client, is_early};
use program::{FREE_PORTS, Running, finished, quotad, text};
use support::Reply;

/// A flush that does not come by itself within a test.
const NO_FLUSH: [&str; 2] = ["--flush-interval", "60000"];

fn start(directory: &Path, flags: &[&str]) -> Running {
    let directory = directory.to_str().expect("the path is text");
    let truth = ["--truth", "sqlite", "--data-dir", directory];
    let server = Running::from(quotad(&[&FREE_PORTS[..], &truth, flags].concat()));
    let mut client = Client::of(&server);
    client.until("GET nothing", |reply| !matches!(reply, Reply::Error(text) if text.starts_with("LOADING")));
    server
}

fn remaining(verdict: &[String]) -> &str {
    &verdict[2]
}

fn seq(verdict: &[String]) -> &str {
    &verdict[7]
}

/// Ends a server as a crash does.
fn kill(server: Running) {
    server.signal("-KILL");
    assert_eq!(server.ended().code(), None);
}

#[test]
fn values_of_every_kind_survive_a_stop_and_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    client.take("org/acme", "");
    client.check("SET session:1 alive EX 1000", "OK");
    client.check("SET gone 1", "OK");
    client.check("INCRBY hits 41", "(integer) 41");
    client.check(
        "CL.THROTTLE user:7 15 30 60 3",
        "1) (integer) 0\n2) (integer) 16\n3) (integer) 13\n4) (integer) -1\n5) (integer) 6",
    );
    let two = "QUOTA.TAKE two 1 tokens 7 WINDOW 9 PER 1h LOG BUDGET 10 PER MONTH UNIT tokens";
    let reply = client.call(two).in_cli_notation();
    assert!(reply.starts_with("1) (integer) 1\n2) (integer) 7\n3) (integer) 3"), "{reply}");
    client.check("SELECT 5", "OK");
    client.check("SET elsewhere 1", "OK");
    server.signal("-TERM");
    assert_eq!(server.ended().code(), Some(0));

    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    client.check("GET session:1", "\"alive\"");
    client.check("INCR hits", "(integer) 42");
    client.check("DEL gone", "(integer) 1");
    assert_eq!(remaining(&client.take("org/acme", "")), "98");
    client.check("WAITAOF 1 1 30000", "1) (integer) 1\n2) (integer) 1");
    client.check("WAIT 1 30000", "(integer) 1");
    kill(server);

    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    let reply = client.call(two).in_cli_notation();
    assert!(reply.starts_with("1) (integer) 0"), "7 of 10 were used before: {reply}");
    client.check("MGET hits gone session:1", "1) \"42\"\n2) (nil)\n3) \"alive\"");
    assert_eq!(remaining(&client.take("org/acme", "")), "97");
    client.check("TYPE user:7", "throttle");
    client.check("SELECT 5", "OK");
    client.check("GET elsewhere", "\"1\"");
    client.check("FLUSHDB", "OK");
    client.check("SET after 1", "OK");
    client.check("WAITAOF 0 1 30000", "1) (integer) 1\n2) (integer) 1");
    kill(server);

    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    client.check("SELECT 5", "OK");
    client.check("MGET elsewhere after", "1) (nil)\n2) \"1\"");
}

#[test]
fn a_take_is_durable_or_lost_and_its_seq_tells() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &NO_FLUSH);
    let mut client = Client::of(&server);
    let durable = client.take("org/acme", "DURABLE");
    assert_eq!(remaining(&durable), "99");
    client.check(&format!("QUOTA.SYNC {}", seq(&durable)), "DURABLE");
    let lost = client.take("org/acme", "");
    assert_eq!(remaining(&lost), "98");
    assert_ne!(seq(&lost), seq(&durable));
    kill(server);

    let server = start(folder.path(), &NO_FLUSH);
    let mut client = Client::of(&server);
    client.check(&format!("QUOTA.SYNC {} TIMEOUT 30000", seq(&durable)), "DURABLE");
    client.check(&format!("QUOTA.SYNC {} TIMEOUT 30000", seq(&lost)), "LOST");
    let again = client.take("org/acme", "");
    assert_eq!(remaining(&again), "98", "what was lost was not counted, what was durable was");
    // A wait asks for the flush that would not come by itself.
    client.check(&format!("QUOTA.SYNC {}", seq(&again)), "DURABLE");
    // What changes nothing waits for nothing.
    let denied = client.call("QUOTA.TAKE org/acme 1000 BUDGET 100 PER TOTAL DURABLE").in_cli_notation();
    assert!(denied.starts_with("1) (integer) 0"), "{denied}");
    let unknown = client.call("QUOTA.SYNC 9000000000000000000").in_cli_notation();
    assert!(unknown.starts_with("(error) ERR nothing is known of epoch"), "{unknown}");
}

#[test]
fn answers_that_wait_keep_their_order_and_let_others_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    let take = "QUOTA.TAKE a 1 BUDGET 100 PER TOTAL DURABLE\r\n";
    let pipeline = format!("{take}ECHO between\r\n{take}INCR n\r\n");
    client.stream.write_all(pipeline.as_bytes()).unwrap();
    let replies: Vec<String> = (0..4).map(|_| client.read().in_cli_notation()).collect();
    assert!(replies[0].contains("3) (integer) 99") && replies[2].contains("3) (integer) 98"), "{replies:?}");
    assert_eq!((replies[1].as_str(), replies[3].as_str()), ("\"between\"", "(integer) 1"));
}

#[test]
fn what_leaves_memory_comes_back_and_what_is_deleted_does_not() {
    const KEYS: usize = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let cache = ["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"];
    let server = start(folder.path(), &cache);
    let mut client = Client::of(&server);
    for first in (0..KEYS).step_by(500) {
        let calls = (first..first + 500).map(|key| format!("INCRBY key:{key} {key}\r\n"));
        client.stream.write_all(calls.collect::<String>().as_bytes()).unwrap();
        let replies = (first..first + 500).map(|_| client.read());
        // Keys come faster than the truth takes them, and only what it has can leave.
        let refused = replies.filter(|reply| matches!(reply, Reply::Error(_))).count();
        if refused > 0 {
            client.until("SET probe 1", |reply| *reply == Reply::Status("OK".to_owned()));
            for key in first..first + 500 {
                client
                    .until(&format!("SET key:{key} {key}"), |reply| *reply == Reply::Status("OK".to_owned()));
            }
        }
    }
    let begin = Stopwatch::start();
    while client.figure("stats", "evicted_keys") == 0 {
        assert!(is_early(&begin), "nothing leaves memory");
    }
    let check_all = |client: &mut Client| {
        for first in (0..KEYS).step_by(100) {
            let calls = (first..first + 100).map(|key| format!("GET key:{key}\r\n"));
            client.stream.write_all(calls.collect::<String>().as_bytes()).unwrap();
            for key in first..first + 100 {
                let mut reply = client.read();
                while matches!(&reply, Reply::Error(text) if text.starts_with("TRYAGAIN")) {
                    client.stream.write_all(format!("GET key:{key}\r\n").as_bytes()).unwrap();
                    reply = client.read();
                }
                let expected = if key % 1_000 == 7 { "(nil)".to_owned() } else { format!("\"{key}\"") };
                assert_eq!(reply.in_cli_notation(), expected, "key:{key}");
            }
        }
    };
    for key in (7..KEYS).step_by(1_000) {
        client.check(&format!("DEL key:{key}"), "(integer) 1");
    }
    check_all(&mut client);
    assert!(client.figure("persistence", "fetched_keys") > 0);
    server.signal("-TERM");
    assert_eq!(server.ended().code(), Some(0));
    // With a truth that is larger than memory from the start.
    let server = start(folder.path(), &cache);
    let mut client = Client::of(&server);
    check_all(&mut client);
    let begin = Stopwatch::start();
    while client.figure("persistence", "async_loading") == 1 {
        assert!(is_early(&begin), "loading does not end");
    }
    let before = client.figure("persistence", "fetch_queries");
    client.check("GET never:there", "(nil)");
    assert_eq!(
        client.figure("persistence", "fetch_queries"),
        before,
        "the filter knows that it is not in the truth"
    );
}

#[test]
fn a_pipeline_of_misses_takes_one_query() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    (0..100).for_each(|key| client.check(&format!("SET key:{key} {key}"), "OK"));
    server.signal("-TERM");
    assert_eq!(server.ended().code(), Some(0));
    let server = start(folder.path(), &["--maxmemory", "1", "--maxmemory-policy", "allkeys-lru"]);
    let mut client = Client::of(&server);
    let begin = Stopwatch::start();
    while client.figure("persistence", "async_loading") == 1 {
        assert!(is_early(&begin), "loading does not end");
    }
    client.until("DBSIZE", |reply| *reply == Reply::Integer("0".to_owned()));
    let before = client.figure("persistence", "fetch_queries");
    let calls: String = (0..100).map(|key| format!("GET key:{key}\r\n")).collect();
    client.stream.write_all(calls.as_bytes()).unwrap();
    for key in 0..100 {
        assert_eq!(client.read().in_cli_notation(), format!("\"{key}\""));
    }
    assert_eq!(client.figure("persistence", "fetch_queries"), before + 1);
}

#[test]
fn a_data_directory_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let directory = folder.path().to_str().unwrap();
    let second = finished(&[&FREE_PORTS[..], &["--data-dir", directory]].concat());
    assert_eq!(second.status.code(), Some(1));
    let line = text(&second.stderr);
    assert!(line.contains("is in use") && line.contains(&format!("process {}", server.child.id())), "{line}");
}

#[test]
fn the_schema_is_migrated_once_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let directory = data_dir.to_str().unwrap();
    let migrate = |flags: &[&str]| {
        let output = finished(&[&["migrate", "--data-dir", directory], flags].concat());
        (output.status.code(), text(&output.stdout))
    };
    assert_eq!(
        migrate(&["--dry-run"]),
        (
            Some(0),
            "would apply 0001 truth\nwould apply 0002 refused_batches\nwould apply 0003 snapshots\nwould apply 0004 refused_periods\n"
                .to_owned()
        )
    );
    assert!(!data_dir.exists(), "a dry run makes nothing");
    assert_eq!(
        migrate(&[]),
        (Some(0), "applied 0001 truth\napplied 0002 refused_batches\napplied 0003 snapshots\napplied 0004 refused_periods\n".to_owned())
    );
    assert_eq!(migrate(&[]), (Some(0), "the schema is up to date\n".to_owned()));

    let server = start(&data_dir, &[]);
    let mut client = Client::of(&server);
    client.check("SET one 1", "OK");
    client.check("SET two 2", "OK");
    let address = server.clients.to_string();
    let verify = || finished(&["verify", "--listen", &address]);
    let output = verify();
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(0), "2 keys compared, 0 differ, 0 changed whenever they were looked at\n".to_owned())
    );
    spoil(&data_dir.join("truth.sqlite"));
    let output = verify();
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("database 0, key \"two\": memory has integer 2, the truth has integer 1"),
        "{told}"
    );
    assert!(told.contains("2 keys compared, 1 differ"), "{told}");
}

/// Where a server on Postgres has its data, it has an outbox.
#[test]
fn no_file_is_made_beside_the_outbox_of_a_server_on_postgres() {
    let folder = tempfile::tempdir().unwrap();
    let id = "00112233-4455-6677-8899-aabbccddeeff";
    std::fs::create_dir(folder.path().join(format!("outbox-{id}-1-{id}"))).unwrap();
    for flags in [&["--dry-run"][..], &[]] {
        let directory = ["migrate", "--data-dir", folder.path().to_str().unwrap()];
        let output = finished(&[&directory[..], flags].concat());
        let line = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(line.contains("belongs to a server on Postgres") && line.contains("--truth"), "{line}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// There is nothing between memory and the file: a batch that waits for it is what a crash would lose.
#[test]
fn what_waits_for_a_locked_file_is_told_as_what_a_crash_would_lose() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let mut client = Client::of(&server);
    client.take("money", "DURABLE");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lock = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("truth.sqlite"));
    let mut lock = runtime.block_on(sqlx::SqliteConnection::connect_with(&lock)).unwrap();
    runtime.block_on(sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut lock)).unwrap();
    let figure = |info: &Reply, name: &str| -> u64 {
        let text = info.in_cli_notation();
        let value = text.split_once(&format!("{name}:")).expect("INFO tells it").1;
        value.split(|end: char| !end.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let before = figure(&client.call("INFO persistence"), "flush_open_seq");
    client.take("money", "");
    // Its batch is cut.
    let info = client.until("INFO persistence", |info| figure(info, "flush_open_seq") > before);
    assert_eq!((figure(&info, "dirty_keys"), figure(&info, "crash_would_lose_keys")), (1, 1));
    client.until("INFO persistence", |info| figure(info, "crash_would_lose_ms") > 200);
    runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut lock)).unwrap();
    client.check("WAITAOF 1 1 30000", "1) (integer) 1\n2) (integer) 1");
    let info = client.call("INFO persistence");
    assert_eq!((figure(&info, "crash_would_lose_keys"), figure(&info, "crash_would_lose_ms")), (0, 0));
}

/// Gives one key the value of another, behind the server's back.
fn spoil(file: &Path) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the file can be changed");
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let pool = sqlx::sqlite::SqlitePool::connect_with(options).await.expect("the file can be changed");
        let spoil = "UPDATE entries SET state = (SELECT state FROM entries WHERE key = x'6f6e65') WHERE key = x'74776f'";
        assert_eq!(sqlx::query(spoil).execute(&pool).await.expect("the file can be changed").rows_affected(), 1);
        pool.close().await;
    });
}

#[test]
fn passwords_of_addresses_are_never_shown() {
    let address = "postgres://user:hunter2@127.0.0.1:1/base";
    let printed = text(&finished(&["--print-config", "--truth", address]).stdout);
    assert!(printed.contains("truth = \"postgres://user:(hidden)@127.0.0.1:1/base\""), "{printed}");
    let printed =
        text(&finished(&["--print-config", "--truth", "postgres://q@h/db?password=hunter2"]).stdout);
    assert!(printed.contains("truth = \"postgres://q@h/db?password=(hidden)\""), "{printed}");
    for address in [
        "postgre://user:hunter2@127.0.0.1/base",
        "postgres:/user:hunter2@127.0.0.1/base",
        "user:hunter2@127.0.0.1",
    ] {
        let wrong = finished(&["--truth", address]);
        let line = text(&wrong.stderr);
        assert_eq!(wrong.status.code(), Some(2));
        assert!(line.contains("(hidden)") && !line.contains("hunter2"), "{line}");
    }
    // A server tells where its truth is, also while that does not answer.
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    let truth = ["--truth", "postgres://q@127.0.0.1:1/db?password=hunter2", "--data-dir", directory];
    let server = Running::from(quotad(&[&FREE_PORTS[..], &truth].concat()));
    let mut client = Client::of(&server);
    for line in ["CONFIG GET truth", "INFO persistence"] {
        let reply = client.call(line).in_cli_notation();
        assert!(reply.contains("password=(hidden)") && !reply.contains("hunter2"), "{reply}");
    }
}
