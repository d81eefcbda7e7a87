//! The admin pages over HTTP: metrics for Prometheus, health for whoever starts and stops the server.
//!
//! **Owns** the pages, their limits, and the names of the metrics. **Does not own** what is counted (`metrics`).
//! **May use** `metrics`, `dispatch::ports`.

mod collector;
mod listener;
mod pages;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::net::TcpListener;

use self::listener::{Bounded, Bounds};
use crate::dispatch::Ports;

/// What the pages tell of.
pub struct Admin {
    /// Counters, keys and state.
    pub ports: Arc<Ports>,
    /// Bytes of memory that the process holds.
    pub resident_bytes: fn() -> u64,
    /// Whether the server's end has begun.
    pub is_ending: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Serves the pages on `listener` until it is dropped.
///
/// # Errors
/// What the system says when the listener fails for good.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>) -> std::io::Result<()> {
    axum::serve(Bounded::new(listener, Bounds::DEFAULT), pages::router(admin)).await
}
