//! A listener that keeps connections few and short, so that nobody can hold the admin pages up.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections that are served at a time.
    pub(super) connections: usize,
    /// How long a connection may take to send its first request.
    pub(super) first_request: Duration,
    /// How long a connection may live. A client that sends a byte a second, or never reads, goes with it; a scraper connects
    /// anew.
    pub(super) lifetime: Duration,
}

impl Bounds {
    /// A handful of scrapers and probes need a connection each, and send their request at once.
    pub(super) const DEFAULT: Self =
        Self { connections: 64, first_request: Duration::from_secs(2), lifetime: Duration::from_secs(10) };
}

/// Accepts every connection. Where there are too many, the one that has waited longest for its client's request gives its
/// place up, so that clients that are slow on purpose lock nobody out.
pub(super) struct Bounded {
    listener: TcpListener,
    bounds: Bounds,
    /// Oldest first.
    places: VecDeque<Place>,
}

/// A connection as the listener knows it.
struct Place {
    /// Dropped, it ends the connection; closed, the connection has ended.
    hold: oneshot::Sender<()>,
    is_answered: Arc<AtomicBool>,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener, bounds: Bounds) -> Self {
        Self { listener, bounds, places: VecDeque::new() }
    }

    /// Gives a place to `stream`.
    fn admit<S>(&mut self, stream: S) -> ShortLived<S> {
        self.places.retain(|place| !place.hold.is_closed());
        while self.places.len() >= self.bounds.connections {
            // Answers are written at once unless their clients do not read: then the oldest of those goes.
            let waits = |place: &Place| !place.is_answered.load(Ordering::Relaxed);
            let longest = self.places.iter().position(waits).unwrap_or(0);
            self.places.remove(longest);
        }
        let (hold, released) = oneshot::channel();
        let is_answered = Arc::new(AtomicBool::new(false));
        self.places.push_back(Place { hold, is_answered: Arc::clone(&is_answered) });
        ShortLived::new(stream, self.bounds, released, is_answered)
    }
}

impl Listener for Bounded {
    type Io = ShortLived<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The inner listener logs and paces errors such as a lack of file descriptors.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (self.admit(stream), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection whose reads and writes fail when its time is over or its place was given to another.
pub(super) struct ShortLived<S> {
    stream: S,
    end: Pin<Box<Sleep>>,
    last: Instant,
    has_answered: bool,
    /// Whether an answer is being written: from its first byte until all of it is.
    is_answered: Arc<AtomicBool>,
    released: oneshot::Receiver<()>,
}

impl<S> ShortLived<S> {
    fn new(stream: S, bounds: Bounds, released: oneshot::Receiver<()>, is_answered: Arc<AtomicBool>) -> Self {
        let first_request = bounds.first_request.min(bounds.lifetime);
        let end = Box::pin(tokio::time::sleep(first_request));
        let last = end.deadline() + (bounds.lifetime - first_request);
        Self { stream, end, last, has_answered: false, is_answered, released }
    }

    /// Notes that an answer is written: a whole request had come.
    fn note_answer(&mut self) {
        self.is_answered.store(true, Ordering::Relaxed);
        if !std::mem::replace(&mut self.has_answered, true) {
            self.end.as_mut().reset(self.last);
        }
    }

    /// What a read or write came to, or that the connection is over where it would wait.
    fn or_end<T>(&mut self, context: &mut Context<'_>, came: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if came.is_ready() {
            return came;
        }
        if Pin::new(&mut self.released).poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        self.end.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ShortLived<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let came = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.or_end(context, came)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ShortLived<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.note_answer();
        let came = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.or_end(context, came)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let came = Pin::new(&mut self.stream).poll_flush(context);
        if came.is_ready() {
            // Whoever writes flushes behind the last byte: the next request is waited for.
            self.is_answered.store(false, Ordering::Relaxed);
        }
        self.or_end(context, came)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let came = Pin::new(&mut self.stream).poll_shutdown(context);
        self.or_end(context, came)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    const SHORT: Duration = Duration::from_millis(20);

    /// Runs a test with a listener that allows two connections.
    fn with_listener<T: Future<Output = ()>>(
        first_request: Duration,
        lifetime: Duration,
        test: impl FnOnce(Bounded) -> T,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            test(Bounded::new(listener, Bounds { connections: 2, first_request, lifetime })).await;
        });
    }

    async fn read_error(connection: &mut ShortLived<DuplexStream>) -> io::ErrorKind {
        connection.read(&mut [0; 2]).await.unwrap_err().kind()
    }

    #[test]
    fn reads_and_writes_work_until_the_time_is_over() {
        with_listener(LONG, SHORT, async |mut listener| {
            let (here, mut there) = duplex(64);
            let mut short = listener.admit(here);
            there.write_all(b"ab").await.unwrap();
            let mut read = [0; 2];
            short.read_exact(&mut read).await.unwrap();
            short.write_all(b"cd").await.unwrap();
            assert_eq!(read_error(&mut short).await, io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn the_first_request_must_come_soon_and_the_next_need_not() {
        with_listener(SHORT, LONG, async |mut listener| {
            let (here, mut there) = duplex(64);
            let mut slow = listener.admit(here);
            there.write_all(b"a").await.unwrap();
            slow.read_exact(&mut [0]).await.unwrap();
            assert_eq!(read_error(&mut slow).await, io::ErrorKind::TimedOut);
            let (here, _there) = duplex(64);
            let mut quick = listener.admit(here);
            quick.write_all(b"b").await.unwrap();
            assert!(quick.end.deadline() == quick.last);
        });
    }

    #[test]
    fn the_oldest_that_waits_for_a_request_gives_its_place_up() {
        with_listener(LONG, LONG, async |mut listener| {
            let (here, _first_client) = duplex(1);
            let mut first = listener.admit(here);
            let (here, _second_client) = duplex(1);
            let mut second = listener.admit(here);
            let (here, _third_client) = duplex(1);
            let mut third = listener.admit(here);
            assert_eq!(read_error(&mut first).await, io::ErrorKind::ConnectionAborted);
            // One that is answered stays, until all of the answer is written.
            second.write_all(b"x").await.unwrap();
            let (here, _fourth_client) = duplex(1);
            let _fourth = listener.admit(here);
            assert_eq!(read_error(&mut third).await, io::ErrorKind::ConnectionAborted);
            second.flush().await.unwrap();
            let (here, _fifth_client) = duplex(1);
            let _fifth = listener.admit(here);
            assert_eq!(read_error(&mut second).await, io::ErrorKind::ConnectionAborted);
        });
    }

    #[test]
    fn connections_that_have_ended_hold_no_place() {
        with_listener(LONG, LONG, async |mut listener| {
            let (here, mut there) = duplex(1);
            let mut stays = listener.admit(here);
            for _ in 0..10 {
                drop(listener.admit(duplex(1).0));
            }
            there.write_all(b"a").await.unwrap();
            stays.read_exact(&mut [0]).await.unwrap();
            assert_eq!(listener.places.len(), 2);
        });
    }
}
