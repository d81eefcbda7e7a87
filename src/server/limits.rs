//! Limits on connections that may change while the server runs.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::resp::RequestLimits;

/// Redis's `maxclients`.
const MAX_CLIENTS: usize = 10_000;

/// Redis's `client-query-buffer-limit`.
const QUERY_BUFFER_BYTES: usize = 1 << 30;

/// Redis has no limit for normal clients; one that never reads would take all memory. A reply has to fit, so it is large.
const OUTPUT_BUFFER_BYTES: usize = 1 << 30;

/// Redis's `proto-max-bulk-len`.
const BULK_BYTES: usize = 512 << 20;

/// Requests that wait behind unread replies: a million short ones, which a client may write before its first read. A client
/// that never reads could otherwise fill the whole query buffer, which is as large as the largest request.
const UNREAD_BACKLOG_BYTES: usize = 64 << 20;

/// How long a client may leave its replies unread after what may wait behind them is full too. Until then it may still be writing a
/// pipeline; from then on neither side can go on unless it reads.
const STALL_MS: u64 = 60_000;

/// How long a client may take nothing of the replies it is still owed, once its connection ends.
const FLUSH_MS: u64 = 5_000;

/// Redis's `shutdown-timeout`.
const DRAIN_MS: u64 = 10_000;

/// Shared by all connections and by the settings, which change it. A change takes effect at each connection's next turn.
#[derive(Debug)]
pub struct ConnectionLimits {
    /// Most open connections (`maxclients`).
    pub max_clients: AtomicUsize,
    /// Seconds without a request after which a connection is closed (`timeout`); 0: never. A client that waits for a late
    /// answer is not idle.
    pub idle_timeout_secs: AtomicU64,
    /// Most bytes of one request, and of requests that wait to be run (`client-query-buffer-limit`); one read more may be held.
    pub query_buffer_bytes: AtomicUsize,
    /// Most bytes of requests that wait behind replies that the client does not read; one read more may be held.
    pub unread_backlog_bytes: AtomicUsize,
    /// Bytes of replies that a client has not taken; above, it is closed.
    pub output_buffer_bytes: AtomicUsize,
    /// Longest argument (`proto-max-bulk-len`).
    pub max_bulk_bytes: AtomicUsize,
    /// Milliseconds that a client may leave its replies unread once nothing more is read behind them.
    pub stall_ms: AtomicU64,
    /// Milliseconds that a client may take nothing of its last replies, once its connection ends while the server goes on.
    pub flush_ms: AtomicU64,
    /// Milliseconds that connections have to send their last replies when the server ends (`shutdown-timeout`).
    pub drain_ms: AtomicU64,
}

impl ConnectionLimits {
    /// What an authenticated client may send now.
    pub(super) fn requests(&self) -> RequestLimits {
        RequestLimits {
            max_bulk_bytes: self.max_bulk_bytes.load(Ordering::Relaxed),
            max_request_bytes: self.query_buffer_bytes.load(Ordering::Relaxed),
            ..RequestLimits::AUTHENTICATED_DEFAULT
        }
    }

    /// Up to how many bytes of requests are read for a client whose replies have `drained`, or have not.
    #[inline]
    pub(super) fn input_bytes(&self, drained: bool) -> usize {
        let all = self.query_buffer_bytes.load(Ordering::Relaxed);
        if drained { all } else { all.min(self.unread_backlog_bytes.load(Ordering::Relaxed)) }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_clients: MAX_CLIENTS.into(),
            idle_timeout_secs: 0.into(),
            query_buffer_bytes: QUERY_BUFFER_BYTES.into(),
            unread_backlog_bytes: UNREAD_BACKLOG_BYTES.into(),
            output_buffer_bytes: OUTPUT_BUFFER_BYTES.into(),
            max_bulk_bytes: BULK_BYTES.into(),
            stall_ms: STALL_MS.into(),
            flush_ms: FLUSH_MS.into(),
            drain_ms: DRAIN_MS.into(),
        }
    }
}
