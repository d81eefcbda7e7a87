//! What commands need from outside the engine, as small traits that `app` implements.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{ClientRecord, CommandTable};
use crate::clock::{Clock, Timestamp};
use crate::engine::{Engine, Missing};
use crate::metrics::Metrics;

/// A piece of work that ends later, on the worker's own thread.
pub type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

/// All that commands reach. One per process, shared by all threads.
pub struct Ports {
    /// All keys.
    pub engine: Arc<Engine>,
    /// Time, for commands that run longer than their turn; all others take `Context::now`.
    pub clock: Arc<dyn Clock>,
    /// Every command.
    pub commands: Arc<CommandTable>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The connections.
    pub clients: Arc<dyn Clients>,
    /// The settings.
    pub settings: Arc<dyn Settings>,
    /// The process.
    pub lifecycle: Arc<dyn Lifecycle>,
    /// What is not in memory.
    pub fetch: Arc<dyn Fetch>,
    /// What is durable.
    pub durability: Arc<dyn Durability>,
    /// Commands that took long.
    pub slow_log: Arc<dyn SlowLog>,
}

/// The open connections.
pub trait Clients: Send + Sync {
    /// Every open connection, by id.
    fn list(&self) -> Vec<Arc<ClientRecord>>;
    /// Stops the running of commands (or of those that write) until `until`; a longer pause wins over a shorter.
    fn pause(&self, until: Timestamp, writes_only: bool);
    /// Ends a pause.
    fn unpause(&self);
    /// Until when commands with or without writes wait; in the past or `EPOCH`: they do not.
    fn paused_until(&self, write: bool) -> Timestamp;
}

/// The settings, by their Redis names where Redis has them.
pub trait Settings: Send + Sync {
    /// Name and value of each setting, secrets hidden.
    fn all(&self) -> Vec<(String, String)>;
    /// Changes settings while the server runs: all of them or, on an error, none.
    ///
    /// # Errors
    /// A text that names the setting, the value and what is allowed.
    fn set(&self, changes: &[(String, String)]) -> Result<(), String>;
    /// Whether clients must authenticate.
    fn password_required(&self) -> bool;
    /// Whether user and password are right; compares in constant time.
    fn check_password(&self, user: &[u8], password: &[u8]) -> bool;
    /// The most bytes of a key (`max-key-bytes`).
    fn max_key_bytes(&self) -> usize;
    /// The most bytes of a reply, as of all that a client has not read (`client-output-buffer-limit`).
    fn output_buffer_limit_bytes(&self) -> usize;
    /// Bytes of data above which commands that need memory are refused; 0: no limit.
    fn maxmemory_bytes(&self) -> u64;
    /// Whether DEBUG is allowed (`enable-debug-command`).
    fn debug_allowed(&self) -> bool;
}

/// The process.
pub trait Lifecycle: Send + Sync {
    /// Facts for INFO, by section: titles in lower case, and lines of `name:value`.
    fn info(&self) -> Vec<(&'static str, Vec<(String, String)>)>;
    /// When the process started.
    fn started_at(&self) -> Timestamp;
    /// Begins an orderly end.
    fn shut_down(&self);
    /// Whether data is still being loaded.
    fn is_loading(&self) -> bool;
    /// Turns the background sweep off or on, for tests.
    fn set_active_expire(&self, on: bool);
    /// Ends after `micros` microseconds.
    fn sleep(&self, micros: u64) -> Pending<()>;
}

/// Brings keys from the truth into memory.
pub trait Fetch: Send + Sync {
    /// Fills the engine with these keys, or with the knowledge that there are none.
    ///
    /// Ends with an error text when the truth does not answer in time.
    fn fetch(&self, missing: Missing) -> Pending<Result<(), String>>;
}

/// What is durable.
pub trait Durability: Send + Sync {
    /// The number of the flush that will carry what is changed now; 0 without a truth.
    fn open_flush(&self) -> u64;
    /// Waits until at least `replicas` copies have what was changed before, at most `timeout_ms` (0: as long as it takes); answers
    /// how many have it.
    fn wait(&self, replicas: u64, timeout_ms: u64) -> Pending<u64>;
}

/// Commands that took long.
pub trait SlowLog: Send + Sync {
    /// Microseconds from which a command is logged; `None`: never.
    fn threshold_micros(&self) -> Option<u64>;
    /// Adds a command.
    fn add(&self, entry: SlowCommand);
    /// The newest entries, newest first.
    fn newest(&self, count: usize) -> Vec<(u64, SlowCommand)>;
    /// How many entries there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Forgets all.
    fn reset(&self);
}

/// A command that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowCommand {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub micros: u64,
    /// Its words, cut as Redis cuts them: at most 32, of at most 128 bytes.
    pub words: Vec<Vec<u8>>,
    /// The client's address.
    pub address: Box<str>,
    /// The client's name.
    pub client_name: Box<str>,
}
