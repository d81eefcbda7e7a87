//! What a server answers to everything that reads, and whether another one answers the same.

use quotad::clock::Stopwatch;

use crate::client::Client;
use crate::program::{Running, text};
use crate::state::call;
use crate::support::Reply;

/// Databases of a server.
const DATABASES: u8 = 16;

/// By how many milliseconds times may be off, since some are told in whole seconds.
const SECOND_MS: i64 = 1_000;

/// What reads one key.
const READS: &[&[&str]] = &[
    &["EXISTS", "KEY"],
    &["TYPE", "KEY"],
    &["OBJECT", "ENCODING", "KEY"],
    &["GET", "KEY"],
    &["STRLEN", "KEY"],
    &["GETRANGE", "KEY", "0", "-1"],
    &["MGET", "KEY", "nothing"],
    &["TTL", "KEY"],
    &["PTTL", "KEY"],
    &["EXPIRETIME", "KEY"],
    &["PEXPIRETIME", "KEY"],
    &["QUOTA.PEEK", "KEY"],
    &["CL.THROTTLE", "KEY", "15", "30", "1000000", "0"],
];

/// An answer whose times were taken out of it.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    call: String,
    reply: Reply,
    /// What is left until something happens, in milliseconds.
    left_ms: Vec<i64>,
}

/// All answers of a server at about one time.
pub struct Answers {
    answers: Vec<Answer>,
    begin: Stopwatch,
}

impl Answers {
    /// Reads all that is there, once everything is in memory.
    pub fn of(server: &Running) -> Self {
        let mut client = Client::of(server);
        client.until(
            "INFO persistence",
            |reply| matches!(reply, Reply::Bulk(info) if text(info).contains("async_loading:0")),
        );
        let begin = Stopwatch::start();
        let mut answers = Vec::new();
        for database in 0..DATABASES {
            client.check(&format!("SELECT {database}"), "OK");
            let keys = keys(&mut client);
            // What has ended is counted until it is swept.
            client.until("DBSIZE", |reply| *reply == Reply::Integer(keys.len().to_string()));
            for key in &keys {
                answers.extend(READS.iter().map(|words| read(&mut client, database, words, key)));
            }
        }
        Self { answers, begin }
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.answers.len() / READS.len()
    }

    /// Checks that `later`, which were read behind these, are the same but for the time that passed; `what` are they of.
    #[track_caller]
    pub fn check_same(&self, later: &Self, what: &str) {
        let calls =
            |answers: &Self| answers.answers.iter().map(|answer| answer.call.clone()).collect::<Vec<_>>();
        assert_eq!(calls(self), calls(later), "{what}: other keys are there");
        let passed_ms = i64::try_from(self.begin.micros() / 1_000).expect("a drill is short");
        for (one, other) in self.answers.iter().zip(&later.answers) {
            assert_eq!(one.reply, other.reply, "{what}: {}", one.call);
            assert_eq!(one.left_ms.len(), other.left_ms.len(), "{what}: {}", one.call);
            for (one_ms, other_ms) in one.left_ms.iter().zip(&other.left_ms) {
                let is_near = (-SECOND_MS..=passed_ms + SECOND_MS).contains(&(one_ms - other_ms));
                assert!(is_near, "{what}: {}: {one_ms} ms, and {passed_ms} ms later {other_ms}", one.call);
            }
        }
    }
}

/// All keys of the selected database, in order.
fn keys(client: &mut Client) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let mut cursor = b"0".to_vec();
    loop {
        let reply = call(client, &[b"SCAN", &cursor, b"COUNT", b"1000"]);
        let Reply::Many(_, parts) = reply else { panic!("SCAN answers {reply:?}") };
        let [Reply::Bulk(next), Reply::Many(_, page)] = &parts[..] else { panic!("SCAN answers {parts:?}") };
        keys.extend(page.iter().map(|key| match key {
            Reply::Bulk(key) => key.clone(),
            other => panic!("a key is {other:?}"),
        }));
        if next == b"0" {
            keys.sort();
            keys.dedup();
            return keys;
        }
        cursor.clone_from(next);
    }
}

fn read(client: &mut Client, database: u8, words: &[&str], key: &[u8]) -> Answer {
    let words: Vec<&[u8]> =
        words.iter().map(|&word| if word == "KEY" { key } else { word.as_bytes() }).collect();
    let mut reply = call(client, &words);
    let mut left_ms = Vec::new();
    let mut take = |reply: &mut Reply, unit_ms: i64| {
        if let Reply::Integer(number) = reply
            && let Some(number) = number.parse::<i64>().ok().filter(|number| *number > 0)
        {
            left_ms.push(number * unit_ms);
            *reply = Reply::Null;
        }
    };
    match (words[0], &mut reply) {
        (b"TTL", reply) => take(reply, SECOND_MS),
        (b"PTTL", reply) => take(reply, 1),
        (b"CL.THROTTLE", Reply::Many(_, parts)) => {
            parts[3..].iter_mut().for_each(|part| take(part, SECOND_MS))
        }
        // Of each limit the last.
        (b"QUOTA.PEEK", Reply::Many(_, limits)) => {
            for limit in limits {
                if let Reply::Many(_, facts) = limit {
                    take(facts.last_mut().expect("a limit has facts"), 1);
                }
            }
        }
        _ => {}
    }
    let words: Vec<_> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
    Answer { call: format!("{} in database {database}", words.join(" ")), reply, left_ms }
}
