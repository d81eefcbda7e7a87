//! What a connection waits for: answers it owes in order, keys that are fetched, the end of a pause.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Sleep;

use super::held::Held;
use crate::clock::Timestamp;
use crate::dispatch::Answer;
use crate::dispatch::ports::{Clients, FetchError, Pending};

/// Answers that may be owed at a time: enough that a pipeline goes on while one commit is under way.
const MAX_OWED_ANSWERS: usize = 1_024;

/// Bytes of replies that may wait behind owed answers: as much as one turn may write.
const MAX_OWED_BYTES: usize = super::turn::MAX_OUTPUT_BYTES_PER_TURN;

/// Times that keys are fetched for one run of a command. Each fetch can show that further keys are needed, and under memory
/// pressure a key may leave again before the command runs.
pub(super) const MAX_FETCHES: u32 = 16;

/// Allocated only while there is something to wait for.
#[derive(Default)]
pub(super) struct Late {
    owed: VecDeque<Owed>,
    owed_answers: usize,
    owed_bytes: usize,
    pub(super) hold: Hold,
    /// Why the request that is next cannot run: the error of its fetch.
    pub(super) refused: Option<String>,
    failure: Option<Failure>,
    /// How often keys were fetched for the request that is next.
    pub(super) fetches: u32,
}

/// A fetch that the truth gave no answer to. Requests that had come by then and miss keys too are refused with it: each would wait as long again, and a
/// pipeline as many times as long as one request.
struct Failure {
    text: String,
    /// How many bytes of them are left.
    bytes: usize,
}

/// A piece of output in its place.
enum Owed {
    Bytes(Vec<u8>),
    Answer { answer: Answer, suppressed: bool },
}

/// Why no further request runs.
#[derive(Default)]
pub(super) enum Hold {
    /// They may run.
    #[default]
    None,
    /// A command suspended: until nothing is owed.
    Suspended,
    /// Until the keys of the next request are there.
    Fetch(Pending<Result<(), FetchError>>),
    /// Until clients are no longer paused.
    Pause {
        /// The end of the pause as the request was told it.
        until: Timestamp,
        timer: Pin<Box<Sleep>>,
    },
}

impl Late {
    pub(super) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Whether so much is owed that no request may run.
    pub(super) fn is_full(&self) -> bool {
        self.owed_answers >= MAX_OWED_ANSWERS || self.owed_bytes >= MAX_OWED_BYTES
    }

    /// Whether nothing is waited for, so that this can be given back.
    pub(super) fn is_over(&self) -> bool {
        !self.owes()
            && matches!(self.hold, Hold::None)
            && self.fetches == 0
            && self.refused.is_none()
            && self.failure.is_none()
    }

    /// Why a request that misses keys is refused without asking for them.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_ref().map(|failure| failure.text.as_str())
    }

    /// Notes that a request of so many bytes is done with.
    pub(super) fn pass(&mut self, length: usize) {
        if let Some(failure) = &mut self.failure {
            failure.bytes = failure.bytes.saturating_sub(length);
            if failure.bytes == 0 {
                self.failure = None;
            }
        }
    }

    /// Lets the next request ask again: those that had come are done with, or time has passed since.
    pub(super) fn forget_failure(&mut self) {
        self.failure = None;
    }

    /// Puts replies behind what is owed.
    pub(super) fn owe_bytes(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.owed_bytes += bytes.len();
            self.owed.push_back(Owed::Bytes(bytes.to_vec()));
        }
    }

    /// Puts an answer behind what is owed, and starts it. If nothing else is owed and it is there at once, it is returned.
    pub(super) fn owe_answer(
        &mut self,
        mut answer: Answer,
        suppressed: bool,
        context: &mut Context<'_>,
    ) -> Option<Vec<u8>> {
        match answer.as_mut().poll(context) {
            Poll::Ready(bytes) => {
                let bytes = if suppressed { Vec::new() } else { bytes };
                if !self.owes() {
                    return Some(bytes);
                }
                self.owe_bytes(&bytes);
            }
            Poll::Pending => {
                self.owed_answers += 1;
                self.owed.push_back(Owed::Answer { answer, suppressed });
            }
        }
        None
    }

    /// Moves what is no longer owed to `output`. Every answer was started when it was owed, so only the first need be asked.
    pub(super) fn poll_owed(&mut self, context: &mut Context<'_>, output: &mut Held) {
        while let Some(first) = self.owed.front_mut() {
            match first {
                Owed::Bytes(bytes) => {
                    self.owed_bytes -= bytes.len();
                    output.append(bytes, 0);
                }
                Owed::Answer { answer, suppressed } => {
                    let Poll::Ready(bytes) = answer.as_mut().poll(context) else { return };
                    self.owed_answers -= 1;
                    if !*suppressed && output.is_empty() {
                        // A long reply is moved: to copy it would hold the thread.
                        output.take_over(bytes, 0);
                    } else if !*suppressed {
                        output.append(&bytes, 0);
                    }
                }
            }
            self.owed.pop_front();
        }
        if matches!(self.hold, Hold::Suspended) {
            self.hold = Hold::None;
        }
    }

    /// Ends the hold if what it waits for is there. So many bytes of requests have come and are not done with, the one that waits first.
    pub(super) fn poll_hold(&mut self, context: &mut Context<'_>, clients: &dyn Clients, bytes: usize) {
        match &mut self.hold {
            Hold::None | Hold::Suspended => return,
            Hold::Fetch(fetch) => match fetch.as_mut().poll(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(FetchError::Damaged(text))) => self.refused = Some(text),
                Poll::Ready(Err(FetchError::Away(text))) => {
                    self.failure = Some(Failure { text: text.clone(), bytes });
                    self.refused = Some(text);
                }
                Poll::Pending => return,
            },
            Hold::Pause { until, timer } => {
                // The pause of writes is never shorter than that of all commands, so it alone tells of an earlier end.
                if clients.paused_until(true) >= *until && timer.as_mut().poll(context).is_pending() {
                    return;
                }
            }
        }
        self.hold = Hold::None;
    }

    /// Whether it waits for what only other clients bring about, without an end of its own.
    pub(super) fn waits_for_others(&self) -> bool {
        matches!(self.hold, Hold::Suspended | Hold::Pause { .. })
    }
}
