//! The acceptor: takes connections and hands each to the worker with the fewest.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::limits::ConnectionLimits;
use super::listener::{Incoming, Listening};
use super::registry::Registry;
use super::stream::Accepted;
use super::worker::Arrival;
use crate::dispatch::{ClientRecord, Ports};

/// How long the acceptor waits when the system has no file or memory for another connection: asking again at once would only
/// take time from the connections that are to end first.
const RETRY_MS: u64 = 100;

/// What Redis tells a client that is one too many.
const TOO_MANY_CLIENTS: &[u8] = b"-ERR max number of clients reached\r\n";

/// The way to one worker.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) arrivals: mpsc::Sender<Arrival>,
    pub(super) open: Arc<AtomicUsize>,
}

/// Takes connections for all workers. Dropping every clone tells the workers that none will come.
#[derive(Clone)]
pub(super) struct Acceptor {
    pub(super) ports: Arc<Ports>,
    pub(super) registry: Arc<Registry>,
    pub(super) limits: Arc<ConnectionLimits>,
    pub(super) doors: Vec<Door>,
}

impl Acceptor {
    /// Accepts until it is dropped.
    pub(super) async fn run(&self, listener: &Listening) {
        loop {
            match listener.accept().await {
                Ok(incoming) => self.admit(incoming).await,
                // The client has gone again; the next may be there.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.log_failure(&error);
                    tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
                }
            }
        }
    }

    /// Errors come with each new attempt, and so as often as the system lets it be tried.
    fn log_failure(&self, error: &io::Error) {
        let metrics = &self.ports.metrics.server;
        if let Some(left_out) = metrics.accept_lines.is_due(self.ports.clock.now().as_micros()) {
            tracing::warn!(left_out, "cannot accept connections, trying again: {error}");
        }
    }

    async fn admit(&self, incoming: Incoming) {
        let metrics = &self.ports.metrics;
        let max_clients = self.limits.max_clients.load(Ordering::Relaxed);
        let now = self.ports.clock.now();
        let seat = self.registry.admit(metrics, max_clients, |id| {
            ClientRecord::new(id, &incoming.address, &incoming.local_address, now)
        });
        let Some(mut seat) = seat else {
            metrics.server.connections_rejected.add(1);
            tracing::debug!(client = %incoming.address, max_clients, "refused a connection: there are maxclients already");
            return refuse(incoming.stream);
        };
        metrics.server.connections_received.add(1);
        tracing::debug!(client = %seat.client.address, id = seat.client.id, "a client connected");
        let fewest = self.doors.iter().min_by_key(|door| door.open.load(Ordering::Relaxed));
        let Some(door) = fewest else { return };
        seat.assign(&door.open);
        // Fails only when the worker has ended, and then the connection ends with it.
        let _ended = door.arrivals.send(Arrival { stream: incoming.stream, seat }).await;
    }
}

/// Writes why, as far as the socket takes it, and closes.
fn refuse(stream: Accepted) {
    let _gone = match stream {
        Accepted::Tcp(mut stream) => stream.write_all(TOO_MANY_CLIENTS),
        Accepted::Unix(mut stream) => stream.write_all(TOO_MANY_CLIENTS),
    };
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotConnected
    )
}
