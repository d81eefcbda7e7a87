//! What commands need from outside the engine, as small traits that `app` implements.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{ClientRecord, CommandTable};
use crate::clock::{Clock, Timestamp};
use crate::engine::{Engine, Gate, Missing};
use crate::metrics::Metrics;

/// A piece of work that ends later, on the worker's own thread.
pub type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

/// All that commands reach. One per process, shared by all threads.
pub struct Ports {
    /// All keys.
    pub engine: Arc<Engine>,
    /// Holds the threads between their turns while changes are cut.
    pub gate: Arc<Gate>,
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
    /// Copies of everything.
    pub snapshots: Arc<dyn Snapshots>,
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
    /// Whether data commands wait until data is there.
    fn is_loading(&self) -> bool;
    /// How far loading is, for people, while it goes on beside the commands.
    fn loading_progress(&self) -> Option<String>;
    /// Turns the background sweep off or on, for tests.
    fn set_active_expire(&self, on: bool);
    /// Ends after `micros` microseconds.
    fn sleep(&self, micros: u64) -> Pending<()>;
}

/// Brings keys from the truth into memory.
pub trait Fetch: Send + Sync {
    /// Fills the engine with these keys, or with the knowledge that there are none; and with those that will be needed soon, for which
    /// no error is told.
    fn fetch(&self, needed: Missing, ahead: Missing) -> Pending<Result<(), FetchError>>;
}

/// Why keys were not fetched, as the error reply that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The truth does not answer, so other keys would not come either.
    Away(String),
    /// What the truth has of one of them cannot be read.
    Damaged(String),
}

/// The error's text of what only a truth could do.
pub const NO_TRUTH: &str = "there is no truth (--truth none): all data is in memory only";

/// What is durable.
pub trait Durability: Send + Sync {
    /// The token of the batch that will carry what is changed now; 0 without a truth.
    fn open_flush(&self) -> u64;
    /// Whether changes are refused.
    fn refuses(&self) -> bool;
    /// Why, with the error's code.
    fn refusal(&self) -> String;
    /// Looked at when a turn ends: begins a flush early where much was changed.
    fn note_turn(&self);
    /// Whether there is a truth, and whether a log on this disk.
    fn copies(&self) -> Copies;
    /// Waits until that many copies have what was changed before, at most `timeout_ms` (0: as long as it takes); answers how many do.
    fn wait(&self, wanted: Copies, timeout_ms: u64) -> Pending<Copies>;
    /// Waits until the truth has what was changed of a key before; an error's text where it has not in time, or refuses it.
    fn commit(&self, database: u8, key: &[u8]) -> Pending<Result<(), String>>;
    /// Waits until the truth has the batch of a token, at most `timeout_ms` (0: as long as it takes); an error's text for what is no token.
    fn sync(&self, token: u64, timeout_ms: u64) -> Pending<Result<Synced, String>>;
    /// What is counted of the truth; nothing without one.
    fn figures(&self) -> Vec<Figure>;
    /// Compares memory with the truth; an error's text where that cannot be done.
    fn verify(&self) -> Pending<Result<Verified, String>>;
}

/// The error's text of what only snapshots could do.
pub const NO_SNAPSHOTS: &str = "there are no snapshots (--snapshots none)";

/// Snapshots.
pub trait Snapshots: Send + Sync {
    /// Asks for a snapshot, and does not wait for it; an error's text where there is none.
    fn ask(&self) -> Result<(), String>;
    /// Writes a snapshot of everything that was changed before now; an error's text where that fails.
    fn write(&self) -> Pending<Result<WrittenSnapshot, String>>;
    /// Whether one is written now.
    fn is_running(&self) -> bool;
    /// When the cut of the last one was; `None`: there was none.
    fn last_at(&self) -> Option<Timestamp>;
    /// What is counted of them; nothing without any.
    fn figures(&self) -> Vec<Figure>;
}

/// A snapshot that was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenSnapshot {
    /// Its name.
    pub id: String,
    /// Its entries.
    pub entries: u64,
    /// Bytes of its parts.
    pub bytes: u64,
    /// How long it took.
    pub millis: u64,
    /// Whether the truth has all of it.
    pub is_confirmed: bool,
    /// Whether all of it is of one moment.
    pub is_exact: bool,
}

/// How many places have what was changed: at most one of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// On this disk.
    pub local: u64,
    /// In the truth.
    pub replicas: u64,
}

/// One number about the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its name, in INFO and with `quotad_` before it in the metrics.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// The number.
    pub value: u64,
    /// Whether it only grows.
    pub is_counter: bool,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// The truth has it.
    Durable,
    /// A crash came before.
    Lost,
    /// It was not there in time, and may still come.
    Pending,
    /// The truth has refused a row of it.
    Refused,
}

/// How memory and truth compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Keys that were compared.
    pub compared: u64,
    /// Keys that changed whenever they were looked at.
    pub unsettled: u64,
    /// Keys that differ.
    pub differing: u64,
    /// The first of them: database, key, what memory has, what the truth has.
    pub differences: Vec<(u8, Box<[u8]>, String, String)>,
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
