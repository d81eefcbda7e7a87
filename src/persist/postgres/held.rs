//! Connections that only fetches use, one after the other.
//!
//! They are none of the pool's: that tests what comes back with two round trips, and the fetch behind it waits for another connection
//! meanwhile. A fetch that ended with an answer has left nothing open, so its connection needs no test. And a socket is watched by the
//! runtime that it was connected in: a fetch takes one that its own thread watches, or another thread would have to wake it for the answer.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::{Connection, PgConnection};
use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::options::LOCK_TIMEOUT;
use crate::clock::Stopwatch;

/// Connections for fetches: as many as fetches are on their way at a time. Threads beyond that use each other's.
pub(super) const MOST_HELD: u32 = 4;

/// How long a connection may lie and be used without a test: less than a firewall takes to forget it.
const LONGEST_UNTESTED: Duration = Duration::from_secs(10);

/// How long a connection may lie at all, before another may have its place on the server: less than load balancers take to forget it.
const LONGEST_IDLE: Duration = Duration::from_secs(200);

/// How long a connection may be used: the server's process keeps what it has learned of tables, and a name may lead to another server.
const LONGEST_HELD: Duration = Duration::from_secs(1_800);

/// Fetches that use the pool at a time, where they have no connection of their own: the others of the pool flush and renew the lease.
const MOST_POOLED: usize = 2;

/// How long an answer that nobody waits for any more is waited for, before its connection is closed: longer than Postgres waits for a
/// lock. Until then its place is taken, or those that were given up would be beside as many others.
const ABANDONED_TIMEOUT: Duration = LOCK_TIMEOUT.saturating_add(Duration::from_secs(1));

/// How long no connection is tried for after one was refused; the pool gives what it has meanwhile.
const REFUSAL_PAUSE: Duration = Duration::from_secs(5);

/// A connection that a fetch uses.
pub(super) struct Held {
    pub(super) connection: PgConnection,
    /// The runtime that watches its socket.
    runtime: Id,
    /// Since it was made.
    held: Stopwatch,
    /// Since its last use.
    idle: Stopwatch,
    _place: OwnedSemaphorePermit,
}

impl Held {
    /// A connection that was just made, whose socket that runtime watches.
    pub(super) fn new(connection: PgConnection, runtime: Id, place: OwnedSemaphorePermit) -> Self {
        Self { connection, runtime, held: Stopwatch::start(), idle: Stopwatch::start(), _place: place }
    }

    /// Whether it has to show first that the server still knows it.
    pub(super) fn needs_test(&self) -> bool {
        is_over(self.idle, LONGEST_UNTESTED)
    }

    fn is_fresh(&self) -> bool {
        !is_over(self.held, LONGEST_HELD) && !is_over(self.idle, LONGEST_IDLE)
    }
}

/// A connection on which a question is open.
pub(super) struct Asked {
    /// `None`: it has been answered.
    held: Option<Held>,
    /// Where the answer is waited for, should the question be given up.
    runtime: Handle,
}

impl Asked {
    pub(super) fn new(held: Held, runtime: Handle) -> Self {
        Self { held: Some(held), runtime }
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.held.as_mut().expect("only what consumes this takes it out").connection
    }

    /// The connection, whose question has been answered.
    pub(super) fn answered(mut self) -> Held {
        self.held.take().expect("only what consumes this takes it out")
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(mut held) = self.held.take() {
            self.runtime.spawn(async move {
                // It is closed whatever comes.
                let _ = tokio::time::timeout(ABANDONED_TIMEOUT, held.connection.ping()).await;
            });
        }
    }
}

fn is_over(stopwatch: Stopwatch, limit: Duration) -> bool {
    u128::from(stopwatch.nanos()) > limit.as_nanos()
}

/// Those that wait for their next use, and room for further ones.
pub(super) struct HeldConnections {
    /// The one that was used last on top.
    idle: Mutex<Vec<Held>>,
    places: Arc<Semaphore>,
    /// Room for fetches that use the pool.
    pub(super) pooled: Arc<Semaphore>,
    /// Since the server last refused one.
    refused: Mutex<Option<Stopwatch>>,
    /// How far the truth is known to have been: its epoch and the last batch in it.
    newest: Mutex<(u64, u64)>,
}

impl Default for HeldConnections {
    fn default() -> Self {
        let places = usize::try_from(MOST_HELD).expect("a few fit in any integer");
        Self {
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(places)),
            pooled: Arc::new(Semaphore::new(MOST_POOLED)),
            refused: Mutex::default(),
            newest: Mutex::default(),
        }
    }
}

impl HeldConnections {
    /// One whose socket the running thread watches; one of another thread only if none can be made for this one.
    pub(super) fn take(&self) -> Option<Held> {
        self.close_idle();
        let here = Handle::current().id();
        let mut idle = self.idle.lock();
        match idle.iter().rposition(|held| held.runtime == here) {
            Some(place) => Some(idle.remove(place)),
            None if self.places.available_permits() == 0 || self.is_refused() => idle.pop(),
            None => None,
        }
    }

    /// Room for a connection that is to be made.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        if self.is_refused() {
            return None;
        }
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Notes that the server gave none: for a while it is not asked again for each fetch.
    pub(super) fn note_refusal(&self) {
        *self.refused.lock() = Some(Stopwatch::start());
    }

    fn is_refused(&self) -> bool {
        self.refused.lock().is_some_and(|refused| !is_over(refused, REFUSAL_PAUSE))
    }

    /// Closes those that have lain too long.
    pub(super) fn close_idle(&self) {
        self.idle.lock().retain(Held::is_fresh);
    }

    /// Keeps a connection on which nothing is open.
    pub(super) fn keep(&self, mut held: Held) {
        held.idle = Stopwatch::start();
        self.idle.lock().push(held);
    }

    /// Notes how far the truth was found to be. Where it was further before, these may be connections to a server that is not the one in
    /// charge any more, which keeps them and falls behind: the next ones are made anew.
    pub(super) fn note_found(&self, found: (u64, u64)) {
        let mut newest = self.newest.lock();
        if found < *newest {
            self.close();
        }
        *newest = found.max(*newest);
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.lock().len()
    }

    /// Closes all of them.
    pub(super) fn close(&self) {
        self.idle.lock().clear();
    }
}
