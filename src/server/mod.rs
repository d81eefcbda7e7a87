//! Sockets, threads and turns: bytes come in from clients, replies go out.
//!
//! **Owns** listening, the worker threads, every connection's buffers and order of replies, pauses, and the orderly end.
//! **Does not own** requests and replies (`resp/`), commands (`dispatch/`, `command/`), settings (passed in by `app`).
//! **May use** `dispatch`, `resp`, `clock`, `metrics`.
//!
//! Invariants: a connection belongs to one thread for life. A turn reads once and writes once. Input that is not yet run is
//! bounded by the query-buffer limit, behind unread output by a smaller one, and output by the output-buffer limit, because nothing runs while output is pending.
//! An idle connection holds no buffer.

mod accept;
mod config;
mod connection;
mod ending;
mod held;
mod late;
mod limits;
mod listener;
mod registry;
mod scout;
mod serve;
mod shutdown;
mod stream;
mod turn;
mod worker;

#[cfg(test)]
mod tests;

pub use config::{ListenAddress, ServerConfig};
pub use limits::ConnectionLimits;
pub use listener::BindError;
pub use registry::Registry;
pub use serve::{ServeError, Server};
pub use shutdown::Shutdown;
