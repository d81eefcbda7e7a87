//! Reads ahead of the requests that run, so that their keys are in the cache when it is their turn.
//!
//! What is read ahead is kept: the requests run from here, and none is parsed or looked up in the command table twice.

use crate::dispatch::{Ahead, Command, Executor, Session};
use crate::resp::{Request, RequestLimits, RequestParser};

/// Requests read ahead: as many lines as a core loads at the same time, and few enough that none is pushed out of the
/// cache again before its turn.
const REQUESTS_AHEAD: usize = 16;

/// Longer requests end the reading ahead: one whose end has not come yet would be read again and again.
const LONGEST_REQUEST_BYTES: usize = 512;

/// The requests that were read ahead within one turn, each run once, in their order.
#[derive(Default)]
pub(super) struct Scout {
    /// Made when they are first needed, and kept.
    scouted: Vec<Scouted>,
    /// How many of them hold a request of this turn.
    ready: usize,
    /// Which of them is next.
    next: usize,
}

#[derive(Default)]
struct Scouted {
    parser: RequestParser,
    length: usize,
    command: Option<Command>,
    ahead: Option<Ahead>,
}

impl Scout {
    /// Forgets what was read ahead: the bytes, or how they may be read, are not the same any more.
    #[inline]
    pub(super) const fn forget(&mut self) {
        (self.ready, self.next) = (0, 0);
    }

    /// The length of the next request, its words and its command; `bytes` begin with it.
    #[inline]
    pub(super) fn take<'a>(&'a mut self, bytes: &'a [u8]) -> Option<(usize, Request<'a>, Option<Command>)> {
        let scouted = self.scouted[..self.ready].get(self.next)?;
        self.next += 1;
        Some((scouted.length, scouted.parser.request(bytes), scouted.command))
    }

    /// Reads the next requests of `bytes` and begins to load what they will touch. Whatever is wrong with one is left to the
    /// connection's own parser.
    pub(super) fn look(
        &mut self,
        executor: &Executor,
        session: &Session,
        bytes: &[u8],
        limits: &RequestLimits,
    ) {
        self.forget();
        self.scouted.resize_with(REQUESTS_AHEAD, Scouted::default);
        let mut seen = 0;
        for scouted in &mut self.scouted {
            let rest = &bytes[seen..];
            let rest = &rest[..rest.len().min(LONGEST_REQUEST_BYTES)];
            let Ok(Some(length)) = scouted.parser.parse(rest, limits) else {
                scouted.parser = RequestParser::new();
                break;
            };
            let request = scouted.parser.request(rest);
            scouted.length = length;
            scouted.command = if request.is_empty() { None } else { executor.command(request) };
            scouted.ahead =
                scouted.command.and_then(|command| executor.look_ahead(session, request, command));
            self.ready += 1;
            seen += length;
        }
        for ahead in self.scouted[..self.ready].iter().filter_map(|scouted| scouted.ahead) {
            executor.look_closer(ahead);
        }
    }
}
