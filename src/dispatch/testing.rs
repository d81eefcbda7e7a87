//! Stand-ins for what is outside, so that tests, benches and fuzz targets run commands without a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::execute::Execution;
use super::ports::{
    Clients, Copies, Durability, Fetch, FetchError, Figure, Lifecycle, NO_SNAPSHOTS, NO_TRUTH, Pending,
    Settings, SlowCommand, SlowLog, Snapshots, Synced, Verified, WrittenSnapshot,
};
use super::{ClientRecord, CommandTable, Executor, Outcome, Ports, Scratch, Session};
use crate::clock::{Clock, ManualClock, Timestamp};
pub use crate::engine::{Engine, Gate, Missing};
use crate::metrics::Metrics;
use crate::resp::{Protocol, RequestLimits, RequestParser};

/// Everything outside, in memory, with knobs.
#[derive(Default)]
pub struct Outside {
    /// What `Clients::list` answers.
    pub clients: Mutex<Vec<Arc<ClientRecord>>>,
    /// Until when all commands, and those that write, are paused; microseconds.
    pub paused_until: [AtomicU64; 2],
    /// What CONFIG GET finds.
    pub settings: Mutex<Vec<(String, String)>>,
    /// The password of user `default`; `None`: none is required.
    pub password: Mutex<Option<String>>,
    /// See [`Settings::maxmemory_bytes`].
    pub maxmemory_bytes: AtomicU64,
    /// See [`Settings::max_key_bytes`]; 0 stands for 65,536.
    pub max_key_bytes: AtomicUsize,
    /// See [`Settings::output_buffer_limit_bytes`]; 0 stands for no limit.
    pub output_buffer_limit_bytes: AtomicUsize,
    /// See [`Settings::debug_allowed`].
    pub debug_allowed: AtomicBool,
    /// See [`Durability::refusal`].
    pub refusal: Mutex<Option<String>>,
    /// Set by SHUTDOWN.
    pub shut_down: AtomicBool,
    /// See [`Lifecycle::is_loading`].
    pub loading: AtomicBool,
    /// Set by DEBUG SET-ACTIVE-EXPIRE.
    pub active_expire: AtomicBool,
    /// The slow commands, and the threshold in microseconds; 0: none is logged.
    pub slow: Mutex<Vec<(u64, SlowCommand)>>,
    /// See [`SlowLog::threshold_micros`].
    pub slow_threshold_micros: AtomicU64,
}

impl Clients for Outside {
    fn list(&self) -> Vec<Arc<ClientRecord>> {
        self.clients.lock().clone()
    }

    fn pause(&self, until: Timestamp, writes_only: bool) {
        self.paused_until[1].fetch_max(until.as_micros(), Ordering::Relaxed);
        if !writes_only {
            self.paused_until[0].fetch_max(until.as_micros(), Ordering::Relaxed);
        }
    }

    fn unpause(&self) {
        self.paused_until.iter().for_each(|until| until.store(0, Ordering::Relaxed));
    }

    fn paused_until(&self, write: bool) -> Timestamp {
        Timestamp::from_micros(self.paused_until[usize::from(write)].load(Ordering::Relaxed))
    }
}

impl Settings for Outside {
    fn all(&self) -> Vec<(String, String)> {
        self.settings.lock().clone()
    }

    fn set(&self, changes: &[(String, String)]) -> Result<(), String> {
        let mut settings = self.settings.lock();
        for (name, _) in changes {
            if !settings.iter().any(|(known, _)| known == name) {
                return Err(format!("unknown setting '{name}'"));
            }
        }
        for (name, value) in changes {
            settings
                .iter_mut()
                .filter(|(known, _)| known == name)
                .for_each(|known| known.1.clone_from(value));
        }
        Ok(())
    }

    fn password_required(&self) -> bool {
        self.password.lock().is_some()
    }

    fn check_password(&self, user: &[u8], password: &[u8]) -> bool {
        user == b"default" && self.password.lock().as_ref().is_none_or(|known| known.as_bytes() == password)
    }

    fn max_key_bytes(&self) -> usize {
        match self.max_key_bytes.load(Ordering::Relaxed) {
            0 => 65_536,
            limit => limit,
        }
    }

    fn output_buffer_limit_bytes(&self) -> usize {
        match self.output_buffer_limit_bytes.load(Ordering::Relaxed) {
            0 => usize::MAX,
            limit => limit,
        }
    }

    fn maxmemory_bytes(&self) -> u64 {
        self.maxmemory_bytes.load(Ordering::Relaxed)
    }

    fn debug_allowed(&self) -> bool {
        self.debug_allowed.load(Ordering::Relaxed)
    }
}

impl Lifecycle for Outside {
    fn info(&self) -> Vec<(&'static str, Vec<(String, String)>)> {
        vec![("server", vec![("redis_version".to_owned(), "7.0.15".to_owned())])]
    }

    fn started_at(&self) -> Timestamp {
        Timestamp::EPOCH
    }

    fn shut_down(&self) {
        self.shut_down.store(true, Ordering::Relaxed);
    }

    fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Relaxed)
    }

    fn loading_progress(&self) -> Option<String> {
        None
    }

    fn set_active_expire(&self, on: bool) {
        self.active_expire.store(on, Ordering::Relaxed);
    }

    fn sleep(&self, micros: u64) -> Pending<()> {
        Box::pin(tokio::time::sleep(std::time::Duration::from_micros(micros)))
    }
}

impl Fetch for Outside {
    fn fetch(&self, _needed: Missing, _ahead: Missing) -> Pending<Result<(), FetchError>> {
        let error = "ERR there is no truth to fetch from".to_owned();
        Box::pin(std::future::ready(Err(FetchError::Away(error))))
    }
}

impl Durability for Outside {
    fn open_flush(&self) -> u64 {
        0
    }

    fn refuses(&self) -> bool {
        self.refusal.lock().is_some()
    }

    fn refusal(&self) -> String {
        self.refusal.lock().clone().unwrap_or_default()
    }

    fn note_turn(&self) {}

    fn copies(&self) -> Copies {
        Copies::default()
    }

    fn wait(&self, _wanted: Copies, _timeout_ms: u64) -> Pending<Copies> {
        Box::pin(std::future::ready(Copies::default()))
    }

    fn commit(&self, _database: u8, _key: &[u8]) -> Pending<Result<(), String>> {
        Box::pin(std::future::ready(Err(NO_TRUTH.to_owned())))
    }

    fn sync(&self, _token: u64, _timeout_ms: u64) -> Pending<Result<Synced, String>> {
        Box::pin(std::future::ready(Err(NO_TRUTH.to_owned())))
    }

    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }

    fn verify(&self) -> Pending<Result<Verified, String>> {
        Box::pin(std::future::ready(Err(NO_TRUTH.to_owned())))
    }
}

impl Snapshots for Outside {
    fn ask(&self) -> Result<(), String> {
        Err(NO_SNAPSHOTS.to_owned())
    }

    fn write(&self) -> Pending<Result<WrittenSnapshot, String>> {
        Box::pin(std::future::ready(Err(NO_SNAPSHOTS.to_owned())))
    }

    fn is_running(&self) -> bool {
        false
    }

    fn last_at(&self) -> Option<Timestamp> {
        None
    }

    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
}

impl SlowLog for Outside {
    fn threshold_micros(&self) -> Option<u64> {
        Some(self.slow_threshold_micros.load(Ordering::Relaxed)).filter(|&threshold| threshold > 0)
    }

    fn add(&self, entry: SlowCommand) {
        let mut slow = self.slow.lock();
        let number = slow.first().map_or(0, |(number, _)| number + 1);
        slow.insert(0, (number, entry));
    }

    fn newest(&self, count: usize) -> Vec<(u64, SlowCommand)> {
        self.slow.lock().iter().take(count).cloned().collect()
    }

    fn len(&self) -> usize {
        self.slow.lock().len()
    }

    fn reset(&self) {
        self.slow.lock().clear();
    }
}

/// Threads that a server in a test has at most.
const SEATS: usize = 16;

/// Ports around `engine` and `clock`, with everything else from `outside`.
#[must_use]
pub fn ports(
    commands: CommandTable,
    engine: Engine,
    clock: Arc<dyn Clock>,
    outside: &Arc<Outside>,
) -> Arc<Ports> {
    Arc::new(Ports {
        engine: Arc::new(engine),
        gate: Arc::new(Gate::new(SEATS)),
        clock,
        commands: Arc::new(commands),
        metrics: Arc::new(Metrics::default()),
        clients: outside.clone(),
        settings: outside.clone(),
        lifecycle: outside.clone(),
        fetch: outside.clone(),
        durability: outside.clone(),
        snapshots: outside.clone(),
        slow_log: outside.clone(),
    })
}

/// A client and a server without a socket: calls go in as bytes, replies come out as bytes.
pub struct Harness {
    /// The clock, which stands still.
    pub clock: Arc<ManualClock>,
    /// What is outside.
    pub outside: Arc<Outside>,
    /// The client's session.
    pub session: Session,
    executor: Executor,
    parser: RequestParser,
}

/// Friday, 2026-11-20, 12:00:00 UTC: the time at which harnesses begin.
pub const HARNESS_START: Timestamp = Timestamp::from_millis(1_795_176_000_000);

impl Harness {
    /// An empty server with these commands.
    #[must_use]
    pub fn new(commands: CommandTable) -> Self {
        Self::with_engine(commands, Engine::new())
    }

    /// A server on this engine.
    #[must_use]
    pub fn with_engine(commands: CommandTable, engine: Engine) -> Self {
        let clock = Arc::new(ManualClock::at(HARNESS_START));
        let outside = Arc::new(Outside::default());
        let ports = ports(commands, engine, clock.clone(), &outside);
        let record = Arc::new(ClientRecord::new(1, "127.0.0.1:50000", "127.0.0.1:6379", HARNESS_START));
        outside.clients.lock().push(Arc::clone(&record));
        let scratch = Scratch::new(&ports.metrics, ports.commands.all().len(), 1);
        Self {
            clock,
            outside,
            session: Session::new(record, true),
            executor: Executor::new(ports, scratch),
            parser: RequestParser::new(),
        }
    }

    /// What commands reach.
    #[must_use]
    pub fn ports(&self) -> &Arc<Ports> {
        self.executor.ports()
    }

    /// Speaks RESP3 from now on.
    pub fn speak_resp3(&mut self) {
        self.session.speak(Protocol::Resp3);
    }

    /// Runs every request in `input`, in one turn, waiting for late answers; answers the replies.
    ///
    /// # Panics
    /// On bytes that are no whole requests, on keys to fetch, and on a pause: a harness has nobody to wait for.
    pub fn feed(&mut self, input: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        let mut rest = input;
        self.executor.begin_turn();
        while !rest.is_empty() {
            let parsed = self.parser.parse(rest, &RequestLimits::AUTHENTICATED_DEFAULT);
            let length = parsed.expect("the input is protocol").expect("the input is whole requests");
            let request = self.parser.request(rest);
            if !request.is_empty() {
                match self.executor.execute(&mut self.session, request, &mut output) {
                    Execution::Done(Outcome::Reply) => {}
                    Execution::Done(Outcome::Suspend(answer) | Outcome::Later(answer)) => {
                        output.extend(block_on(answer));
                    }
                    Execution::Done(Outcome::Missing(missing)) => panic!("{missing:?} must be fetched"),
                    Execution::Paused(until) => panic!("paused until {until:?}"),
                }
            }
            rest = &rest[length..];
        }
        self.executor.end_turn(&self.session);
        output
    }

    /// Runs one line, written as in redis-cli; answers the reply's bytes.
    pub fn call(&mut self, line: &str) -> Vec<u8> {
        self.feed(format!("{line}\r\n").as_bytes())
    }

    /// Runs one call of these words; answers the reply's bytes.
    pub fn call_words(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut input = Vec::new();
        crate::resp::write_request(&mut input, words);
        self.feed(&input)
    }
}

/// Runs a future to its end on this thread.
fn block_on<T>(future: Pending<T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime of one thread can be made").block_on(future)
}
