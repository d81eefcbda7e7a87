//! A worker thread: one runtime, one executor, and the connections it was given.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc};

use super::connection::Connection;
use super::limits::ConnectionLimits;
use super::registry::Seat;
use super::shutdown::Shutdown;
use super::stream::{Accepted, Stream};
use super::turn::Runner;
use crate::dispatch::{Executor, Ports, Scratch};
use crate::metrics::WorkerMetrics;

/// One read: as much as a client's socket usually holds, and little enough to stay in the processor's second cache.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// A connection on its way to a worker.
pub(super) struct Arrival {
    pub(super) stream: Accepted,
    pub(super) seat: Seat,
}

/// What the connections of one thread share.
pub(super) struct Worker {
    pub(super) ports: Arc<Ports>,
    pub(super) limits: Arc<ConnectionLimits>,
    pub(super) shutdown: Shutdown,
    pub(super) metrics: Arc<WorkerMetrics>,
    /// Borrowed within one poll of one connection, never over an await.
    pub(super) thread: RefCell<Thread>,
    live: Cell<usize>,
    one_ended: Notify,
}

/// What one turn at a time uses.
pub(super) struct Thread {
    pub(super) read_buffer: Box<[u8]>,
    pub(super) runner: Runner,
}

/// What a worker is made from.
pub(super) struct WorkerParts {
    pub(super) number: usize,
    pub(super) ports: Arc<Ports>,
    pub(super) limits: Arc<ConnectionLimits>,
    pub(super) shutdown: Shutdown,
    pub(super) arrivals: mpsc::Receiver<Arrival>,
}

/// Starts a worker's thread; the returned receiver ends when the thread does.
///
/// # Errors
/// When the operating system gives no thread or event queue.
pub(super) fn start(parts: WorkerParts) -> io::Result<std::thread::JoinHandle<()>> {
    let mut builder = Builder::new_current_thread();
    let name = format!("quotad-worker-{}", parts.number);
    let (report, made) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        match builder.enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => {
                let _taken = report.send(Ok(()));
                runtime.block_on(work(parts));
                // A name that is being looked up for a connection to the truth is not waited for.
                runtime.shutdown_background();
            }
            Err(error) => {
                let _taken = report.send(Err(error));
            }
        }
    })?;
    made.recv().unwrap_or_else(|_| Err(io::Error::other("a worker ended before it began")))?;
    Ok(thread)
}

async fn work(mut parts: WorkerParts) {
    let scratch = scratch(&parts.ports, parts.number);
    let worker = Rc::new(Worker {
        metrics: Arc::clone(&scratch.metrics),
        thread: RefCell::new(Thread {
            read_buffer: vec![0; READ_BUFFER_BYTES].into_boxed_slice(),
            runner: Runner::new(Executor::new(Arc::clone(&parts.ports), scratch)),
        }),
        ports: parts.ports,
        limits: parts.limits,
        shutdown: parts.shutdown,
        live: Cell::new(0),
        one_ended: Notify::new(),
    });
    // The acceptor drops its end when the server is to end, and every accepted connection has arrived by then.
    while let Some(arrival) = parts.arrivals.recv().await {
        admit(&worker, arrival);
    }
    let drained = async {
        while worker.live.get() > 0 {
            worker.one_ended.notified().await;
        }
    };
    let drain = Duration::from_millis(worker.limits.drain_ms.load(Ordering::Relaxed));
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!("{} connections did not take their last replies in time", worker.live.get());
    }
}

fn scratch(ports: &Ports, number: usize) -> Scratch {
    // Threads that start in the same microsecond still differ.
    let seed = ports.clock.now().as_micros() ^ (u64::try_from(number).unwrap_or(0) << 56);
    let mut scratch = Scratch::new(&ports.metrics, ports.commands.all().len(), seed);
    scratch.seat = number;
    scratch
}

fn admit(worker: &Rc<Worker>, arrival: Arrival) {
    let stream = match Stream::join(arrival.stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(client = %arrival.seat.client.address, "an accepted connection cannot be served: {error}");
            return;
        }
    };
    let live = Live::new(Rc::clone(worker));
    let mut connection = Connection::new(stream, arrival.seat, Rc::clone(worker));
    tokio::task::spawn_local(async move {
        let _live = live;
        poll_fn(|context| connection.poll(context)).await;
    });
}

/// Counts a connection of the worker while it lives.
struct Live(Rc<Worker>);

impl Live {
    fn new(worker: Rc<Worker>) -> Self {
        worker.live.set(worker.live.get() + 1);
        Self(worker)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.set(self.0.live.get() - 1);
        self.0.one_ended.notify_one();
    }
}
