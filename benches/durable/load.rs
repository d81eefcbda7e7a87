//! Sends one command over and over, at a rate that is given or as fast as it is answered, and tells how long the answers took.
//!
//! `load SERVER RATE CONNECTIONS PIPELINE KEYS SECONDS WORD...` prints the commands answered a second, and p50, p99 and the longest wait in
//! microseconds. RATE is in commands a second, or `max`. Commands are sent in pipelines over one connection after the other, and
//! [`PLACEHOLDER`] in a word becomes the number of a random key below KEYS. A wait counts from when the pipeline was due, not from
//! when it could be sent, until its last answer: a server that stands still cannot hide how long. The first fifth of the time is
//! not counted.
//!
//! redis-benchmark has no rate, and takes more of two cores for itself than the server does.
#![expect(clippy::print_stdout, reason = "the figures are the program's output")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

/// As redis-benchmark has it.
const PLACEHOLDER: &str = "__rand_int__";

/// Pipelines that one connection may have without an answer; one more that is due waits, and its wait counts.
const MAX_UNANSWERED: usize = 4;

/// Bytes of answers read at once: several pipelines of verdicts.
const READ_BYTES: usize = 256 * 1_024;

/// Events fetched by one wait.
const MAX_EVENTS: usize = 256;

/// The part of the time before anything is counted, as its divisor.
const WARM_UP_DIVISOR: u32 = 5;

/// The longest wait for an event.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// How long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request whose words have random numbers in them.
struct Template {
    bytes: Vec<u8>,
    placeholders: Vec<usize>,
    keys: u64,
    /// The state of a linear congruential generator: keys need to lie apart, no more.
    random: u64,
}

impl Template {
    fn new(words: &[String], keys: u64) -> Self {
        let mut bytes = Vec::new();
        let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        quotad::resp::write_request(&mut bytes, &words);
        let placeholders = memchr::memmem::find_iter(&bytes, PLACEHOLDER).collect();
        Self { bytes, placeholders, keys, random: 1 }
    }

    fn append(&mut self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&self.bytes);
        for &at in &self.placeholders {
            self.random =
                self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut number = (self.random >> 33) % self.keys;
            for digit in out[begin + at..][..PLACEHOLDER.len()].iter_mut().rev() {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// What could not be sent yet.
    unsent: Vec<u8>,
    input: Vec<u8>,
    filled: usize,
    /// When the pipelines without an answer were due.
    due: VecDeque<Instant>,
    /// Answers that the first of them has.
    answered: usize,
}

impl Connection {
    fn open(server: &str) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let input = vec![0; READ_BYTES];
        Ok(Self { stream, unsent: Vec::new(), input, filled: 0, due: VecDeque::new(), answered: 0 })
    }

    fn send(&mut self) -> std::io::Result<()> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match self.stream.write(&self.unsent[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.unsent.drain(..sent);
        Ok(())
    }

    /// Reads once; calls `answered` with when a pipeline was due that has all its answers now.
    fn receive(&mut self, pipeline: usize, mut answered: impl FnMut(Instant)) -> Result<(), Box<dyn Error>> {
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => return Err("the server closed the connection, or an answer is too long".into()),
            Ok(length) => self.filled += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut begin = 0;
        while let Some(length) = answer_length(&self.input[begin..self.filled])? {
            begin += length;
            self.answered += 1;
            if self.answered == pipeline {
                self.answered = 0;
                answered(self.due.pop_front().ok_or("an answer to nothing")?);
            }
        }
        self.input.copy_within(begin..self.filled, 0);
        self.filled -= begin;
        Ok(())
    }
}

/// The length of the answer that `bytes` begin with; `None` while it is not whole. An error is one here too.
fn answer_length(bytes: &[u8]) -> Result<Option<usize>, Box<dyn Error>> {
    let (mut at, mut open) = (0, 1_usize);
    while open > 0 {
        let Some(end) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) else { return Ok(None) };
        let line = &bytes[at..at + end];
        at += end + 1;
        open -= 1;
        match line.first() {
            Some(b'-') => return Err(String::from_utf8_lossy(line).into()),
            Some(b'*') => open += length_in(line).unwrap_or_default(),
            Some(b'$') => at += length_in(line).map_or(0, |length| length + 2),
            _ => {}
        }
    }
    Ok((at <= bytes.len()).then_some(at))
}

/// The number of a line like `*3\r`; `None` where it is negative.
fn length_in(line: &[u8]) -> Option<usize> {
    let digits = &line[1..line.len().saturating_sub(1)];
    digits.iter().try_fold(0, |number, digit| Some(number * 10 + usize::from(digit.checked_sub(b'0')?)))
}

/// What is to be sent, and when.
struct Plan {
    /// The time from one pipeline to the next; `None`: a connection sends one when the one before is answered.
    step: Option<Duration>,
    pipeline: usize,
    span: Duration,
}

struct Load {
    plan: Plan,
    template: Template,
    connections: Vec<Connection>,
    /// Whose turn it is.
    turn: usize,
    /// When the next pipeline is due.
    next: Instant,
    /// Waits for the last answer of a pipeline, in microseconds.
    waits: Vec<u64>,
}

impl Load {
    /// Sends and receives until the time is over and everything is answered.
    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (number, connection) in (0..).zip(&self.connections) {
            epoll::add(&epoll, &connection.stream, EventData::new_u64(number), EventFlags::IN)?;
        }
        let begin = self.next;
        let (counted, end) = (begin + self.plan.span / WARM_UP_DIVISOR, begin + self.plan.span);
        let mut events = Vec::with_capacity(MAX_EVENTS);
        loop {
            let now = Instant::now();
            if now < end {
                self.send_due(now)?;
            } else if self.connections.iter().all(|connection| connection.due.is_empty()) {
                return Ok(());
            } else if now > end + PATIENCE {
                return Err("the last answers did not come".into());
            }
            for connection in self.connections.iter_mut().filter(|connection| !connection.unsent.is_empty()) {
                connection.send()?;
            }
            let timeout = self.pause();
            match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => continue,
                waited => waited?,
            };
            for event in events.drain(..) {
                let connection = &mut self.connections[usize::try_from(event.data.u64())?];
                let waits = &mut self.waits;
                let pipeline = self.plan.pipeline;
                connection.receive(pipeline, |due| {
                    if due >= counted {
                        waits.push(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
                    }
                })?;
            }
        }
    }

    /// Gives what is due to the connections in turn.
    fn send_due(&mut self, now: Instant) -> std::io::Result<()> {
        let most = if self.plan.step.is_some() { MAX_UNANSWERED } else { 1 };
        let mut full = 0;
        while full < self.connections.len() && self.next <= now {
            let turn = self.turn;
            self.turn = (turn + 1) % self.connections.len();
            let connection = &mut self.connections[turn];
            if connection.due.len() >= most {
                full += 1;
                continue;
            }
            full = 0;
            for _ in 0..self.plan.pipeline {
                self.template.append(&mut connection.unsent);
            }
            connection.due.push_back(if self.plan.step.is_some() { self.next } else { now });
            self.next += self.plan.step.unwrap_or_default();
            connection.send()?;
        }
        Ok(())
    }

    /// Until the next pipeline is due; without a rate, until an answer comes.
    fn pause(&self) -> Timespec {
        let pause = self.next.saturating_duration_since(Instant::now());
        let pause = if self.plan.step.is_some() && !pause.is_zero() { pause } else { LONGEST_PAUSE };
        Timespec { tv_sec: 0, tv_nsec: pause.min(LONGEST_PAUSE).subsec_nanos().into() }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument =
        || arguments.next().ok_or("usage: load SERVER RATE CONNECTIONS PIPELINE KEYS SECONDS WORD...");
    let (server, rate) = (argument()?, argument()?);
    let connections: usize = argument()?.parse()?;
    let pipeline: u32 = argument()?.parse()?;
    let (keys, seconds) = (argument()?.parse()?, argument()?.parse()?);
    let words: Vec<String> = arguments.collect();
    let step = match rate.as_str() {
        "max" => None,
        rate => Some(Duration::from_secs(1) * pipeline / rate.parse()?),
    };
    let connections = (0..connections).map(|_| Connection::open(&server)).collect::<Result<Vec<_>, _>>()?;
    let span = Duration::from_secs(seconds);
    let plan = Plan { step, pipeline: usize::try_from(pipeline)?, span };
    let template = Template::new(&words, keys);
    let mut load = Load { plan, template, connections, turn: 0, next: Instant::now(), waits: Vec::new() };
    load.run()?;
    let waits = &mut load.waits;
    waits.sort_unstable();
    let counted_ms = u128::max(1, (span - span / WARM_UP_DIVISOR).as_millis());
    let answered = u128::try_from(waits.len())? * u128::from(pipeline) * 1_000 / counted_ms;
    let at = |percent: usize| waits.get((waits.len() * percent / 100).min(waits.len().saturating_sub(1)));
    let [p50, p99, longest] = [50, 99, 100].map(|percent| at(percent).copied().unwrap_or_default());
    println!("{answered} {p50} {p99} {longest}");
    Ok(())
}
