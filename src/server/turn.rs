//! The running of what one read brought: every complete request, in order, into one output.

use std::task::Context;
use std::time::Duration;

use super::late::{Hold, Late, MAX_FETCHES};
use super::limits::ConnectionLimits;
use super::scout::Scout;
use crate::clock::Timestamp;
use crate::dispatch::execute::Execution;
use crate::dispatch::{Answer, Command, CommandError, Executor, Missing, Outcome, ReplyMode, Session};
use crate::resp::{Protocol, Request, RequestLimits, RequestParser};

/// Requests after which other connections have a turn: some 0.1 ms of counters, and more than a client's usual pipeline.
pub(super) const MAX_REQUESTS_PER_TURN: usize = 1_024;

/// Output after which a turn writes: no more than a socket's send buffer usually takes at once.
pub(super) const MAX_OUTPUT_BYTES_PER_TURN: usize = 256 * 1024;

/// Keys that are fetched ahead of the requests that need them: one query's worth.
const MAX_KEYS_AHEAD: usize = 1_024;

/// The longest a pause is slept before it is looked at again; timers have an end.
const PAUSE_LOOK_MICROS: u64 = 3_600_000_000;

/// The error when [`MAX_FETCHES`] did not do.
const NOT_KEPT: &str = "TRYAGAIN the keys of this command did not stay in memory until it could run";

/// A client's side of what is said: what it negotiated, how far its input is read, and what it waits for.
pub(super) struct Conversation {
    pub(super) session: Session,
    pub(super) parser: RequestParser,
    pub(super) late: Option<Box<Late>>,
}

/// Runs turns on one thread.
pub(super) struct Runner {
    pub(super) executor: Executor,
    /// Replies of the running turn.
    pub(super) output: Vec<u8>,
    scout: Scout,
    /// How much of `output` is whole replies that may be written; what a panic leaves behind it is cut off.
    replies_end: usize,
}

/// What a turn came to.
pub(super) struct Turn {
    /// Bytes of the requests that ran.
    pub(super) consumed: usize,
    pub(super) end: TurnEnd,
}

/// Why a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnEnd {
    /// No complete request is left.
    Incomplete,
    /// It ran as much as it may; more may be left.
    Capped,
    /// Something must be waited for.
    Held,
    /// The connection is to be closed.
    Close,
}

impl Conversation {
    pub(super) fn owes(&self) -> bool {
        self.late.as_ref().is_some_and(|late| late.owes())
    }

    /// Whether no request may run.
    pub(super) fn is_held(&self) -> bool {
        self.late.as_ref().is_some_and(|late| late.is_full() || !matches!(late.hold, Hold::None))
    }

    fn late(&mut self) -> &mut Late {
        self.late.get_or_insert_default()
    }

    /// Whether the reply of the request that just ran is not wanted; a skip is used up by it.
    fn is_suppressed(&mut self) -> bool {
        let suppressed = self.session.replies != ReplyMode::On;
        if self.session.replies == ReplyMode::SkipThis {
            self.session.replies = ReplyMode::On;
        }
        suppressed
    }
}

impl Runner {
    pub(super) fn new(executor: Executor) -> Self {
        Self { executor, output: Vec::new(), scout: Scout::default(), replies_end: 0 }
    }

    /// Runs the requests at the beginning of `bytes`. `output` then holds what can be written at once; replies behind
    /// owed answers are with those.
    pub(super) fn run(
        &mut self,
        conversation: &mut Conversation,
        bytes: &[u8],
        limits: &ConnectionLimits,
        context: &mut Context<'_>,
    ) -> Turn {
        self.output.clear();
        self.replies_end = 0;
        let limits = limits.requests();
        let mut now = None;
        let mut turn = Turn { consumed: 0, end: TurnEnd::Capped };
        // Out of the way while requests that lie in it run; after a panic it is made anew.
        let mut scout = std::mem::take(&mut self.scout);
        scout.forget();
        for _ in 0..MAX_REQUESTS_PER_TURN {
            let rest = &bytes[turn.consumed..];
            let is_stranger = self.is_stranger(&conversation.session);
            let limits = if is_stranger { &RequestLimits::UNAUTHENTICATED } else { &limits };
            if is_stranger {
                // What follows RESET was read by the limits of before.
                scout.forget();
            }
            let (length, scouted) = match scout.take(rest) {
                Some((length, request, command)) => (length, Some((request, command))),
                None => match conversation.parser.parse(rest, limits) {
                    Ok(Some(length)) => (length, None),
                    Ok(None) => {
                        turn.end = TurnEnd::Incomplete;
                        conversation.late.iter_mut().for_each(|late| late.forget_failure());
                        break;
                    }
                    Err(error) => {
                        self.refuse(conversation, &error.to_string());
                        turn.end = TurnEnd::Close;
                        break;
                    }
                },
            };
            let now = *now.get_or_insert_with(|| self.executor.begin_turn());
            let behind = (&rest[length..], limits);
            let step = match scouted {
                Some((request, command)) => {
                    self.step(conversation, Next::Scouted(request, command), behind, now, context)
                }
                None => {
                    scout.look(&self.executor, &conversation.session, &rest[length..], limits);
                    self.step(conversation, Next::Own(rest), behind, now, context)
                }
            };
            if step == Step::Again {
                turn.end = TurnEnd::Held;
                break;
            }
            turn.consumed += length;
            if let Some(late) = &mut conversation.late {
                late.pass(length);
            }
            if step == Step::Held {
                turn.end = TurnEnd::Held;
                break;
            }
            if conversation.session.close || conversation.session.client.is_killed() {
                turn.end = TurnEnd::Close;
                break;
            }
            if self.output.len() >= MAX_OUTPUT_BYTES_PER_TURN {
                break;
            }
        }
        self.scout = scout;
        if now.is_some() {
            self.executor.end_turn(&conversation.session);
        }
        self.settle(conversation);
        turn
    }

    /// Whether the client has yet to authenticate, so that smaller limits hold.
    fn is_stranger(&self, session: &Session) -> bool {
        !session.authenticated && self.executor.ports().settings.password_required()
    }

    /// Runs one request.
    #[inline]
    fn step(
        &mut self,
        conversation: &mut Conversation,
        next: Next<'_>,
        behind: (&[u8], &RequestLimits),
        now: Timestamp,
        context: &mut Context<'_>,
    ) -> Step {
        if let Some(late) = &mut conversation.late
            && let Some(text) = late.refused.take()
        {
            return self.refuse_fetch(conversation, text);
        }
        let (request, command) = match next {
            Next::Scouted(request, command) => (request, command),
            Next::Own(bytes) => {
                let request = conversation.parser.request(bytes);
                (request, if request.is_empty() { None } else { self.executor.command(request) })
            }
        };
        if request.is_empty() {
            return Step::Done;
        }
        let execution =
            self.executor.execute_as(&mut conversation.session, request, command, &mut self.output);
        if let Execution::Done(Outcome::Reply) = execution {
            self.note_reply(conversation);
            return Step::Done;
        }
        self.wait(conversation, (execution, behind), now, context)
    }

    #[inline]
    fn note_reply(&mut self, conversation: &mut Conversation) {
        match &mut conversation.late {
            None => self.replies_end = self.output.len(),
            Some(late) => {
                late.fetches = 0;
                if !late.owes() {
                    self.replies_end = self.output.len();
                }
            }
        }
    }

    /// Answers the request whose keys cannot be had with why.
    #[cold]
    fn refuse_fetch(&mut self, conversation: &mut Conversation, text: String) -> Step {
        if !conversation.is_suppressed() {
            let protocol = conversation.session.protocol;
            self.executor.write_error(&mut self.output, protocol, &CommandError::Coded(text.into()));
        }
        self.note_reply(conversation);
        Step::Done
    }

    /// The keys that requests behind the one that waits will need, so that one query fetches all of a pipeline.
    #[cold]
    fn find_missing_ahead(
        &self,
        session: &Session,
        mut rest: &[u8],
        limits: &RequestLimits,
        most_keys: usize,
    ) -> Missing {
        let mut missing = Missing(Vec::new());
        let mut parser = RequestParser::new();
        for _ in 0..MAX_REQUESTS_PER_TURN {
            let Ok(Some(length)) = parser.parse(rest, limits) else { break };
            let request = parser.request(rest);
            let goes_on = request.is_empty() || self.executor.find_missing(session, request, &mut missing);
            if !goes_on || missing.0.len() >= most_keys {
                break;
            }
            rest = &rest[length..];
        }
        missing
    }

    #[cold]
    fn wait(
        &mut self,
        conversation: &mut Conversation,
        (execution, behind): (Execution, (&[u8], &RequestLimits)),
        now: Timestamp,
        context: &mut Context<'_>,
    ) -> Step {
        match execution {
            Execution::Done(Outcome::Reply) => Step::Done,
            Execution::Done(Outcome::Missing(needed)) => {
                let late = conversation.late();
                if late.fetches == MAX_FETCHES {
                    return self.refuse_fetch(conversation, NOT_KEPT.to_owned());
                }
                if let Some(text) = late.failure().map(str::to_owned) {
                    return self.refuse_fetch(conversation, text);
                }
                late.fetches += 1;
                let (rest, limits) = behind;
                let most_keys = MAX_KEYS_AHEAD.saturating_sub(needed.0.len());
                let ahead = self.find_missing_ahead(&conversation.session, rest, limits, most_keys);
                conversation.late().hold = Hold::Fetch(self.executor.ports().fetch.fetch(needed, ahead));
                Step::Again
            }
            Execution::Done(Outcome::Suspend(answer)) => {
                self.owe(conversation, answer, context);
                let late = conversation.late();
                late.forget_failure();
                if late.owes() {
                    late.hold = Hold::Suspended;
                    return Step::Held;
                }
                Step::Done
            }
            Execution::Done(Outcome::Later(answer)) => {
                self.owe(conversation, answer, context);
                if conversation.is_held() { Step::Held } else { Step::Done }
            }
            Execution::Paused(until) => {
                let micros = until.micros_since(now).min(PAUSE_LOOK_MICROS);
                let timer = Box::pin(tokio::time::sleep(Duration::from_micros(micros)));
                conversation.late().hold = Hold::Pause { until, timer };
                Step::Again
            }
        }
    }

    /// Puts an answer in its place behind everything that was written before it.
    fn owe(&mut self, conversation: &mut Conversation, answer: Answer, context: &mut Context<'_>) {
        let suppressed = conversation.is_suppressed();
        self.settle(conversation);
        let late = conversation.late();
        late.fetches = 0;
        if let Some(bytes) = late.owe_answer(answer, suppressed, context) {
            self.output.extend_from_slice(&bytes);
            self.replies_end = self.output.len();
        }
    }

    /// Moves replies that stand behind owed answers to those.
    fn settle(&mut self, conversation: &mut Conversation) {
        match &mut conversation.late {
            Some(late) if late.owes() => {
                late.owe_bytes(&self.output[self.replies_end..]);
                self.output.truncate(self.replies_end);
            }
            _ => self.replies_end = self.output.len(),
        }
    }

    /// Writes why the input cannot be read on.
    fn refuse(&mut self, conversation: &Conversation, text: &str) {
        self.executor.scratch().metrics.protocol_errors.add(1);
        tracing::debug!(client = %conversation.session.client.address, "closing: {text}");
        let error = CommandError::other(text.to_owned());
        self.executor.write_error(&mut self.output, conversation.session.protocol, &error);
    }

    /// What may still be written of a turn in which a handler panicked: the replies before it, and an error in its place.
    pub(super) fn after_panic(&mut self) -> &[u8] {
        self.executor.leave_gate();
        self.output.truncate(self.replies_end);
        let error = CommandError::other("internal error");
        self.executor.write_error(&mut self.output, Protocol::Resp2, &error);
        self.replies_end = self.output.len();
        &self.output
    }
}

/// The request to run.
#[derive(Clone, Copy)]
enum Next<'a> {
    /// The one that the connection's parser just found complete, at the beginning of these bytes.
    Own(&'a [u8]),
    /// One that was read ahead, with its command.
    Scouted(Request<'a>, Option<Command>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The request ran; the next may.
    Done,
    /// The request ran; the next waits.
    Held,
    /// The request is to be run again.
    Again,
}
