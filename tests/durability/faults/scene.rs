//! A server under load to which a fault happens, and what is checked whatever the fault was.

use std::time::Duration;

use crate::client::Connection;
use crate::ledger::{Allowed, Ledger};
use crate::load::{CLIENTS, Load};
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::support::Reply;
use crate::surroundings::{DEADLINE, now_ms, pass, seed};
use crate::truth::Truth;
use crate::values::MAXIMUM;

/// How long a load runs before the fault and after it: some flushes.
pub const SOME_FLUSHES: Duration = Duration::from_millis(500);

/// The longest that a request which asks for nothing durable may take during a fault. It takes milliseconds, and the machine is busy;
/// had it waited for the truth, it would have taken as long as the fault.
const MOST_REPLY_MS: u64 = 2_000;

/// How long a take with DURABLE waits for its commit in a scene.
const DURABLE_TIMEOUT_MS: u64 = 1_000;

/// How much longer its answer may take.
const DURABLE_SLACK_MS: u64 = 2_000;

/// A database that no client of the ledger uses.
pub const PROBE_DATABASE: u8 = 15;

/// A server with its ledger.
pub struct Scene {
    /// How it was started.
    pub setup: Setup,
    /// What its clients did.
    pub ledger: Ledger,
    /// The server.
    pub server: Server,
    /// Where its truth is read.
    pub truth: Truth,
}

/// A take that was to be durable while it could not be.
pub struct Probe(u64);

impl Scene {
    /// Starts a server.
    pub fn begin(setup: Setup) -> Self {
        let truth = setup.truth();
        Self::behind(setup, truth)
    }

    /// Starts a server whose truth is read somewhere else than it is written.
    pub fn behind(setup: Setup, truth: Truth) -> Self {
        let setup = setup.with(&["--durable-timeout", &DURABLE_TIMEOUT_MS.to_string()]);
        let server = setup.start();
        server.wait_until_loaded();
        Self { setup, ledger: Ledger::new(seed(), CLIENTS), server, truth }
    }

    /// Lets the fault happen under load. When it is over, nothing is missing, nothing was refused, and nobody had to wait.
    pub fn survive(&mut self, fault: impl FnOnce(&Server)) -> Row {
        let load = Load::begin(&mut self.ledger, self.server.address());
        pass(SOME_FLUSHES);
        fault(&self.server);
        pass(SOME_FLUSHES);
        load.end(&mut self.ledger);
        let row = self.settle();
        assert!(
            row.worst_reply_ms < MOST_REPLY_MS,
            "a client that asked for nothing durable waited {} ms",
            row.worst_reply_ms
        );
        let refusals: Vec<_> =
            self.ledger.clients.iter().map(|client| client.last_refusal.as_str()).collect();
        assert_eq!(row.refused, 0, "changes were refused: {refusals:?}");
        // A merged batch with somebody else's refused row is told as refused to all who ask for it.
        let refused_syncs: usize = self.ledger.clients.iter().map(|client| client.refused_syncs).sum();
        assert!(refused_syncs == 0 || self.server.figure("rejected_rows") > 0, "the truth refuses nothing");
        row
    }

    /// Waits until the truth has everything, and compares it with the ledger and the server.
    pub fn settle(&mut self) -> Row {
        self.server.wait_for_truth(DEADLINE);
        let stored = self.truth.read();
        let row = self.ledger.settle(&stored, Allowed::Nothing);
        self.server.compare(&self.ledger.names(), &stored);
        row
    }

    /// Kills the server, starts it again, and finds everything there.
    pub fn restart_and_compare(mut self) {
        self.server.kill();
        self.server = self.setup.start();
        let stored = self.truth.read();
        self.ledger.settle(&stored, Allowed::Nothing);
        self.server.compare(&self.ledger.names(), &stored);
    }
}

impl Probe {
    /// Takes with DURABLE while the truth is away: a clear error comes in time, and names what it is waited on with.
    pub fn take(server: &Server) -> Self {
        let mut connection = server.connect();
        let mut call = |words: &str| connection.call(words).expect("the server answers");
        call(&format!("SELECT {PROBE_DATABASE}"));
        let begin_ms = now_ms();
        let reply = call(&format!("QUOTA.TAKE probe 1 BUDGET {MAXIMUM} PER TOTAL DURABLE"));
        let took_ms = now_ms() - begin_ms;
        let Reply::Error(text) = &reply else {
            panic!("the truth is away, but DURABLE is answered {reply:?}")
        };
        assert!(
            text.starts_with("TIMEOUT the take is counted, but the truth has not confirmed it"),
            "{text}"
        );
        assert!(
            (DURABLE_TIMEOUT_MS..DURABLE_TIMEOUT_MS + DURABLE_SLACK_MS).contains(&took_ms),
            "it answered after {took_ms} ms: {text}"
        );
        let token = text.split("QUOTA.SYNC ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        let probe = Self(token.unwrap_or_else(|| panic!("no token is named: {text}")));
        assert_eq!(probe.state(&mut connection, 0), "PENDING");
        probe
    }

    /// The truth is back: what was waited for comes.
    pub fn arrives(self, server: &Server) {
        let timeout_ms = u64::try_from(DEADLINE.as_millis()).unwrap_or(u64::MAX);
        assert_eq!(self.state(&mut server.connect(), timeout_ms), "DURABLE");
    }

    fn state(&self, connection: &mut Connection, timeout_ms: u64) -> String {
        // No time is 1 ms, since 0 is as long as it takes.
        let words = format!("QUOTA.SYNC {} TIMEOUT {}", self.0, timeout_ms.max(1));
        match connection.call(&words).expect("the server answers") {
            Reply::Status(text) => text,
            other => panic!("QUOTA.SYNC answers {other:?}"),
        }
    }
}
