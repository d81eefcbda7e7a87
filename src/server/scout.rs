//! Reads ahead of the requests that run, so that their keys are in the cache when it is their turn.

use crate::dispatch::{Ahead, Executor, Session};
use crate::resp::{RequestLimits, RequestParser};

/// Requests looked at ahead: as many lines as a core loads at the same time, and few enough that none is pushed out of the
/// cache again before its turn.
const REQUESTS_AHEAD: usize = 16;

/// Requests longer than this end the look ahead: they are read twice, which costs more than a cache miss.
const LONGEST_REQUEST_BYTES: usize = 512;

/// Looks ahead within one turn.
pub(super) struct Scout {
    parser: RequestParser,
    found: Vec<Ahead>,
}

impl Scout {
    pub(super) fn new() -> Self {
        Self { parser: RequestParser::new(), found: Vec::with_capacity(REQUESTS_AHEAD) }
    }

    /// Begins to load what the next requests of `bytes` will touch; answers how many bytes of them were looked at. Whatever is
    /// wrong with them is told when they run.
    pub(super) fn look(
        &mut self,
        executor: &Executor,
        session: &Session,
        bytes: &[u8],
        limits: &RequestLimits,
    ) -> usize {
        self.found.clear();
        self.parser = RequestParser::new();
        let mut seen = 0;
        for _ in 0..REQUESTS_AHEAD {
            let rest = &bytes[seen..];
            let rest = &rest[..rest.len().min(LONGEST_REQUEST_BYTES)];
            let Ok(Some(length)) = self.parser.parse(rest, limits) else { break };
            let request = self.parser.request(rest);
            if !request.is_empty() {
                self.found.extend(executor.look_ahead(session, request));
            }
            seen += length;
        }
        for &ahead in &self.found {
            executor.look_closer(ahead);
        }
        seen
    }
}
