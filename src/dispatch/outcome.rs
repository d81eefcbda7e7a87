//! How a command's run ends.

use std::future::Future;
use std::pin::Pin;

use super::CommandError;
use crate::engine::Missing;

/// A reply that comes later: its encoded bytes.
pub type Answer = Pin<Box<dyn Future<Output = Vec<u8>>>>;

/// What a run came to.
pub enum Outcome {
    /// The reply is written.
    Reply,
    /// Nothing was changed or written: fetch these keys and run the command again.
    Missing(Missing),
    /// The reply comes later, and the commands behind wait for it; earlier replies are written first.
    Suspend(Answer),
    /// The reply comes later, and the commands behind run meanwhile; the order of replies is kept.
    Later(Answer),
}

/// Why a handler ended before its reply. What it had written is taken back.
#[derive(Debug)]
pub enum Stop {
    /// An error reply.
    Error(CommandError),
    /// Keys that must be fetched first.
    Missing(Missing),
}

/// What a handler returns.
pub type Handled = Result<Outcome, Stop>;

impl From<CommandError> for Stop {
    fn from(error: CommandError) -> Self {
        Self::Error(error)
    }
}

impl From<Missing> for Stop {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

/// Lets the other clients of the thread run: long commands work in slices with this between them. The runtime looks at sockets
/// before it goes on; a task that only woke itself would run many slices before that.
pub async fn yield_now() {
    tokio::task::yield_now().await;
}
