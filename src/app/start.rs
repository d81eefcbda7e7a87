//! A running server: started from settings, stopped in good order.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use super::assembly::Assembly;
use super::serving;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::dispatch::Ports;
use crate::server::{ListenAddress, Shutdown};

/// What a server takes from its surroundings.
pub struct Surroundings {
    /// Time. Tests pass one that they move.
    pub clock: Arc<dyn Clock>,
    /// Whether signals end the server: so it is in a program of its own.
    pub signals: bool,
}

impl Default for Surroundings {
    /// The machine's clock, and no signals.
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock::new()), signals: false }
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every connection got its replies, or had its time for it.
    Orderly,
    /// A second signal cut the end short.
    AtOnce,
    /// Something failed, and the log says what.
    Failed,
}

/// Why a server did not start.
#[derive(Debug)]
pub struct StartError(pub(super) String);

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// Where a server listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// For clients, with the ports that the system chose.
    pub listen: Vec<ListenAddress>,
    /// For the admin pages.
    pub admin: Option<SocketAddr>,
}

/// A server in this process. Dropped, it is told to end, and nobody waits for it.
pub struct Server {
    addresses: Addresses,
    ports: Arc<Ports>,
    shutdown: Shutdown,
    background: Option<JoinHandle<End>>,
}

impl Server {
    /// Starts a server and returns when it accepts connections.
    ///
    /// # Errors
    /// When an address cannot be listened on, the process may hold too little open, or the system refuses a thread.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, Surroundings::default())
    }

    /// As [`start`](Self::start), with a clock or signals.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(config: Config, surroundings: Surroundings) -> Result<Self, StartError> {
        let assembly = Assembly::new(config, surroundings.clock)?;
        let (ports, shutdown) = (Arc::clone(&assembly.ports), assembly.shutdown.clone());
        let (started, start) = sync_channel(1);
        let background = std::thread::Builder::new()
            .name("quotad-background".to_owned())
            .spawn(move || serving::run(&assembly, surroundings.signals, &started))
            .map_err(|error| StartError(format!("no thread could be started: {error}")))?;
        let failed = || StartError("the background thread ended before it listened".to_owned());
        let addresses = start.recv().map_err(|_| failed())??;
        Ok(Self { addresses, ports, shutdown, background: Some(background) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The first TCP address for clients.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.addresses.listen.iter().find_map(|address| match address {
            ListenAddress::Tcp(address) => Some(*address),
            ListenAddress::Unix(_) => None,
        })
    }

    /// What its commands reach.
    #[must_use]
    pub const fn ports(&self) -> &Arc<Ports> {
        &self.ports
    }

    /// Ends it in good order and waits until it has ended.
    #[must_use]
    pub fn stop(self) -> End {
        self.shutdown.begin();
        self.wait()
    }

    /// Waits until it has ended, by a signal or a command.
    #[must_use]
    pub fn wait(mut self) -> End {
        let background = self.background.take();
        background.map_or(End::Failed, |thread| thread.join().unwrap_or(End::Failed))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}
