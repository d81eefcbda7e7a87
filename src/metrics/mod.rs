//! What is counted while the server runs.
//!
//! **Owns** the counters, one set per worker thread and one for the process, their sums, and the pace of log lines.
//! **Does not own** how they are shown (`admin/`, INFO). **May use** nothing.
//!
//! A worker's counters have one writer, so counting is a load and a store, never a locked instruction.

mod counter;
mod errors;
mod histogram;
mod seldom;
mod top;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

pub use counter::{Counter, Gauge};
pub use errors::ErrorCounts;
pub use histogram::{Histogram, HistogramSum};
pub use seldom::Seldom;
pub use top::{Heavy, TopSubjects};

/// Everything that is counted.
#[derive(Default)]
pub struct Metrics {
    workers: Mutex<Vec<Arc<WorkerMetrics>>>,
    /// Of the process.
    pub server: ServerMetrics,
}

/// Subjects that are looked up under one lock: some 20 us.
const FORGOTTEN_AT_ONCE: usize = 1_024;

/// Counters that any thread may write.
#[derive(Default)]
pub struct ServerMetrics {
    /// Connections accepted since the start.
    pub connections_received: Gauge,
    /// Connections refused over `maxclients`.
    pub connections_rejected: Gauge,
    /// Connections closed because a command panicked.
    pub panics: Gauge,
    /// Connections open now.
    pub connections_open: Gauge,
    /// Times the wall clock was found over a second away from the server's.
    pub clock_jumps: Gauge,
    /// Bytes of data at the last background count.
    pub data_bytes: Gauge,
    /// The highest `data_bytes` seen.
    pub data_bytes_peak: Gauge,
    /// 1 while keys leave memory to make room, so that full memory refuses no commands.
    pub evicting: Gauge,
    /// Keys that left memory to make room.
    pub evicted_keys: Gauge,
    /// Microseconds the background sweep has taken.
    pub sweep_micros: Gauge,
    /// The pace of the log's lines on connections that cannot be accepted.
    pub accept_lines: Seldom,
    /// The pace of the log's lines on wrong passwords.
    pub password_lines: Seldom,
}

/// Counters of one worker thread: it alone writes them.
pub struct WorkerMetrics {
    /// By the command's number in the table.
    pub commands: Box<[CommandMetrics]>,
    /// Calls of unknown commands.
    pub unknown_commands: Counter,
    /// Turns: reads that brought at least one request.
    pub turns: Counter,
    /// Bytes read from clients.
    pub input_bytes: Counter,
    /// Bytes written to clients.
    pub output_bytes: Counter,
    /// Look-ups that found a value.
    pub keyspace_hits: Counter,
    /// Look-ups that found none.
    pub keyspace_misses: Counter,
    /// Requests that were no protocol.
    pub protocol_errors: Counter,
    /// Error replies by the word they begin with.
    pub errors: Mutex<ErrorCounts>,
    /// Takes by the kind of the deciding limit, see [`TAKE_KINDS`].
    pub takes: [Counter; TAKE_KINDS.len()],
    /// Denied takes, likewise.
    pub denials: [Counter; TAKE_KINDS.len()],
    /// Subjects that were denied most.
    pub denied_subjects: Mutex<TopSubjects>,
    /// Subjects that were asked for most, sampled once a turn.
    pub hot_subjects: Mutex<TopSubjects>,
}

/// The kinds of limits, as metrics name them.
pub const TAKE_KINDS: [&str; 6] =
    ["rate", "fixed_window", "sliding_window", "log_window", "budget", "throttle"];

/// What is counted of one command.
#[derive(Default)]
pub struct CommandMetrics {
    /// Calls that ran.
    pub calls: Counter,
    /// Calls that ran and answered an error.
    pub failed: Counter,
    /// Calls that were refused before they ran.
    pub rejected: Counter,
    /// Time, in nanoseconds. Commands that are FAST get an equal share of their turn's time.
    pub nanos: Counter,
    /// Time by call.
    pub latency: Histogram,
}

impl WorkerMetrics {
    /// Counters for a table of `commands` commands.
    #[must_use]
    pub fn new(commands: usize) -> Self {
        Self {
            commands: (0..commands).map(|_| CommandMetrics::default()).collect(),
            unknown_commands: Counter::default(),
            turns: Counter::default(),
            input_bytes: Counter::default(),
            output_bytes: Counter::default(),
            keyspace_hits: Counter::default(),
            keyspace_misses: Counter::default(),
            protocol_errors: Counter::default(),
            errors: Mutex::default(),
            takes: Default::default(),
            denials: Default::default(),
            denied_subjects: Mutex::default(),
            hot_subjects: Mutex::default(),
        }
    }
}

/// The sums of one command over all workers.
#[derive(Clone, Debug, Default)]
pub struct CommandSum {
    /// Calls that ran.
    pub calls: u64,
    /// Calls that ran and answered an error.
    pub failed: u64,
    /// Calls that were refused before they ran.
    pub rejected: u64,
    /// Time, in nanoseconds.
    pub nanos: u64,
    /// Time by call.
    pub latency: HistogramSum,
}

impl Metrics {
    /// Adds a worker's counters to the sums.
    pub fn register(&self, worker: Arc<WorkerMetrics>) {
        self.workers.lock().push(worker);
    }

    /// Sums a counter over all workers.
    pub fn sum(&self, counter: impl Fn(&WorkerMetrics) -> u64) -> u64 {
        self.workers.lock().iter().map(|worker| counter(worker)).sum()
    }

    /// Sums what is counted of the command with this number.
    #[must_use]
    pub fn command(&self, number: usize) -> CommandSum {
        let mut sum = CommandSum::default();
        for worker in self.workers.lock().iter() {
            if let Some(command) = worker.commands.get(number) {
                sum.calls += command.calls.value();
                sum.failed += command.failed.value();
                sum.rejected += command.rejected.value();
                sum.nanos += command.nanos.value();
                command.latency.add_to(&mut sum.latency);
            }
        }
        sum
    }

    /// The heaviest subjects over all workers, heaviest first.
    pub fn top(&self, count: usize, tops: impl Fn(&WorkerMetrics) -> &Mutex<TopSubjects>) -> Vec<Heavy> {
        let workers: Vec<_> = self.workers.lock().clone();
        TopSubjects::merged(workers.iter().map(|worker| tops(worker).lock().clone()), count)
    }

    /// Error replies by the word they begin with.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<Box<str>, u64> {
        let workers: Vec<_> = self.workers.lock().clone();
        ErrorCounts::merged(workers.iter().map(|worker| worker.errors.lock().clone()))
    }

    /// Forgets these subjects of a database, wherever they are counted.
    pub fn forget_subjects(&self, database: u8, subjects: &[&[u8]]) {
        // A worker that counts waits no longer than a part takes.
        for part in subjects.chunks(FORGOTTEN_AT_ONCE) {
            self.each_top(|top| top.forget(database, part.iter().copied()));
        }
    }

    /// Forgets every subject of a database.
    pub fn forget_database(&self, database: u8) {
        self.each_top(|top| top.forget_database(database));
    }

    fn each_top(&self, change: impl Fn(&mut TopSubjects)) {
        for worker in self.workers.lock().iter() {
            change(&mut worker.denied_subjects.lock());
            change(&mut worker.hot_subjects.lock());
        }
    }

    /// Sets every counter to zero, as `CONFIG RESETSTAT` does. A worker that counts at this moment may keep what it had.
    pub fn reset(&self) {
        for worker in self.workers.lock().iter() {
            for command in &worker.commands {
                command.calls.reset();
                command.failed.reset();
                command.rejected.reset();
                command.nanos.reset();
                command.latency.reset();
            }
            for counter in [
                &worker.unknown_commands,
                &worker.turns,
                &worker.input_bytes,
                &worker.output_bytes,
                &worker.keyspace_hits,
                &worker.keyspace_misses,
                &worker.protocol_errors,
            ] {
                counter.reset();
            }
            worker.takes.iter().chain(&worker.denials).for_each(Counter::reset);
            *worker.errors.lock() = ErrorCounts::default();
            *worker.denied_subjects.lock() = TopSubjects::default();
            *worker.hot_subjects.lock() = TopSubjects::default();
        }
        self.server.connections_received.set(0);
        self.server.connections_rejected.set(0);
        self.server.clock_jumps.set(0);
        self.server.data_bytes_peak.set(self.server.data_bytes.value());
    }

    /// Sets the latency histograms of these commands, or of all, to zero; answers how many there were.
    pub fn reset_latency(&self, numbers: impl Iterator<Item = usize> + Clone) -> usize {
        for worker in self.workers.lock().iter() {
            for command in numbers.clone().filter_map(|number| worker.commands.get(number)) {
                command.latency.reset();
            }
        }
        numbers.count()
    }
}
