//! Connections that are kept between fetches.
//!
//! One that is given back to the pool is tested there, which is a round trip of its own, and the fetch behind it waits for another
//! connection meanwhile. A fetch that ended with an answer has left nothing open, so its connection needs no test.

use std::time::Duration;

use parking_lot::Mutex;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use crate::clock::Stopwatch;

/// Connections that are kept at most: as many as fetches are on their way at a time, which leaves the pool some for flushing and scanning.
const MOST_HELD: usize = 4;

/// How long a connection may lie before the pool looks after it, which tests it and ends it at its age: less than a firewall takes to
/// forget it.
const LONGEST_IDLE: Duration = Duration::from_secs(10);

/// How long a connection may be kept from the pool altogether.
const LONGEST_HELD: Duration = Duration::from_secs(300);

/// A connection of the pool that a fetch uses.
pub(super) struct Held {
    pub(super) connection: PoolConnection<Postgres>,
    /// Since it was taken out of the pool.
    held: Stopwatch,
    /// Since its last use.
    idle: Stopwatch,
}

impl Held {
    /// A connection that was just taken out of the pool.
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self { connection, held: Stopwatch::start(), idle: Stopwatch::start() }
    }

    fn is_fresh(&self) -> bool {
        let is_below =
            |stopwatch: Stopwatch, limit: Duration| u128::from(stopwatch.nanos()) < limit.as_nanos();
        is_below(self.held, LONGEST_HELD) && is_below(self.idle, LONGEST_IDLE)
    }
}

/// Those that wait for their next use, the one that was used last on top.
#[derive(Default)]
pub(super) struct HeldConnections(Mutex<Vec<Held>>);

impl HeldConnections {
    /// One that was used a moment ago.
    pub(super) fn take(&self) -> Option<Held> {
        self.give_back_idle();
        self.0.lock().pop()
    }

    /// Gives those to the pool that have lain too long. Within a Tokio runtime, since the pool tests them on a task.
    pub(super) fn give_back_idle(&self) {
        self.0.lock().retain(Held::is_fresh);
    }

    /// Keeps a connection on which nothing is open, or gives it to the pool if there are enough.
    pub(super) fn keep(&self, mut held: Held) {
        held.idle = Stopwatch::start();
        let mut waiting = self.0.lock();
        if waiting.len() < MOST_HELD {
            waiting.push(held);
        }
    }

    /// Gives all of them to the pool, as [`give_back_idle`](Self::give_back_idle) does.
    pub(super) fn give_back(&self) {
        self.0.lock().clear();
    }
}

impl Drop for HeldConnections {
    /// The runtime may have ended, so nothing is given back.
    fn drop(&mut self) {
        for held in self.0.get_mut().drain(..) {
            drop(held.connection.leak());
        }
    }
}
