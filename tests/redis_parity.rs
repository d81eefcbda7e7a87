//! The string and key commands answer byte for byte as redis-server 7.0 does: on a list of calls, and on random ones.

mod support;

#[path = "redis_parity/calls.rs"]
mod calls;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use quotad::clock::{Clock, SystemClock};
use quotad::dispatch::testing::Harness;
use support::{Reply, decode};

/// A redis-server on a Unix socket, which ends with this.
struct Redis {
    process: Child,
    stream: UnixStream,
    _directory: tempfile::TempDir,
}

impl Redis {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("redis.sock");
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("redis-server can be started; where it is missing: apt-get install redis-server");
        await_ready(&mut process);
        let stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { process, stream, _directory: directory }
    }

    fn call(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        let mut request = Vec::new();
        quotad::resp::write_request(&mut request, words);
        self.stream.write_all(&request).unwrap();
        let mut reply = Vec::new();
        let mut buffer = [0; 65_536];
        while reply.is_empty() || decode(&reply).is_none() {
            let count = self.stream.read(&mut buffer).expect("redis-server answers in time");
            assert!(count > 0, "redis-server keeps the connection");
            reply.extend_from_slice(&buffer[..count]);
        }
        reply
    }
}

/// Reads the log up to the line that says so.
fn await_ready(process: &mut Child) {
    let mut log = process.stdout.take().unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4_096];
    while !seen.contains("ready to accept connections") {
        let count = log.read(&mut buffer).unwrap();
        assert!(count > 0, "redis-server ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    // The rest of the log is read by nobody: the pipe holds more than an idle server writes.
    process.stdout = Some(log);
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// Both servers, asked the same.
struct Pair {
    redis: Redis,
    quotad: Harness,
    clock: SystemClock,
    differences: Vec<String>,
    calls: usize,
}

impl Pair {
    fn start(resp3: bool) -> Self {
        let mut pair = Self {
            redis: Redis::start(),
            quotad: Harness::new(quotad::command::table()),
            clock: SystemClock::new(),
            differences: Vec::new(),
            calls: 0,
        };
        if resp3 {
            pair.redis.call(&["HELLO", "3"].map(|word| word.as_bytes().to_vec()));
            pair.quotad.speak_resp3();
        }
        pair
    }

    fn call(&mut self, words: &[Vec<u8>]) {
        self.calls += 1;
        self.quotad.clock.set(self.clock.now());
        let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let ours = self.quotad.call_words(&slices);
        let theirs = self.redis.call(words);
        let name = words[0].to_ascii_lowercase();
        let same = match name.as_slice() {
            b"keys" | b"scan" => sorted(&ours) == sorted(&theirs),
            b"pttl" => close(&ours, &theirs),
            _ => ours == theirs,
        };
        if !same {
            let shown: Vec<_> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
            self.differences.push(format!(
                "{}\n  redis  {}\n  quotad {}",
                shown.join(" "),
                theirs.escape_ascii(),
                ours.escape_ascii()
            ));
        }
    }

    fn line(&mut self, line: &str) {
        self.call(&words(line));
    }

    fn finish(self) {
        let shown = self.differences.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
        let (different, calls) = (self.differences.len(), self.calls);
        assert!(different == 0, "{different} of {calls} calls differ:\n{shown}");
    }
}

/// The words of a line; in quotes, `\xHH` stands for a byte.
fn words(line: &str) -> Vec<Vec<u8>> {
    let mut parser = quotad::resp::RequestParser::new();
    let input = format!("{line}\r\n");
    let limits = quotad::resp::RequestLimits::AUTHENTICATED_DEFAULT;
    parser.parse(input.as_bytes(), &limits).unwrap().unwrap();
    parser.request(input.as_bytes()).iter().map(<[u8]>::to_vec).collect()
}

/// The parts of a reply in an order that does not depend on that of keys; a cursor does not count.
fn sorted(reply: &[u8]) -> Vec<String> {
    fn collect(reply: &Reply, into: &mut Vec<String>) {
        match reply {
            Reply::Many(_, items) => items.iter().for_each(|item| collect(item, into)),
            other => into.push(other.in_cli_notation()),
        }
    }
    let mut parts = Vec::new();
    collect(&decode(reply).unwrap().0, &mut parts);
    parts.sort();
    parts
}

/// Whether two times to live differ by less than the time between two calls.
fn close(ours: &[u8], theirs: &[u8]) -> bool {
    const BETWEEN_CALLS_MS: i64 = 10_000;
    let read = |reply: &[u8]| match decode(reply).unwrap().0 {
        Reply::Integer(number) => number.parse::<i64>().ok(),
        _ => None,
    };
    match (read(ours), read(theirs)) {
        (Some(ours), Some(theirs)) if ours >= 0 && theirs >= 0 => {
            ours.abs_diff(theirs) < BETWEEN_CALLS_MS.unsigned_abs()
        }
        _ => ours == theirs,
    }
}

#[test]
fn listed_calls_over_resp2() {
    let mut pair = Pair::start(false);
    calls::ALL
        .iter()
        .flat_map(|calls| calls.lines())
        .filter(|line| !line.is_empty())
        .for_each(|line| pair.line(line));
    pair.finish();
}

#[test]
fn listed_calls_over_resp3() {
    let mut pair = Pair::start(true);
    calls::ALL
        .iter()
        .flat_map(|calls| calls.lines())
        .filter(|line| !line.is_empty())
        .for_each(|line| pair.line(line));
    pair.finish();
}

#[test]
fn random_calls() {
    const CALLS: usize = 6_000;
    let mut pair = Pair::start(false);
    let mut random = calls::Random::new(20_261_121);
    for _ in 0..CALLS {
        let call = random.call();
        pair.call(&call);
    }
    pair.finish();
}
