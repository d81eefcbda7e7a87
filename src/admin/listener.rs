//! A listener that keeps connections few and short, so that nobody can hold the admin pages up.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Connections that are served at a time; further ones wait. A handful of scrapers and probes need one each.
const MOST_CONNECTIONS: usize = 64;

/// How long a connection may live. A client that sends a byte a second, or never reads, goes with it; a scraper connects anew.
/// Probes wait no longer than this where such clients hold every place.
const LIFETIME_SECS: u64 = 10;

/// Accepts at most [`MOST_CONNECTIONS`] at a time.
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(MOST_CONNECTIONS)) }
    }
}

impl Listener for Bounded {
    type Io = ShortLived<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("the places are never closed");
        // The inner listener logs and paces errors such as a lack of file descriptors.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (ShortLived::new(stream, Duration::from_secs(LIFETIME_SECS), Some(place)), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection whose reads and writes fail when its time is over.
pub(super) struct ShortLived<S> {
    stream: S,
    end: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<S> ShortLived<S> {
    fn new(stream: S, lifetime: Duration, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream, end: Box::pin(tokio::time::sleep(lifetime)), _place: place }
    }

    /// What a read or write came to, or that the time is over where it would wait.
    fn or_end<T>(&mut self, context: &mut Context<'_>, came: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if came.is_pending() && self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        came
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
        let came = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.or_end(context, came)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let came = Pin::new(&mut self.stream).poll_flush(context);
        self.or_end(context, came)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let came = Pin::new(&mut self.stream).poll_shutdown(context);
        self.or_end(context, came)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn reads_and_writes_work_until_the_time_is_over() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (here, mut there) = tokio::io::duplex(64);
            let mut short = ShortLived::new(here, Duration::from_millis(20), None);
            there.write_all(b"ab").await.unwrap();
            let mut read = [0; 2];
            short.read_exact(&mut read).await.unwrap();
            short.write_all(b"cd").await.unwrap();
            assert_eq!(short.read(&mut read).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
    }
}
