//! The truth is away while memory is small: nothing that is changed may leave it, and what left it cannot come back.

use std::time::Duration;

use super::scene::{PROBE_DATABASE, Scene};
use crate::client::{Connection, integer};
use crate::cluster::Cluster;
use crate::load::Load;
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::support::Reply;
use crate::surroundings::{now_ms, outage, pass, until};
use crate::truth::Stored;
use crate::values::{MAXIMUM, Spread, Value};

/// A memory that holds some thousand keys.
pub const SMALL_MEMORY: [&str; 4] = ["--maxmemory", "400kb", "--maxmemory-policy", "allkeys-lru"];

/// How long a command waits for a key that only the truth has.
const FETCH_TIMEOUT_MS: u64 = 1_000;

/// How much longer its answer may take on a machine that is busy.
const FETCH_SLACK_MS: u64 = 2_000;

/// Subjects that are taken from once and then left alone, so that most of them leave memory.
const COLD_SUBJECTS: u64 = 500;

/// Keys that are made while the truth is away: far more than memory holds.
const MOST_WARM_KEYS: u64 = 100_000;

/// Keys that are made in one pipeline.
const AT_ONCE: u64 = 100;

/// A database that nobody else uses.
const WARM_DATABASE: u8 = 14;

/// Time in which whatever may leave memory does: some rounds of eviction.
const SOME_EVICTIONS: Duration = Duration::from_millis(500);

/// Postgres is stopped.
pub fn full_without_truth() -> Row {
    full(Cluster::stop, Cluster::start_again)
}

/// Postgres stands still.
pub fn full_with_frozen_truth() -> Row {
    full(Cluster::freeze, Cluster::thaw)
}

/// Commands refuse what they cannot do and do the rest, and all is as before when the truth is back.
fn full(take_away: fn(&Cluster), bring_back: fn(&Cluster)) -> Row {
    let cluster = Cluster::start();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let setup = Setup::postgres(&cluster.url(), directory.path())
        .with(&SMALL_MEMORY)
        .with(&["--fetch-timeout", &FETCH_TIMEOUT_MS.to_string()]);
    let mut scene = Scene::begin(setup);
    scene.ledger.spread = Spread::WIDE;
    let mut cold = Cold::begin(&scene.server);
    let mut warm = Warm::begin(&scene.server);
    let load = Load::begin(&mut scene.ledger, scene.server.address());
    cold.wait_until_most_leave();
    take_away(&cluster);
    let name = cold.find_missing();
    for command in ["QUOTA.PEEK", "GET", "DEL"] {
        cold.is_told_to_try_again(&format!("{command} {name}"));
    }
    cold.is_told_to_try_again(&take_words(&name));
    warm.fill();
    warm.delete_some();
    warm.check();
    pass(outage() / 2);
    cold.is_told_to_try_again(&format!("QUOTA.PEEK {name}"));
    cold.peek_all();
    warm.check();
    assert!(warm.is_full(), "nothing becomes clean, so nothing leaves memory");
    bring_back(&cluster);
    until("changes are taken again", || (!warm.is_full()).then_some(()));
    until("the truth is asked again", || (!cold.is_missing(&name)).then_some(()));
    load.end(&mut scene.ledger);
    let row = scene.settle();
    assert!(row.refused > 0, "clients were told");
    let stored = scene.truth.read();
    cold.check_truth(&scene.server, &stored);
    warm.check_truth(&stored);
    warm.check();
    scene.restart_and_compare();
    row
}

fn take_words(name: &str) -> String {
    format!("QUOTA.TAKE {name} 1 BUDGET {MAXIMUM} PER TOTAL")
}

/// A connection to a database.
fn connect(server: &Server, database: u8) -> Connection {
    let mut connection = server.connect();
    let selected = connection.call(&format!("SELECT {database}")).expect("the server answers");
    assert_eq!(selected, Reply::Status("OK".to_owned()));
    connection
}

/// Subjects each of which was taken from once, and which then leave memory.
struct Cold(Connection);

impl Cold {
    fn begin(server: &Server) -> Self {
        let mut connection = connect(server, PROBE_DATABASE);
        let takes = Self::names().map(|name| take_words(&name));
        for reply in connection.pipeline(takes).expect("the server answers") {
            assert!(matches!(reply, Reply::Many(..)), "{reply:?}");
        }
        Self(connection)
    }

    fn names() -> impl Iterator<Item = String> {
        (0..COLD_SUBJECTS).map(|number| format!("cold/{number}"))
    }

    fn call(&mut self, words: &str) -> Reply {
        self.0.call(words).expect("the server answers")
    }

    fn wait_until_most_leave(&mut self) {
        until("most cold subjects leave memory", || {
            let in_memory = integer(&self.call("DBSIZE")).expect("DBSIZE counts");
            (in_memory < COLD_SUBJECTS / 2).then_some(())
        });
    }

    fn is_missing(&mut self, name: &str) -> bool {
        let reply = self.call(&format!("QUOTA.PEEK {name}"));
        assert!(is_try_again(&reply) || matches!(reply, Reply::Many(..)), "{reply:?}");
        is_try_again(&reply)
    }

    /// One that is not in memory.
    fn find_missing(&mut self) -> String {
        Self::names().find(|name| self.is_missing(name)).expect("most are not in memory")
    }

    /// What needs a key that only the truth has is refused in time.
    fn is_told_to_try_again(&mut self, words: &str) {
        let begin_ms = now_ms();
        let reply = self.call(words);
        let took_ms = now_ms() - begin_ms;
        assert!(is_try_again(&reply), "the truth is away, but {words} answers {reply:?}");
        assert!(took_ms < FETCH_TIMEOUT_MS + FETCH_SLACK_MS, "{words} answered after {took_ms} ms");
    }

    /// Asks for all of them at once: each is answered, or refused in the same time as a single one.
    fn peek_all(&mut self) {
        let begin_ms = now_ms();
        let peeks = Self::names().map(|name| format!("QUOTA.PEEK {name}"));
        let replies = self.0.pipeline(peeks).expect("the server answers");
        let took_ms = now_ms() - begin_ms;
        let refused = replies.iter().filter(|reply| is_try_again(reply)).count();
        let answered = replies.iter().filter(|reply| matches!(reply, Reply::Many(..))).count();
        assert_eq!(refused + answered, replies.len(), "{replies:?}");
        assert!(
            took_ms < FETCH_TIMEOUT_MS + FETCH_SLACK_MS,
            "{answered} were answered and {refused} refused after {took_ms} ms"
        );
    }

    /// They are served again, and a take that was refused did not count.
    fn check_truth(&self, server: &Server, stored: &Stored) {
        let names: Vec<_> = Self::names().map(|name| (PROBE_DATABASE, name)).collect();
        for (database, name) in &names {
            assert_eq!(stored.used(*database, name), 1, "{name}");
        }
        server.compare(&names, stored);
    }
}

fn is_try_again(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(text) if text.starts_with("TRYAGAIN the key is not in memory, and "))
}

/// Keys that are made while the truth is away, in a database of their own: memory knows all of it, so nothing is fetched for them.
struct Warm {
    connection: Connection,
    /// How many were made.
    made: u64,
    /// How many of them, from the first, were deleted.
    deleted: u64,
}

impl Warm {
    fn begin(server: &Server) -> Self {
        Self { connection: connect(server, WARM_DATABASE), made: 0, deleted: 0 }
    }

    fn call(&mut self, words: &str) -> Reply {
        self.connection.call(words).expect("the server answers")
    }

    /// Whether what needs memory is refused for want of it.
    fn is_full(&mut self) -> bool {
        is_out_of_memory(&self.call(&take_words("one/more")))
    }

    /// Makes keys until there is no more room, and nothing can leave memory to make some.
    fn fill(&mut self) {
        let mut was_full = false;
        loop {
            let numbers = self.made..self.made + AT_ONCE;
            let sets = numbers.map(|number| format!("SET warm/{number} {number}"));
            let replies = self.connection.pipeline(sets).expect("the server answers");
            let taken = replies.iter().take_while(|reply| !is_out_of_memory(reply)).count();
            self.made += u64::try_from(taken).expect("it is a short pipeline");
            assert!(self.made < MOST_WARM_KEYS, "memory does not become full");
            let is_full = self.is_full();
            if is_full && was_full {
                break;
            }
            was_full = is_full;
            if is_full {
                pass(SOME_EVICTIONS);
            }
        }
        assert!(self.made > AT_ONCE, "there was room for {} keys only", self.made);
    }

    /// What is in memory can be deleted, full as it is.
    fn delete_some(&mut self) {
        for number in 0..AT_ONCE / 2 {
            assert_eq!(integer(&self.call(&format!("DEL warm/{number}"))), Some(1));
        }
        self.deleted = AT_ONCE / 2;
    }

    /// Those that were made are answered as ever, and those that were deleted are absent.
    fn check(&mut self) {
        for first in (0..self.made).step_by(1_000) {
            let numbers = first..self.made.min(first + 1_000);
            let gets = numbers.clone().map(|number| format!("GET warm/{number}"));
            let replies = self.connection.pipeline(gets).expect("the server answers");
            for (number, reply) in numbers.zip(replies) {
                let is_there = number >= self.deleted;
                let expected =
                    if is_there { Reply::Bulk(number.to_string().into_bytes()) } else { Reply::Null };
                assert_eq!(reply, expected, "warm/{number}");
            }
        }
    }

    fn check_truth(&self, stored: &Stored) {
        for number in 0..self.made {
            let held = i64::try_from(number).expect("there are few");
            let expected = (number >= self.deleted).then_some(Value::Number { number: held, until_ms: None });
            let found = stored.keys.get(&(WARM_DATABASE, format!("warm/{number}")));
            assert_eq!(found.copied(), expected, "warm/{number}");
        }
    }
}

/// Whether a change was refused for want of memory; anything but that or a success fails.
fn is_out_of_memory(reply: &Reply) -> bool {
    match reply {
        Reply::Error(text) => {
            assert!(text.starts_with("OOM command not allowed when used memory > 'maxmemory'"), "{text}");
            true
        }
        _ => false,
    }
}
