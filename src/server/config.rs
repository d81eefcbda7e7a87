//! What a server is started with.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Connections that wait to be accepted: Redis's `tcp-backlog`.
const BACKLOG: i32 = 511;

/// Seconds of silence after which the kernel asks whether the peer still lives: Redis's `tcp-keepalive`.
const KEEPALIVE_SECS: u64 = 300;

/// What does not change while the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where clients connect.
    pub listen: Vec<ListenAddress>,
    /// Worker threads, each with connections of its own.
    pub threads: NonZeroUsize,
    /// Connections the kernel keeps for us until they are accepted.
    pub backlog: i32,
    /// Seconds of silence before the kernel probes a TCP peer; 0: never.
    pub keepalive_secs: u64,
    /// Permissions of Unix socket files; `None`: what the process's umask leaves.
    pub unix_socket_mode: Option<u32>,
}

impl ServerConfig {
    /// Redis's defaults for these addresses.
    #[must_use]
    pub const fn new(listen: Vec<ListenAddress>, threads: NonZeroUsize) -> Self {
        Self { listen, threads, backlog: BACKLOG, keepalive_secs: KEEPALIVE_SECS, unix_socket_mode: None }
    }
}

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An IP address and port; port 0: any free one.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => path.display().fmt(formatter),
        }
    }
}
