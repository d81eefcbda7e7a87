//! Listening sockets: binding them, and taking connections from them.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

use super::config::{ListenAddress, ServerConfig};
use super::stream::Accepted;

/// Seconds between the kernel's probes of a silent peer are a third of the silence before them, and this many may fail: as
/// Redis sets them.
const KEEPALIVE_PROBES: u32 = 3;

/// An address that cannot be listened at.
#[derive(Debug)]
pub struct BindError {
    /// The address as it was given.
    pub address: ListenAddress,
    /// Why.
    pub cause: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot listen on {}: ", self.address)?;
        if self.cause.kind() == io::ErrorKind::AddrInUse {
            formatter.write_str("the address is taken; is another server running?")
        } else {
            self.cause.fmt(formatter)
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// A socket that clients connect to.
pub(super) struct Listener {
    socket: Socket,
    /// Where it listens: with the port that port 0 became.
    pub(super) address: ListenAddress,
    keepalive: Option<TcpKeepalive>,
    file: Option<SocketFile>,
}

/// A connection with the names of its ends.
pub(super) struct Incoming {
    pub(super) stream: Accepted,
    pub(super) address: String,
    pub(super) local_address: String,
}

impl Listener {
    /// Listens at `address`.
    pub(super) fn bind(address: &ListenAddress, config: &ServerConfig) -> Result<Self, BindError> {
        let bound = match address {
            ListenAddress::Tcp(tcp) => bind_tcp(*tcp, config),
            ListenAddress::Unix(path) => bind_unix(path, config),
        };
        bound.map_err(|cause| BindError { address: address.clone(), cause })
    }

    /// Joins the runtime that is to accept.
    pub(super) fn join(self) -> io::Result<Listening> {
        let socket = match &self.address {
            ListenAddress::Tcp(_) => Accepting::Tcp(TcpListener::from_std(self.socket.into())?),
            ListenAddress::Unix(_) => Accepting::Unix(UnixListener::from_std(self.socket.into())?),
        };
        Ok(Listening { socket, address: self.address, keepalive: self.keepalive, _file: self.file })
    }
}

/// A listener on its runtime.
pub(super) struct Listening {
    socket: Accepting,
    address: ListenAddress,
    keepalive: Option<TcpKeepalive>,
    _file: Option<SocketFile>,
}

enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    /// Takes the next connection, off this runtime again: a worker's is to have it.
    pub(super) async fn accept(&self) -> io::Result<Incoming> {
        match &self.socket {
            Accepting::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                if let Some(keepalive) = &self.keepalive {
                    SockRef::from(&stream).set_tcp_keepalive(keepalive)?;
                }
                Ok(Incoming {
                    address: peer.to_string(),
                    local_address: stream.local_addr()?.to_string(),
                    stream: Accepted::Tcp(stream.into_std()?),
                })
            }
            Accepting::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                // Redis shows the server's path for both ends: clients rarely have one.
                let name = format!("{}:0", self.address);
                Ok(Incoming {
                    address: name.clone(),
                    local_address: name,
                    stream: Accepted::Unix(stream.into_std()?),
                })
            }
        }
    }
}

fn bind_tcp(address: SocketAddr, config: &ServerConfig) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A port whose last connections are still in TIME_WAIT can be taken at once; one that is listened at cannot.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(config.backlog)?;
    socket.set_nonblocking(true)?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(address);
    let keepalive = (config.keepalive_secs > 0).then(|| {
        TcpKeepalive::new()
            .with_time(Duration::from_secs(config.keepalive_secs))
            .with_interval(Duration::from_secs((config.keepalive_secs / 3).max(1)))
            .with_retries(KEEPALIVE_PROBES)
    });
    Ok(Listener { socket, address: ListenAddress::Tcp(bound), keepalive, file: None })
}

fn bind_unix(path: &Path, config: &ServerConfig) -> io::Result<Listener> {
    let address = SockAddr::unix(path)?;
    remove_stale(path, &address)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address)?;
    let file = SocketFile(path.to_owned());
    if let Some(mode) = config.unix_socket_mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    socket.listen(config.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(Listener { socket, address: ListenAddress::Unix(path.to_owned()), keepalive: None, file: Some(file) })
}

/// Removes a socket file that a server left behind. One that somebody answers on, and a file of another kind, stays.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"))
        }
        Ok(_) => {
            let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // A full backlog must not block: that is an answer too.
            probe.set_nonblocking(true)?;
            match probe.connect(address) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                _ => Err(io::ErrorKind::AddrInUse.into()),
            }
        }
    }
}

/// A Unix socket's file, which goes with the listener.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!("the socket file {} was not removed: {error}", self.0.display());
        }
    }
}
