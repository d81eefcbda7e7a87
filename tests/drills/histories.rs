//! Histories of all commands that change state, made from a seed.

use quotad::command;
use quotad::dispatch::Flags;

use crate::random::Random;

/// The databases in which anything happens.
const DATABASES: [u8; 4] = [0, 1, 9, 15];

/// One of so many commands is another database's first.
const TURNS: u64 = 8;

/// One of so many commands that empty a database is made.
const FLUSHES: u64 = 40;

/// Keys of strings, quotas and throttles; one of some calls is on a key of another kind.
const KEYS: [u64; 3] = [24, 8, 6];
const STRAYS: u64 = 8;

/// An end far enough for no drill to see it: seconds from now, and since 1970.
const LEAST_SECONDS: u64 = 10_000;
const LEAST_TIME: u64 = 4_000_000_000;

/// Limits that stand still while a drill lasts.
const LIMITS: [&str; 8] = [
    "RATE 10 PER 1000000s",
    "RATE 7 PER 1000000s BURST 20",
    "WINDOW 50 PER 100000000s FIXED",
    "WINDOW 40 PER 100000000s SLIDING",
    "WINDOW 30 PER 1000000s LOG",
    "BUDGET 100 PER TOTAL",
    "BUDGET 100 PER YEAR TZ Europe/Berlin",
    "BUDGET 9000 PER YEAR ANCHOR 03-15",
];

/// A call's words.
pub type Words = Vec<Vec<u8>>;

/// Every command that changes keys, by the command table.
pub fn writing_commands() -> Vec<&'static str> {
    let specs = command::table();
    specs
        .top_level()
        .filter(|command| command.spec.flags.has(Flags::WRITE))
        .map(|command| command.spec.name)
        .collect()
}

/// The history of a seed: so many calls.
pub fn history(seed: u64, calls: usize) -> Vec<Words> {
    let (mut random, names) = (Random::new(seed), writing_commands());
    let mut history = Vec::new();
    while history.len() < calls {
        if random.once_in(TURNS) {
            let database = pick(&mut random, &DATABASES);
            history.push(vec![b"SELECT".to_vec(), database.to_string().into_bytes()]);
        }
        let name = pick(&mut random, &names);
        if !name.starts_with("flush") || random.once_in(FLUSHES) {
            history.push(words(&mut random, name));
        }
    }
    history
}

fn pick<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[usize::try_from(random.below(of.len() as u64)).expect("it is an index")]
}

/// A key: of this kind, as a rule.
fn key(random: &mut Random, kind: usize) -> Vec<u8> {
    let kind = if random.once_in(STRAYS) { pick(random, &[0, 1, 2]) } else { kind };
    let number = random.below(KEYS[kind]);
    match (kind, number % 4) {
        (0, 0) => format!("s{number}").into_bytes(),
        (0, 1) => [b"bytes\r\n\0\xff".as_slice(), &[u8::try_from(number).expect("it is small")]].concat(),
        (0, 2) => format!("a/string/whose/key/does/not/fit/into/its/entry/{number}").into_bytes(),
        (1, 0) => format!("org/acme/agent/with/a/long/name/{number}").into_bytes(),
        (0, _) => format!("string:{number}").into_bytes(),
        (1, _) => format!("org/{number}").into_bytes(),
        _ => format!("user:{number}").into_bytes(),
    }
}

fn value(random: &mut Random) -> Vec<u8> {
    match random.below(8) {
        0 => Vec::new(),
        1 => random.number().cast_signed().to_string().into_bytes(),
        2 => b"10.5".to_vec(),
        3 => (0..random.below(300)).map(|_| random.byte_below(256)).collect(),
        // Larger than a block of a snapshot.
        4 if random.once_in(8) => vec![b'x'; 300_000],
        _ => random.below(1_000).to_string().into_bytes(),
    }
}

/// When a key ends, as SET says it; nearly always far away.
fn ends(random: &mut Random) -> Vec<String> {
    let far = LEAST_SECONDS + random.below(1_000_000);
    let words = match random.below(6) {
        0 => ["EX".to_owned(), far.to_string()],
        1 => ["PX".to_owned(), (far * 1_000 + random.below(1_000)).to_string()],
        2 => ["EXAT".to_owned(), (LEAST_TIME + far).to_string()],
        3 => ["PXAT".to_owned(), ((LEAST_TIME + far) * 1_000 + random.below(1_000)).to_string()],
        // It has ended when the snapshot is looked at.
        4 if random.once_in(4) => ["PX".to_owned(), "1".to_owned()],
        _ => return Vec::new(),
    };
    words.to_vec()
}

/// A call of this command.
fn words(random: &mut Random, name: &'static str) -> Words {
    let mut words = vec![name.as_bytes().to_vec()];
    let kind =
        if name.starts_with("quota") { 1 } else { usize::from(matches!(name, "cl.throttle" | "gcra")) * 2 };
    // Generic commands are on keys of every kind.
    let kind = match name {
        "del" | "unlink" | "rename" | "renamenx" | "copy" | "persist" => pick(random, &[0, 1, 2]),
        _ => kind,
    };
    if !name.starts_with("flush") {
        words.push(key(random, kind));
    }
    let text =
        |words: &mut Words, text: &str| words.extend(text.split(' ').map(|word| word.as_bytes().to_vec()));
    let far = LEAST_SECONDS + random.below(1_000_000);
    match name {
        "set" => {
            words.push(value(random));
            let more = ends(random);
            let option = if more.is_empty() { pick(random, &["", "KEEPTTL", "NX", "XX", "GET"]) } else { "" };
            words.extend(more.into_iter().map(String::into_bytes));
            words.extend((!option.is_empty()).then(|| option.as_bytes().to_vec()));
        }
        "setex" => words.extend([far.to_string().into_bytes(), value(random)]),
        "psetex" => words.extend([(far * 1_000 + 7).to_string().into_bytes(), value(random)]),
        "setnx" | "getset" | "append" => words.push(value(random)),
        "mset" | "msetnx" => words.extend([value(random), key(random, 0), value(random)]),
        "setrange" => words.extend([random.below(40).to_string().into_bytes(), value(random)]),
        "getex" => {
            let more = ends(random);
            let more = if more.is_empty() { vec!["PERSIST".to_owned()] } else { more };
            words.extend(more.into_iter().map(String::into_bytes));
        }
        "incrby" | "decrby" => words.push((random.number() >> 8).to_string().into_bytes()),
        "incrbyfloat" => text(&mut words, "0.25"),
        "increx" => {
            text(&mut words, pick(random, &["BYINT 5 UBOUND 1000 SATURATE", "BYFLOAT 1.5", "BYINT -3"]));
            words.extend(ends(random).into_iter().map(String::into_bytes));
        }
        "expire" | "pexpire" | "expireat" | "pexpireat" => {
            let seconds = if name.ends_with("at") { LEAST_TIME + far } else { far };
            let unit = if name.starts_with('p') { 1_000 } else { 1 };
            // A time that is over deletes the key.
            let number = if random.once_in(10) { 0 } else { seconds * unit };
            text(&mut words, &number.to_string());
            words.extend(
                pick(random, &[None, None, Some("NX"), Some("XX"), Some("GT"), Some("LT")])
                    .map(|option| option.as_bytes().to_vec()),
            );
        }
        "del" | "unlink" => words.push(key(random, 0)),
        "rename" | "renamenx" => words.push(key(random, kind)),
        "copy" => {
            words.push(key(random, kind));
            let database = pick(random, &DATABASES);
            text(&mut words, &format!("DB {database}"));
            text(&mut words, "REPLACE");
        }
        "quota.take" => take(random, &mut words),
        "cl.throttle" => text(&mut words, &format!("15 30 1000000 {}", random.below(5))),
        "gcra" => text(&mut words, &format!("15 30 1000000 TOKENS {}", random.below(5))),
        "incr" | "decr" | "getdel" | "persist" | "quota.reset" | "flushall" | "flushdb" => {}
        other => panic!("{other} changes state: let histories call it"),
    }
    words
}

/// Amounts and limits of a take: of requests, and at times of another unit.
fn take(random: &mut Random, words: &mut Words) {
    let tokens = random.once_in(2);
    let mut line = format!("{} ", 1 + random.below(4));
    if tokens {
        line += &format!("tokens {} ", random.below(30));
    }
    line += pick(random, &LIMITS);
    if tokens {
        line += &format!(" {} UNIT tokens", pick(random, &LIMITS));
    }
    line += pick(random, &["", "", " ATMOST", " FORCE"]);
    words.extend(line.split(' ').map(|word| word.as_bytes().to_vec()));
}
