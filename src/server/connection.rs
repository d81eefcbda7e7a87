//! One client's connection: reads, runs a turn, writes, and waits where it must.

use std::future::Future as _;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::ending::{Deadline, Ending};
use super::held::Held;
use super::registry::Seat;
use super::stream::Stream;
use super::turn::{Conversation, TurnEnd};
use super::worker::{Thread, Worker};
use crate::dispatch::{ClientRecord, Session};
use crate::resp::RequestParser;

/// Capacity that a thread's output keeps from turn to turn: what a turn may write, and a large reply.
const KEPT_OUTPUT_BYTES: usize = 1024 * 1024;

/// Bytes that one poll sends of what is held: some 0.2 ms. A client that reads as fast as it is written to would otherwise hold the
/// thread for all of a long reply.
const SENT_AT_ONCE_BYTES: usize = 1024 * 1024;

/// Output that the socket did not take is moved, not copied, from this size on.
const MOVED_OUTPUT_BYTES: usize = 64 * 1024;

/// A read that brings less of an unfinished request does not count as activity: a client that sends a byte now and then is idle.
const PROGRESS_BYTES: usize = 1_024;

/// A client that was active within this time may still be reading replies or sending when the server ends.
const RECENT_MICROS: u64 = 1_000_000;

/// The state of a connection between its task's polls.
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) worker: Rc<Worker>,
    pub(super) conversation: Conversation,
    /// Bytes from the client that did not run yet.
    pub(super) input: Held,
    /// Whether `input` may hold a complete request.
    unexamined: bool,
    /// Replies that the socket did not take yet.
    pub(super) output: Held,
    /// The client sends nothing more.
    pub(super) peer_ended: bool,
    pub(super) ending: Ending,
    pub(super) deadline: Option<Deadline>,
    noted_buffers: bool,
    registered: bool,
    _seat: Seat,
}

/// The connection is over; its socket can be dropped.
pub(super) struct Over;

/// What a step of a poll came to.
pub(super) type Step<T> = Result<T, Over>;

impl Connection {
    pub(super) fn new(stream: Stream, seat: Seat, worker: Rc<Worker>) -> Self {
        let authenticated = !worker.ports.settings.password_required();
        let conversation = Conversation {
            session: Session::new(Arc::clone(&seat.client), authenticated),
            parser: RequestParser::new(),
            late: None,
        };
        Self {
            stream,
            worker,
            conversation,
            input: Held::default(),
            unexamined: false,
            output: Held::default(),
            peer_ended: false,
            ending: Ending::Open,
            deadline: None,
            noted_buffers: false,
            registered: false,
            _seat: seat,
        }
    }

    pub(super) fn client(&self) -> &ClientRecord {
        &self.conversation.session.client
    }

    /// Goes on as far as it can. A panic in a handler or a late answer ends this connection alone.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match catch_unwind(AssertUnwindSafe(|| self.poll_steps(context))) {
            Ok(Ok(())) => Poll::Pending,
            Ok(Err(Over)) => Poll::Ready(()),
            Err(_) => self.after_panic(context),
        }
    }

    /// Goes on until there is nothing to do before the next wake-up.
    fn poll_steps(&mut self, context: &mut Context<'_>) -> Step<()> {
        if !self.registered {
            self.registered = true;
            self.client().wake_on_kill(context.waker());
        }
        if self.client().is_killed() && self.ending == Ending::Open {
            return Err(Over);
        }
        let mut ran = false;
        loop {
            let drained = self.poll_send(context)?;
            if self.ending != Ending::Open {
                return self.poll_ending(context, drained);
            }
            let free = drained && !self.conversation.is_held();
            let went_on = if free && self.unexamined {
                self.run_held(context)?
            } else {
                self.receive(context, drained, free)?
            };
            match went_on {
                Progress::Again => ran = true,
                Progress::Yield => {
                    self.note_buffers();
                    return yield_turn(context);
                }
                Progress::Wait => {
                    self.note_buffers();
                    if self.wait(drained, ran)? {
                        continue;
                    }
                    return self.poll_deadline(context);
                }
            }
        }
    }

    /// Sends what is written and no longer owed; answers whether all of it is gone.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Step<bool> {
        if self.conversation.late.is_some() {
            self.poll_late(context);
        }
        if self.output.is_empty() {
            return Ok(true);
        }
        let mut allowed = SENT_AT_ONCE_BYTES;
        loop {
            let bytes = self.output.bytes();
            match self.stream.poll_write(context, &bytes[..bytes.len().min(allowed)]) {
                Poll::Ready(Ok(sent)) => {
                    self.output.consume(sent);
                    allowed -= sent;
                    self.worker.metrics.output_bytes.add(count(sent));
                    if self.ending == Ending::Open {
                        self.deadline = None;
                        self.client().note_use(self.worker.ports.clock.now());
                    }
                }
                Poll::Ready(Err(_)) => return Err(Over),
                Poll::Pending => return Ok(false),
            }
            if self.output.is_empty() {
                return Ok(true);
            }
            if allowed == 0 {
                yield_turn(context)?;
                return Ok(false);
            }
        }
    }

    /// Asks what is waited for.
    #[cold]
    fn poll_late(&mut self, context: &mut Context<'_>) {
        let Some(late) = &mut self.conversation.late else { return };
        late.poll_owed(context, &mut self.output);
        late.poll_hold(context, &*self.worker.ports.clients, self.input.len());
        if late.is_over() {
            self.conversation.late = None;
        }
    }

    /// Runs requests that are held.
    fn run_held(&mut self, context: &mut Context<'_>) -> Step<Progress> {
        let worker = Rc::clone(&self.worker);
        let mut thread = worker.thread.borrow_mut();
        let turn = thread.runner.run(&mut self.conversation, self.input.bytes(), &worker.limits, context);
        self.input.consume(turn.consumed);
        self.after_turn(&mut thread.runner.output, turn.end)
    }

    /// Reads once, and runs what came if it may.
    fn receive(&mut self, context: &mut Context<'_>, drained: bool, free: bool) -> Step<Progress> {
        let limit = self.worker.limits.input_bytes(drained);
        if self.input.len() >= limit && free {
            tracing::warn!(client = %self.client().address, "closed a connection: a request is over the query-buffer limit");
            return Err(Over);
        }
        if self.peer_ended || self.input.len() >= limit {
            return Ok(Progress::Wait);
        }
        let worker = Rc::clone(&self.worker);
        let thread = &mut *worker.thread.borrow_mut();
        let mut read = self.stream.poll_read(context, &mut thread.read_buffer);
        if read.is_pending() && free && worker.shutdown.is_begun() {
            // The runtime may not know yet of requests that came before the end began: they are answered too.
            read = match self.stream.read_now(&mut thread.read_buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                read => Poll::Ready(read),
            };
        }
        match read {
            Poll::Pending => Ok(Progress::Wait),
            Poll::Ready(Err(_)) => Err(Over),
            Poll::Ready(Ok(0)) => {
                self.peer_ended = true;
                Ok(Progress::Again)
            }
            Poll::Ready(Ok(length)) => {
                worker.metrics.input_bytes.add(count(length));
                self.take_in(thread, length, free, context)
            }
        }
    }

    /// Runs the bytes that were read, or holds them.
    #[inline]
    fn take_in(
        &mut self,
        thread: &mut Thread,
        length: usize,
        free: bool,
        context: &mut Context<'_>,
    ) -> Step<Progress> {
        let Thread { read_buffer, runner } = thread;
        let is_full = length == read_buffer.len();
        let bytes = &read_buffer[..length];
        let progress = if free && self.input.is_empty() {
            let turn = runner.run(&mut self.conversation, bytes, &self.worker.limits, context);
            self.input.append(&bytes[turn.consumed..], self.conversation.parser.missing_bytes());
            self.after_turn(&mut runner.output, turn.end)?
        } else {
            self.input.append(bytes, self.conversation.parser.missing_bytes());
            self.unexamined = true;
            if length >= PROGRESS_BYTES {
                self.client().note_use(self.worker.ports.clock.now());
            }
            Progress::Again
        };
        // More may be there, and others wait.
        Ok(if is_full { Progress::Yield } else { progress })
    }

    /// Writes what a turn answered.
    fn after_turn(&mut self, output: &mut Vec<u8>, end: TurnEnd) -> Step<Progress> {
        self.unexamined = matches!(end, TurnEnd::Capped | TurnEnd::Held) && !self.input.is_empty();
        self.send(output)?;
        Ok(match end {
            TurnEnd::Incomplete | TurnEnd::Held => Progress::Again,
            TurnEnd::Capped => Progress::Yield,
            TurnEnd::Close => {
                self.begin_closing();
                Progress::Again
            }
        })
    }

    /// Writes a turn's output; holds what the socket does not take.
    fn send(&mut self, output: &mut Vec<u8>) -> Step<()> {
        if output.is_empty() {
            return Ok(());
        }
        let sent = match self.stream.try_write(output) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Err(Over),
        };
        self.worker.metrics.output_bytes.add(count(sent));
        let left = output.len() - sent;
        if left >= MOVED_OUTPUT_BYTES {
            self.output.take_over(std::mem::take(output), sent);
        } else if left > 0 {
            self.output.append(&output[sent..], 0);
        }
        output.clear();
        output.shrink_to(KEPT_OUTPUT_BYTES);
        Ok(())
    }

    /// Decides what to do when there is nothing to do: wait (`false`), look again (`true`), or end.
    fn wait(&mut self, drained: bool, ran: bool) -> Step<bool> {
        let limits = &self.worker.limits;
        if self.output.len() > limits.output_buffer_bytes.load(Ordering::Relaxed) {
            tracing::warn!(client = %self.client().address, "closed a connection: its unread replies are over the output-buffer limit");
            return Err(Over);
        }
        let is_stalled = !drained && self.input.len() >= limits.input_bytes(drained);
        let stall_ms = limits.stall_ms.load(Ordering::Relaxed);
        let waits = self.conversation.late.is_some();
        let waits_for_others = self.conversation.late.as_ref().is_some_and(|late| late.waits_for_others());
        if self.peer_ended || self.worker.shutdown.is_begun() {
            if waits_for_others {
                return Err(Over);
            }
            if drained && !waits {
                return self.end_gracefully();
            }
            if self.peer_ended {
                self.expect_end();
            }
        } else if !ran && !waits && self.is_idle(drained) {
            tracing::debug!(client = %self.client().address, "closed an idle connection");
            return Err(Over);
        } else if is_stalled {
            self.give_up_unless_set(
                stall_ms,
                "it reads no replies, and as many requests as may wait behind them do",
            );
        }
        Ok(false)
    }

    /// Ends a connection that has nothing to do: at once, unless the client may just be reading a reply or sending.
    fn end_gracefully(&mut self) -> Step<bool> {
        let now = self.worker.ports.clock.now();
        if self.peer_ended || now.micros_since(self.client().last_used()) > RECENT_MICROS {
            return Err(Over);
        }
        self.begin_closing();
        Ok(true)
    }

    /// Whether nothing came for too long, and nothing has come that could run.
    fn is_idle(&self, drained: bool) -> bool {
        let timeout_secs = self.worker.limits.idle_timeout_secs.load(Ordering::Relaxed);
        if timeout_secs == 0 {
            return false;
        }
        let now = self.worker.ports.clock.now();
        let is_over = now.micros_since(self.client().last_used()) > timeout_secs.saturating_mul(1_000_000);
        let has_requests = is_over && drained && self.stream.has_input();
        is_over && !has_requests
    }

    /// Shows what is held, where it changed from or to nothing.
    fn note_buffers(&mut self) {
        let holds = !self.input.is_empty() || !self.output.is_empty();
        if holds || self.noted_buffers {
            self.client().note_buffers(self.input.len(), self.output.len());
            self.noted_buffers = holds;
        }
    }

    #[cold]
    fn after_panic(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.worker.ports.metrics.server.panics.add(1);
        tracing::error!(client = %self.client().address, "closed a connection: its command panicked");
        if self.ending != Ending::Open {
            return Poll::Ready(());
        }
        let worker = Rc::clone(&self.worker);
        let mut thread = worker.thread.borrow_mut();
        // Replies behind an answer that is owed would come out of order.
        if !self.conversation.owes() {
            self.output.append(thread.runner.after_panic(), 0);
        }
        self.conversation.late = None;
        self.begin_closing();
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Whether a connection's task goes on.
enum Progress {
    Again,
    /// After the others.
    Yield,
    /// When it is woken.
    Wait,
}

/// Lets the runtime look at other sockets before it runs this task again: a task that only wakes itself would run many times
/// before that.
fn yield_turn(context: &mut Context<'_>) -> Step<()> {
    // The first poll of this future hands the waker to the runtime and never ends it.
    let _pending = pin!(tokio::task::yield_now()).poll(context);
    Ok(())
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
