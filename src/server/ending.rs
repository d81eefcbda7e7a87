//! How a connection ends so that the client can still read its last replies.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::connection::{Connection, Over, Step};

/// How long input is read and dropped after the last reply. A socket closed with unread input resets the connection, and the
/// client's kernel may drop the reply before the client reads it.
const LINGER_MS: u64 = 1_000;

/// How far the end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It has not begun.
    Open,
    /// Nothing runs any more; what is owed and written is being sent.
    Closing,
    /// All is sent and the client told so; its input is dropped until it closes too.
    Lingering,
}

/// When the connection is given up.
pub(super) struct Deadline {
    timer: Pin<Box<Sleep>>,
    reason: &'static str,
}

impl Connection {
    /// Lets nothing run any more.
    pub(super) fn begin_closing(&mut self) {
        if self.ending == Ending::Open {
            self.ending = Ending::Closing;
            self.input = super::held::Held::default();
            let flush_ms = self.worker.limits.flush_ms.load(Ordering::Relaxed);
            self.give_up_in(flush_ms, "it did not take its last replies");
        }
    }

    /// Ends the connection step by step; answers that the task waits now.
    pub(super) fn poll_ending(&mut self, context: &mut Context<'_>, drained: bool) -> Step<()> {
        if self.ending == Ending::Closing && drained && !self.conversation.owes() {
            if self.peer_ended {
                return Err(Over);
            }
            self.ending = Ending::Lingering;
            self.stream.end_writing();
            self.give_up_in(LINGER_MS, "");
        }
        if self.ending == Ending::Lingering {
            self.poll_discard(context)?;
        }
        self.poll_deadline(context)
    }

    fn poll_discard(&mut self, context: &mut Context<'_>) -> Step<()> {
        let mut thread = self.worker.thread.borrow_mut();
        loop {
            match self.stream.poll_read(context, &mut thread.read_buffer) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(Over),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Sets the deadline, unless there is one already.
    pub(super) fn give_up_unless_set(&mut self, after_ms: u64, reason: &'static str) {
        if self.deadline.is_none() {
            self.give_up_in(after_ms, reason);
        }
    }

    fn give_up_in(&mut self, after_ms: u64, reason: &'static str) {
        let timer = Box::pin(tokio::time::sleep(Duration::from_millis(after_ms)));
        self.deadline = Some(Deadline { timer, reason });
    }

    /// What must be sent after the client ended its side is bounded like the rest of an ending.
    pub(super) fn expect_end(&mut self) {
        let flush_ms = self.worker.limits.flush_ms.load(Ordering::Relaxed);
        self.give_up_unless_set(flush_ms, "it ended its side and did not take its last replies");
    }

    pub(super) fn poll_deadline(&mut self, context: &mut Context<'_>) -> Step<()> {
        // When the server ends, all clients have the time of `shutdown-timeout` to take their replies; the worker keeps it.
        if self.ending != Ending::Lingering && self.worker.shutdown.is_begun() {
            return Ok(());
        }
        let Some(deadline) = &mut self.deadline else { return Ok(()) };
        if deadline.timer.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        let reason = deadline.reason;
        if !reason.is_empty() {
            tracing::warn!(client = %self.client().address, "closed a connection: {reason}");
        }
        Err(Over)
    }
}
