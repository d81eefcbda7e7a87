//! The background thread: it accepts connections, does the background work, serves the admin pages and ends it all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::addresses::{bound, keep_apart, listen_addresses, socket_address};
use super::assembly::Assembly;
use super::background;
use super::machine::resident_bytes;
use super::signals::Signals;
use super::start::{Addresses, End, StartError};
use crate::admin::{self, Admin};
use crate::clock::Stopwatch;
use crate::config::{AdminAddress, Config};
use crate::server::{ListenAddress, Server, ServerConfig, Shutdown};

/// Tells whoever started the server where it listens, or why it does not.
pub(super) type Started = SyncSender<Result<Addresses, StartError>>;

/// A signal that comes so soon behind the first is the same.
const SAME_SIGNAL_MICROS: u64 = 100_000;

/// Connections to the admin pages that may wait to be accepted; a scraper has one.
const ADMIN_BACKLOG: i32 = 128;

/// Runs a server to its end on this thread.
pub(super) fn run(assembly: &Assembly, with_signals: bool, started: &Started) -> End {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(started, Err(StartError(format!("no runtime could be made: {error}"))));
            return End::Failed;
        }
    };
    let end = runtime.block_on(async {
        let ready = match Ready::prepare(assembly, with_signals) {
            Ok(ready) => ready,
            Err(error) => {
                tell(started, Err(error));
                // Nothing was served, so there is nothing to flush and nothing to tell.
                let _ = stop_truth(assembly).await;
                return End::Failed;
            }
        };
        log_start(assembly, &ready.addresses);
        tell(started, Ok(ready.addresses.clone()));
        ready.serve(assembly).await
    });
    // Cut short, there are threads that still serve: nobody waits for them.
    runtime.shutdown_background();
    end
}

fn tell(started: &Started, result: Result<Addresses, StartError>) {
    // Whoever does not wait any more does not want to know.
    let _ = started.send(result);
}

fn log_start(assembly: &Assembly, addresses: &Addresses) {
    let listen: Vec<String> = addresses.listen.iter().map(ToString::to_string).collect();
    let admin = addresses.admin.map_or_else(|| "off".to_owned(), |address| address.to_string());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = listen.join(" "),
        admin,
        threads = assembly.threads.get(),
        "quotad serves"
    );
}

/// A server whose addresses are bound.
struct Ready {
    server: Server,
    admin: Option<TcpListener>,
    signals: Option<Signals>,
    addresses: Addresses,
}

impl Ready {
    fn prepare(assembly: &Assembly, with_signals: bool) -> Result<Self, StartError> {
        let config = assembly.settings.config();
        let signals = with_signals.then(Signals::take_over).transpose();
        let signals =
            signals.map_err(|error| StartError(format!("signals cannot be taken over: {error}")))?;
        let admin = match &config.admin {
            AdminAddress::Off => None,
            AdminAddress::At { host, port } => Some(socket_address(host, *port)?),
        };
        // First what clients need: it is named first where both are taken.
        let server = bind_server(assembly, &config, admin)?;
        let admin = admin.map(bind_admin).transpose()?;
        let listen: Vec<ListenAddress> = server.addresses().cloned().collect();
        assembly.settings.set_bound(bound(&listen));
        let admin_address = admin.as_ref().and_then(|listener| listener.local_addr().ok());
        let addresses = Addresses { listen, admin: admin_address };
        Ok(Self { server, admin, signals, addresses })
    }

    /// Serves until the end.
    async fn serve(self, assembly: &Assembly) -> End {
        let process = &assembly.process;
        let serving = async {
            let (ports, registry) = (Arc::clone(&assembly.ports), Arc::clone(&assembly.registry));
            let limits = Arc::clone(&assembly.limits);
            match self.server.serve(ports, registry, limits, assembly.shutdown.clone()).await {
                Ok(()) => {
                    tracing::info!("every connection has ended");
                    stop_truth(assembly).await
                }
                Err(error) => {
                    tracing::error!(%error, "serving failed");
                    End::Failed
                }
            }
        };
        tokio::select! {
            end = serving => end,
            end = end_by_signals(self.signals, &assembly.shutdown) => end,
            end = end_by_truth(assembly) => end,
            () = background::run(Arc::clone(process)) => End::Failed,
            () = serve_admin(self.admin, assembly) => End::Failed,
        }
    }
}

/// The share of the end's time that is left to the truth, whatever became of the last snapshot, as a divisor: it flushes meanwhile too.
const TRUTH_SHARE: u32 = 4;

/// Writes the last snapshot and flushes what is left, for one `shutdown-timeout` in all.
async fn stop_truth(assembly: &Assembly) -> End {
    let patience = Duration::from_secs(assembly.settings.config().shutdown_timeout_secs);
    let began = Stopwatch::start();
    let truth = assembly.process.truth.as_ref();
    let mut end = End::Orderly;
    if let Some(snapshots) = &assembly.process.snapshots {
        let kept = truth.map_or(Duration::ZERO, |_| patience / TRUTH_SHARE);
        if let Err(reason) = snapshots.stop(patience - kept).await {
            tracing::error!("the end was not in good order: {reason}");
            end = End::Failed;
        }
    }
    let Some(truth) = truth else { return end };
    let left = patience.saturating_sub(Duration::from_micros(began.micros()));
    match truth.stop(left).await {
        Ok(()) => end,
        Err(reason) => {
            tracing::error!("the end was not in good order: {reason}");
            End::Failed
        }
    }
}

/// A truth that cannot be begun, or that another owns, ends the server; so do snapshots of other data.
async fn end_by_truth(assembly: &Assembly) -> End {
    let truth = async {
        match &assembly.process.truth {
            Some(truth) => truth.failed().await,
            None => std::future::pending().await,
        }
    };
    let snapshots = async {
        match &assembly.process.snapshots {
            Some(snapshots) => snapshots.failed().await,
            None => std::future::pending().await,
        }
    };
    let (reason, is_in_order) = tokio::select! {
        reason = truth => (reason, false),
        // The truth is this server's still, so what was acknowledged goes there.
        reason = snapshots => (reason, true),
    };
    if assembly.shutdown.is_begun() {
        // The end in good order tells of it.
        return std::future::pending().await;
    }
    tracing::error!("the server ends: {reason}");
    if is_in_order {
        assembly.shutdown.begin();
        return std::future::pending().await;
    }
    End::Failed
}

/// The first signal begins the end, and a second one cuts it short.
async fn end_by_signals(signals: Option<Signals>, shutdown: &Shutdown) -> End {
    let Some(mut signals) = signals else { return std::future::pending().await };
    let first = signals.end().await;
    tracing::info!(signal = first, "ending in good order; a second signal ends at once");
    shutdown.begin();
    let began = Stopwatch::start();
    // Who sends two at once, as `timeout` and some supervisors do to a process and its group, has not made up their mind twice.
    let mut second = signals.end().await;
    while began.micros() < SAME_SIGNAL_MICROS {
        second = signals.end().await;
    }
    tracing::warn!(signal = second, "ending at once");
    End::AtOnce
}

/// Serves the admin pages for good; without an address it only waits.
async fn serve_admin(listener: Option<TcpListener>, assembly: &Assembly) {
    let Some(listener) = listener else { return std::future::pending().await };
    let shutdown = assembly.shutdown.clone();
    let is_ending = Box::new(move || shutdown.is_begun());
    let admin = Admin { ports: Arc::clone(&assembly.ports), resident_bytes, is_ending };
    if let Err(error) = admin::serve(listener, Arc::new(admin)).await {
        tracing::error!(%error, "the admin pages failed");
    }
    // Clients are served without the pages too.
    std::future::pending().await
}

fn bind_server(
    assembly: &Assembly,
    config: &Config,
    admin: Option<SocketAddr>,
) -> Result<Server, StartError> {
    let listen = listen_addresses(&config.listen)?;
    if let Some(admin) = admin {
        keep_apart(&listen, admin)?;
    }
    let config = ServerConfig {
        backlog: i32::try_from(config.tcp_backlog).unwrap_or(i32::MAX),
        keepalive_secs: config.tcp_keepalive_secs,
        unix_socket_mode: Some(config.unix_socket_mode).filter(|mode| *mode != 0),
        ..ServerConfig::new(listen, assembly.threads)
    };
    Server::bind(config).map_err(|error| StartError(error.to_string()))
}

fn bind_admin(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A server that was started again may have the address of one whose last connections linger.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(ADMIN_BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => StartError(format!(
            "cannot listen on {address} (admin): the address is taken; a second server needs another --admin address, or --admin off"
        )),
        _ => StartError(format!("cannot listen on {address} (admin): {error}")),
    })
}
