//! A connection without a socket: bytes go through the parser, the executor and an engine, and every reply is checked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use quotad::clock::{ManualClock, Timestamp};
use quotad::dispatch::execute::Execution;
use quotad::dispatch::ports::{Clients as _, Lifecycle, Pending};
use quotad::dispatch::testing::{Engine, HARNESS_START, Outside, ports};
use quotad::dispatch::{
    Answer, ClientRecord, CommandError, Executor, Missing, Outcome, Ports, ReplyMode, Scratch, Session,
};
use quotad::resp::{Protocol, Request, RequestLimits, RequestParser};

use crate::oracles::{self, Budget, PASSWORD};

/// Requests of an input that run: the ones behind them would only repeat what these do.
const MAX_REQUESTS: usize = 256;

/// Output after which no more requests run, as a turn has it; COMMAND DOCS alone is half of that.
const MAX_OUTPUT_BYTES: usize = 256 * 1024;

/// How often an answer that comes later is asked for: searches work in slices, of which these engines need one.
const MAX_POLLS: usize = 1_000;

/// What holds for the whole connection: the bits of an input's first byte.
#[derive(Clone, Copy)]
pub struct Conditions(u8);

impl Conditions {
    /// Reads the bits.
    #[must_use]
    pub const fn new(bits: u8) -> Self {
        Self(bits)
    }

    const fn has(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }

    /// Whether the client speaks RESP3 from the beginning.
    const fn resp3(self) -> bool {
        self.has(0)
    }

    /// Whether it must authenticate.
    const fn password(self) -> bool {
        self.has(1)
    }

    /// Whether data is still being loaded.
    const fn loading(self) -> bool {
        self.has(2)
    }

    /// Whether memory is full.
    const fn out_of_memory(self) -> bool {
        self.has(3)
    }

    /// Whether DEBUG is allowed.
    const fn debug(self) -> bool {
        self.has(4)
    }
}

/// What a connection came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// What the client received for each request; `None` where two runs may differ.
    pub replies: Vec<Option<Vec<u8>>>,
    /// Whether the server closed it.
    pub closed: bool,
    /// Keys in each database.
    pub keys: [usize; quotad::engine::DATABASES],
}

/// The process, in which no time passes.
struct NoWaiting(Arc<Outside>);

impl Lifecycle for NoWaiting {
    fn info(&self) -> Vec<(&'static str, Vec<(String, String)>)> {
        self.0.info()
    }

    fn started_at(&self) -> Timestamp {
        self.0.started_at()
    }

    fn loading_progress(&self) -> Option<String> {
        self.0.loading_progress()
    }

    fn shut_down(&self) {
        self.0.shut_down();
    }

    fn is_loading(&self) -> bool {
        self.0.is_loading()
    }

    fn set_active_expire(&self, on: bool) {
        self.0.set_active_expire(on);
    }

    fn sleep(&self, _micros: u64) -> Pending<()> {
        Box::pin(std::future::ready(()))
    }
}

/// One client with a server of its own, whose clock stands still.
pub struct Connection {
    outside: Arc<Outside>,
    session: Session,
    executor: Executor,
    parser: RequestParser,
    budget: Budget,
    ended: Ended,
    output_bytes: usize,
}

impl Connection {
    /// A client that just connected to `engine`. One in front of a truth finds that empty.
    #[must_use]
    pub fn new(conditions: Conditions, engine: Engine) -> Self {
        let outside = Arc::new(Outside::default());
        *outside.password.lock() = conditions.password().then(|| PASSWORD.to_owned());
        outside.settings.lock().extend(oracles::settings());
        outside.loading.store(conditions.loading(), Ordering::Relaxed);
        outside.debug_allowed.store(conditions.debug(), Ordering::Relaxed);
        let clock = Arc::new(ManualClock::at(HARNESS_START));
        let made = ports(quotad::command::table(), engine, clock, &outside);
        let Some(mut ports) = Arc::into_inner(made) else { unreachable!("nobody else holds new ports") };
        ports.lifecycle = Arc::new(NoWaiting(Arc::clone(&outside)));
        if conditions.out_of_memory() {
            outside.maxmemory_bytes.store(1, Ordering::Relaxed);
            ports.metrics.server.data_bytes.set(2);
        }
        Self::with_ports(conditions, outside, Arc::new(ports))
    }

    fn with_ports(conditions: Conditions, outside: Arc<Outside>, ports: Arc<Ports>) -> Self {
        let client = Arc::new(ClientRecord::new(1, "127.0.0.1:50000", "127.0.0.1:6379", HARNESS_START));
        outside.clients.lock().push(Arc::clone(&client));
        let scratch = Scratch::new(&ports.metrics, ports.commands.all().len(), 1);
        let mut session = Session::new(client, !conditions.password());
        if conditions.resp3() {
            session.speak(Protocol::Resp3);
        }
        let keys = [0; quotad::engine::DATABASES];
        Self {
            outside,
            session,
            executor: Executor::new(ports, scratch),
            parser: RequestParser::new(),
            budget: Budget::default(),
            ended: Ended { replies: Vec::new(), closed: false, keys },
            output_bytes: 0,
        }
    }

    /// Lets `input` arrive in pieces that end at `splits` (in ascending order) and at its end.
    pub fn run(mut self, input: &[u8], splits: impl Iterator<Item = usize>) -> Ended {
        let mut start = 0;
        for end in splits.chain([input.len()]) {
            self.executor.begin_turn();
            while !self.is_over() {
                match self.step(&input[start..end]) {
                    0 => break,
                    length => start += length,
                }
            }
            self.executor.end_turn(&self.session);
            if self.is_over() {
                break;
            }
        }
        let memory = self.executor.ports().engine.memory();
        self.budget.check(&memory);
        self.ended.keys = memory.keys;
        self.ended
    }

    fn is_over(&self) -> bool {
        self.ended.closed || self.ended.replies.len() >= MAX_REQUESTS || self.output_bytes >= MAX_OUTPUT_BYTES
    }

    /// Runs the request at the beginning of `bytes`; answers its length, 0 when it is not complete.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let limits = if self.session.authenticated {
            RequestLimits::AUTHENTICATED_DEFAULT
        } else {
            RequestLimits::UNAUTHENTICATED
        };
        let mut output = Vec::new();
        match self.parser.parse(bytes, &limits) {
            Ok(None) => 0,
            Ok(Some(length)) => {
                // The parser's request borrows it, and running needs the rest of the connection.
                let parser = std::mem::take(&mut self.parser);
                let request = parser.request(bytes);
                if !request.is_empty() && self.budget.allows(request) {
                    self.answer(request, &mut output);
                }
                self.parser = parser;
                length
            }
            Err(error) => {
                let error = CommandError::other(error.to_string());
                self.executor.write_error(&mut output, self.session.protocol, &error);
                oracles::check_replies(&output, self.session.protocol, 1..=1);
                self.ended.replies.push(Some(output));
                self.ended.closed = true;
                0
            }
        }
    }

    fn answer(&mut self, request: Request<'_>, output: &mut Vec<u8>) {
        let before = self.session.replies;
        let mut expected = 1..=1;
        match self.execute(request, output) {
            Outcome::Reply => {}
            Outcome::Missing(_) => unreachable!("what is missing was fetched"),
            Outcome::Suspend(answer) | Outcome::Later(answer) => {
                let suppressed = self.session.replies != ReplyMode::On;
                if self.session.replies == ReplyMode::SkipThis {
                    self.session.replies = ReplyMode::On;
                }
                let bytes = wait(answer);
                // SHUTDOWN alone has no reply: it closes the connection.
                if bytes.is_empty() && self.outside.shut_down.load(Ordering::Relaxed) {
                    expected = 0..=0;
                }
                if !suppressed {
                    output.extend(bytes);
                }
            }
        }
        let after = self.session.replies;
        if after != ReplyMode::On || (before == ReplyMode::SkipNext && !oracles::turns_replies_on(request)) {
            expected = 0..=0;
        } else if before == ReplyMode::SkipNext {
            expected = 0..=1;
        }
        oracles::check_replies(output, self.session.protocol, expected);
        if oracles::may_differ(request) {
            self.ended.replies.push(None);
        } else {
            self.output_bytes += output.len();
            self.ended.replies.push(Some(std::mem::take(output)));
        }
        self.ended.closed = self.session.close || self.session.client.is_killed();
    }

    /// Runs a request to its end: keys are fetched, and pauses end at once.
    fn execute(&mut self, request: Request<'_>, output: &mut Vec<u8>) -> Outcome {
        for _ in 0..=request.len() {
            let start = output.len();
            match self.executor.execute(&mut self.session, request, output) {
                Execution::Done(Outcome::Missing(missing)) => {
                    assert_eq!(output.len(), start, "a request that must be run again wrote something");
                    self.fetch(&missing);
                }
                Execution::Done(outcome) => return outcome,
                Execution::Paused(until) => {
                    assert!(until > HARNESS_START, "a pause that is over holds nobody back");
                    self.outside.unpause();
                    self.executor.begin_turn();
                }
            }
        }
        panic!("a request was run more often than it has words: {request:?}");
    }

    fn fetch(&self, missing: &Missing) {
        assert!(!missing.0.is_empty(), "nothing is missing");
        let engine = &self.executor.ports().engine;
        let fetch = engine.begin_fetch(&missing.0);
        for key in &fetch.keys {
            assert!(engine.fill(fetch.number, key, None, HARNESS_START), "nobody else fetches");
        }
    }
}

/// Asks for an answer until it is there.
fn wait(mut answer: Answer) -> Vec<u8> {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..MAX_POLLS {
        if let Poll::Ready(bytes) = answer.as_mut().poll(&mut context) {
            return bytes;
        }
    }
    panic!("an answer did not come although nothing holds it back");
}
