//! A client's socket, of either kind.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A socket as the acceptor hands it over, not yet known to any runtime.
pub(super) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A socket on its worker's runtime.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Joins the runtime of this thread.
    pub(super) fn join(accepted: Accepted) -> io::Result<Self> {
        Ok(match accepted {
            Accepted::Tcp(stream) => Self::Tcp(TcpStream::from_std(stream)?),
            Accepted::Unix(stream) => Self::Unix(UnixStream::from_std(stream)?),
        })
    }

    /// Reads once, answers how many bytes came; 0: the client ended its side. A read that does not fill `buffer` is known to have
    /// emptied the socket, so the next call waits without asking the kernel.
    #[inline]
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, &mut buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, &mut buffer),
        };
        read.map_ok(|()| buffer.filled().len())
    }

    /// Writes what the socket takes; an error of kind `WouldBlock`: nothing.
    #[inline]
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Writes what the socket takes, and wakes the task when it takes more.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    /// Reads past the runtime, which may not know yet of bytes that have arrived.
    pub(super) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut &*self.socket(), buffer)
    }

    /// Whether bytes have arrived that were not read. The runtime may not know yet: after a long turn, or when the process was
    /// stopped, timers can fire before it looks at the sockets.
    pub(super) fn has_input(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        self.socket().peek(&mut byte).is_ok_and(|length| length > 0)
    }

    /// Tells the client that nothing more will come.
    pub(super) fn end_writing(&self) {
        // Fails only where the client has gone, and then there is nobody to tell.
        let _gone = self.socket().shutdown(std::net::Shutdown::Write);
    }

    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn bytes_are_seen_before_the_runtime_looks() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
            here.set_nonblocking(true).unwrap();
            let stream = Stream::join(Accepted::Unix(here)).unwrap();
            assert!(!stream.has_input());
            there.write_all(b"x").unwrap();
            assert!(stream.has_input());
            assert_eq!(stream.read_now(&mut [0; 8]).unwrap(), 1);
            assert!(!stream.has_input());
            drop(there);
            assert!(!stream.has_input());
        });
    }
}
