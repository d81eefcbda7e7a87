//! What a limit remembers of one subject.

use super::algorithm::LogState;

/// The state of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Of a kind that packs it into a word; 0 is fresh.
    Word(u128),
    /// Of a log.
    Log(Box<LogState>),
}

impl State {
    /// Bytes on the heap, without the allocator's own.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Word(_) => 0,
            Self::Log(log) => size_of::<LogState>() + log.heap_bytes(),
        }
    }
}
