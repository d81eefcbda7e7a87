//! The server as a whole: bound, then served until it is shut down.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::accept::{Acceptor, Door};
use super::config::{ListenAddress, ServerConfig};
use super::limits::ConnectionLimits;
use super::listener::{BindError, Listener};
use super::registry::Registry;
use super::shutdown::Shutdown;
use super::worker::{self, WorkerParts};
use crate::dispatch::Ports;

/// Connections on their way to one worker; beyond, they wait in the kernel's backlog.
const ARRIVALS: usize = 256;

/// How often connections are looked through for idle ones.
const IDLE_LOOK_MS: u64 = 500;

/// Sockets that listen, before anything is served.
pub struct Server {
    config: ServerConfig,
    listeners: Vec<Listener>,
}

/// Why serving ended other than by a shutdown.
#[derive(Debug)]
pub enum ServeError {
    /// The operating system gave no thread, or cannot watch a socket.
    System(io::Error),
    /// A worker thread panicked.
    WorkerPanicked,
}

impl fmt::Display for ServeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => write!(formatter, "cannot serve: {error}"),
            Self::WorkerPanicked => formatter.write_str("a worker thread panicked"),
        }
    }
}

impl std::error::Error for ServeError {}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Server {
    /// Listens at every address. Clients that connect wait until [`serve`](Self::serve).
    ///
    /// # Errors
    /// The first address that cannot be had.
    pub fn bind(config: ServerConfig) -> Result<Self, BindError> {
        let listeners = config.listen.iter().map(|address| Listener::bind(address, &config));
        Ok(Self { listeners: listeners.collect::<Result<_, _>>()?, config })
    }

    /// Where it listens, in the order of the configuration, with the ports that port 0 became.
    pub fn addresses(&self) -> impl Iterator<Item = &ListenAddress> {
        self.listeners.iter().map(|listener| &listener.address)
    }

    /// Serves until `shutdown` begins and every connection has ended. Runs on the background runtime, with time and I/O enabled;
    /// the workers have threads and runtimes of their own. `ports.clients` is to be `registry`.
    ///
    /// # Errors
    /// When it cannot begin, or a worker thread is lost; the shutdown is begun then.
    pub async fn serve(
        self,
        ports: Arc<Ports>,
        registry: Arc<Registry>,
        limits: Arc<ConnectionLimits>,
        shutdown: Shutdown,
    ) -> Result<(), ServeError> {
        let mut doors = Vec::new();
        let mut threads = JoinSet::new();
        for number in 0..self.config.threads.get() {
            let (sender, arrivals) = mpsc::channel(ARRIVALS);
            let thread = worker::start(WorkerParts {
                number,
                ports: Arc::clone(&ports),
                limits: Arc::clone(&limits),
                shutdown: shutdown.clone(),
                arrivals,
            })?;
            threads.spawn_blocking(move || thread.join());
            doors.push(Door { arrivals: sender, open: Arc::new(AtomicUsize::new(0)) });
        }
        let acceptor = Acceptor {
            ports: Arc::clone(&ports),
            registry: Arc::clone(&registry),
            limits: Arc::clone(&limits),
            doors,
        };
        let mut background = JoinSet::new();
        for listener in self.listeners {
            let listener = listener.join()?;
            let acceptor = acceptor.clone();
            background.spawn(async move { acceptor.run(&listener).await });
        }
        drop(acceptor);
        background.spawn(look_for_idle(ports, Arc::clone(&registry), limits));
        let mut ended = Ok(());
        tokio::select! {
            () = shutdown.begun() => {}
            Some(joined) = threads.join_next() => ended = worker_ended(&joined),
        }
        shutdown.begin();
        // Ends the acceptors and their listeners, and with the last door's sender the workers' loops.
        background.shutdown().await;
        registry.wake(|_| true);
        while let Some(joined) = threads.join_next().await {
            ended = ended.and(worker_ended(&joined));
        }
        ended
    }
}

fn worker_ended(joined: &Result<std::thread::Result<()>, tokio::task::JoinError>) -> Result<(), ServeError> {
    match joined {
        Ok(Ok(())) => Ok(()),
        _ => Err(ServeError::WorkerPanicked),
    }
}

/// Wakes connections that were idle for too long; each looks for itself whether it is to end.
async fn look_for_idle(ports: Arc<Ports>, registry: Arc<Registry>, limits: Arc<ConnectionLimits>) {
    let mut interval = tokio::time::interval(Duration::from_millis(IDLE_LOOK_MS));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        let timeout_secs = limits.idle_timeout_secs.load(Ordering::Relaxed);
        if timeout_secs > 0 {
            let now = ports.clock.now();
            let timeout_micros = timeout_secs.saturating_mul(1_000_000);
            registry.wake(|client| now.micros_since(client.last_used()) > timeout_micros);
        }
    }
}
