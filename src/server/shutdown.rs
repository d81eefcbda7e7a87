//! The signal that the server is to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Begins the end of a server, from any thread; clones are the same signal.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<State>);

#[derive(Debug, Default)]
struct State {
    begun: AtomicBool,
    waiting: Notify,
}

impl Shutdown {
    /// Begins: no connection is accepted any more, and each ends when what it was sent is answered. Again: nothing more.
    pub fn begin(&self) {
        self.0.begun.store(true, Ordering::SeqCst);
        self.0.waiting.notify_waiters();
    }

    /// Whether it has begun.
    #[must_use]
    #[inline]
    pub fn is_begun(&self) -> bool {
        self.0.begun.load(Ordering::SeqCst)
    }

    /// Waits until it has begun.
    pub async fn begun(&self) {
        // Made before the look, so that a beginning in between is not missed.
        let notified = self.0.waiting.notified();
        if !self.is_begun() {
            notified.await;
        }
    }
}
