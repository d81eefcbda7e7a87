//! How many bytes a key takes in a snapshot, beside redis's RDB of the same keys in the same run, and how many entries a second one core
//! writes and reads.
//!
//! Four data sets: counters with a TTL, and subjects with a RATE, with a BUDGET, and with one of each. What they are in a Redis
//! is what clients of it do: a counter with a TTL; for RATE and BUDGET a string with the time or the use, and for both a hash.
//! Outside of `cargo bench` a tiny version runs once without Redis, which shows that it works and measures nothing.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures real time and prints it"
)]

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use quotad::clock::Timestamp;
use quotad::engine::Expiry;
use quotad::engine::value::{Content, QuotaSlot, QuotaSlots};
use quotad::persist::Id;
use quotad::quota::{Limit, State, limits};
use quotad::snapshot::format::{
    Entry, FinishedPart, FormatError, Holds, PartHeader, PartWriter, SealingKey, SealingKeys, SnapshotId,
    read_part,
};

/// Keys of a data set.
const MEASURED: u64 = 1_000_000;

const TINY: u64 = 5_000;

/// The key that seals, as its file holds it.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// 2026-11-26, 12:00:00 UTC.
const NOON_MS: u64 = 1_795_694_400_000;

/// Steps through the keys out of their order, as a hash table does; it is a prime, so that every key has its turn.
const STRIDE: u64 = 61_803_401;

const PORT: &str = "26391";

/// A key, what quotad holds of it, and what Redis does.
struct Sample {
    key: String,
    content: Content,
    expiry: Expiry,
    redis: Vec<String>,
}

/// Numbers that look random: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % limit
    }
}

fn limit(words: &str) -> Limit {
    let (limits, _) = limits(words.split(' ').map(str::as_bytes)).expect("it is a limit");
    *limits.first().expect("it is one")
}

/// A bucket that is full again within the next minute, and the rest of a microsecond in thousandths.
fn rate_word(random: &mut Random) -> u128 {
    let full_at = NOON_MS * 1_000 + random.below(60_000_000);
    (u128::from(full_at) << 64) | u128::from(random.below(1_000))
}

/// The 2,459th month of the calendar that budgets count in is near enough.
fn budget_word(used: u64) -> u128 {
    (2_459 << 64) | u128::from(used)
}

fn counter(number: u64, random: &mut Random) -> Sample {
    let key = format!("key:{number:012}");
    let (value, millis) = (random.below(100_000), NOON_MS + random.below(86_400_000));
    let redis = ["SET", &key, &value.to_string(), "PXAT", &millis.to_string()].map(str::to_owned).to_vec();
    let content = Content::Integer(i64::try_from(value).expect("it is small"));
    Sample { key, content, expiry: Expiry::at_millis(millis), redis }
}

fn subject(number: u64, random: &mut Random, limits: &[Limit; 2], which: usize) -> Sample {
    let key = format!("org/acme/agent/{number}");
    let (rate, used) = (rate_word(random), random.below(1_000_000));
    let time = (rate >> 64).to_string();
    let millis = (NOON_MS + 86_400_000 + random.below(60_000)).to_string();
    let never = Expiry::NEVER;
    let (content, redis) = match which {
        0 => (Content::Quota(limits[0], rate), vec!["SET", &key, &time, "PXAT", &millis]),
        1 => {
            let content = Content::Quota(limits[1], budget_word(used));
            return Sample {
                redis: ["SET", &key, &used.to_string(), "PXAT", &millis].map(str::to_owned).to_vec(),
                key,
                content,
                expiry: never,
            };
        }
        _ => {
            let mut slots = QuotaSlots::default();
            slots.push(QuotaSlot::new(limits[0], State::Word(rate)));
            slots.push(QuotaSlot::new(limits[1], State::Word(budget_word(used))));
            let redis = ["HSET", &key, "rate", &time, "budget", &used.to_string()].map(str::to_owned);
            return Sample { key, content: Content::Quotas(slots), expiry: never, redis: redis.to_vec() };
        }
    };
    let redis = redis.into_iter().map(str::to_owned).collect();
    Sample { key, content, expiry: never, redis }
}

fn samples(name: &str, keys: u64) -> Vec<Sample> {
    let limits =
        [limit("RATE 1000 PER 1m BURST 2000 UNIT requests"), limit("BUDGET 1000000 PER month UNIT tokens")];
    let random = &mut Random(88_172_645_463_325_252);
    let sample = |at: u64| {
        let number = at * STRIDE % keys;
        match name {
            "counters" => counter(number, random),
            "rate" => subject(number, random, &limits, 0),
            "budget" => subject(number, random, &limits, 1),
            "rate or budget" => {
                let which = usize::from(random.below(2) == 1);
                subject(number, random, &limits, which)
            }
            _ => subject(number, random, &limits, 2),
        }
    };
    (0..keys).map(sample).collect()
}

fn header(number: u32) -> PartHeader {
    PartHeader {
        data_set: Id([1; 16]),
        snapshot: SnapshotId::new(Timestamp::from_millis(NOON_MS), 1, 1),
        number,
        holds: Holds::Entries,
    }
}

/// What one way through a data set took.
#[derive(Default)]
struct Measured {
    parts: Vec<FinishedPart>,
    /// Under the guard.
    adding: Duration,
    /// Outside of it.
    packing: Duration,
}

/// Writes as a snapshot's writer does: 64 entries under a guard, then a turn of the block.
fn write(samples: &[Sample], key: Option<&SealingKey>) -> Measured {
    let mut measured = Measured::default();
    let begin = |number| PartWriter::new(&header(number), key).expect("the system has random numbers");
    let mut writer = begin(0);
    let mut number = 0;
    for chunk in samples.chunks(64) {
        // Who holds the guard has the entry before it: its way from memory is not the format's.
        black_box(
            chunk.iter().map(|sample| (sample.key.clone(), sample.content.clone())).collect::<Vec<_>>(),
        );
        let start = Instant::now();
        for sample in chunk {
            writer.entry(0, sample.key.as_bytes(), &sample.content, sample.expiry);
        }
        let added = Instant::now();
        writer.turn_block().expect("no entry is too large");
        if writer.is_full() {
            number += 1;
            let full = std::mem::replace(&mut writer, begin(number));
            measured.parts.push(full.finish().expect("no entry is too large"));
        }
        measured.packing += added.elapsed();
        measured.adding += added - start;
    }
    let start = Instant::now();
    measured.parts.push(writer.finish().expect("no entry is too large"));
    measured.packing += start.elapsed();
    measured
}

fn read(parts: &[FinishedPart], keys: &SealingKeys) -> u64 {
    let read = |(number, part): (u32, &FinishedPart)| {
        let visit = |entry: Entry<'_>| {
            black_box(entry);
            Ok::<_, FormatError>(())
        };
        read_part(&part.bytes, &header(number), keys, visit).expect("it comes back")
    };
    (0..).zip(parts).map(read).sum()
}

/// Ends the server, which saves nothing then.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The bytes of redis's RDB of the same keys.
fn rdb_bytes(samples: &[Sample], folder: &Path) -> u64 {
    let child = Command::new("redis-server")
        .args(["--port", PORT, "--save", "", "--dbfilename", "x.rdb", "--dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is there");
    let server = Redis(child);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !command(&["PING"]) {
        assert!(Instant::now() < deadline, "redis-server answers");
    }
    let mut pipe = Command::new("redis-cli")
        .args(["-p", PORT, "--pipe"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-cli is there");
    let mut bytes = Vec::new();
    for sample in samples {
        write!(bytes, "*{}\r\n", sample.redis.len()).expect("a vector takes all");
        for word in &sample.redis {
            write!(bytes, "${}\r\n{word}\r\n", word.len()).expect("a vector takes all");
        }
    }
    pipe.stdin.take().expect("it is piped").write_all(&bytes).expect("redis-cli reads");
    assert!(pipe.wait().expect("redis-cli ends").success(), "Redis took all keys");
    assert!(command(&["SAVE"]), "Redis saved");
    drop(server);
    folder.join("x.rdb").metadata().expect("Redis saved").len()
}

fn command(words: &[&str]) -> bool {
    let output =
        Command::new("redis-cli").args(["-p", PORT]).args(words).output().expect("redis-cli is there");
    output.status.success() && !output.stdout.is_empty()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

fn per_entry(span: Duration, keys: u64) -> f64 {
    span.as_secs_f64() * 1e9 / ratio(keys, 1)
}

fn compare(name: &str, keys: u64, is_measured: bool) {
    let samples = samples(name, keys);
    let key = SealingKey::from_file_text(KEY).expect("it is a key");
    let own = SealingKeys::new(vec![key.clone()]);
    for (sealed, key) in [("", None), (", sealed", Some(&key))] {
        let runs = if is_measured { 3 } else { 1 };
        let (mut adding, mut packing, mut reading) = (Duration::MAX, Duration::MAX, Duration::MAX);
        let mut bytes = 0;
        for _ in 0..runs {
            let written = write(&samples, key);
            let start = Instant::now();
            assert_eq!(read(&written.parts, &own), keys);
            reading = reading.min(start.elapsed());
            adding = adding.min(written.adding);
            packing = packing.min(written.packing);
            bytes = written.parts.iter().map(|part| u64::try_from(part.bytes.len()).expect("it fits")).sum();
        }
        let million = |span: Duration| ratio(keys, 1_000_000) / span.as_secs_f64();
        println!(
            "{name}{sealed}: {:.2} bytes an entry; written {:.1} M/s ({:.0} ns under the guard, {:.0} outside), read {:.1} M/s",
            ratio(bytes, keys),
            million(adding + packing),
            per_entry(adding, keys),
            per_entry(packing, keys),
            million(reading),
        );
        if is_measured && key.is_none() {
            let folder = tempfile::tempdir().expect("there is room");
            let rdb = rdb_bytes(&samples, folder.path());
            println!(
                "{name}: RDB {:.2} bytes an entry; a snapshot has {:.2} of it",
                ratio(rdb, keys),
                ratio(bytes, rdb)
            );
        }
    }
}

fn main() {
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    for name in ["counters", "rate", "budget", "rate or budget", "rate and budget"] {
        compare(name, if is_measured { MEASURED } else { TINY }, is_measured);
    }
}
