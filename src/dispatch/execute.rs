//! Runs requests: finds the command, checks whether it may run, runs it, counts it.

use std::fmt::Write as _;
use std::sync::Arc;

use super::ports::SlowCommand;
use super::{
    Args, Command, CommandError, Context, Flags, Group, Handled, Keys, Missing, Outcome, Ports, ReplyMode,
    Scratch, Session, Stop,
};
use crate::clock::{Stopwatch, Timestamp};
use crate::engine::Ahead;
use crate::metrics::WorkerMetrics;
use crate::resp::{Protocol, ReplyWriter, Request};

/// Bytes of unknown names and arguments that an error repeats, as in Redis.
const ECHOED_BYTES: usize = 128;

/// The most words of a request that counts as fast: what works on more keys is measured alone, as it may be slow.
const FAST_WORDS: usize = 128;

/// Words of a slow command that are kept, and bytes of each, as in Redis.
const SLOW_WORDS: usize = 32;
const SLOW_WORD_BYTES: usize = 128;

/// Runs the requests of one worker thread.
pub struct Executor {
    ports: Arc<Ports>,
    scratch: Scratch,
    turn: Turn,
}

/// How a request's run ended, for the connection.
pub enum Execution {
    /// As the command says.
    Done(Outcome),
    /// Clients are paused: run the request again then, or when the pause ends.
    Paused(Timestamp),
}

/// What holds for all requests of one turn: read once, at its start.
struct Turn {
    now: Timestamp,
    stopwatch: Stopwatch,
    loading: bool,
    out_of_memory: bool,
    refuses_changes: bool,
    password_required: bool,
    max_key_bytes: usize,
    max_reply_bytes: usize,
    paused_until: Timestamp,
    writes_paused_until: Timestamp,
    /// FAST commands of this turn with how often each ran.
    ran: Vec<(u16, u64)>,
    /// Time of commands that were measured alone.
    measured_nanos: u64,
    last_command: u16,
}

impl Executor {
    /// For a worker with `scratch` of its own.
    #[must_use]
    pub fn new(ports: Arc<Ports>, scratch: Scratch) -> Self {
        let (now, stopwatch) = ports.clock.read();
        let turn = Turn {
            now,
            stopwatch,
            loading: false,
            out_of_memory: false,
            refuses_changes: false,
            password_required: true,
            max_key_bytes: 0,
            max_reply_bytes: 0,
            paused_until: Timestamp::EPOCH,
            writes_paused_until: Timestamp::EPOCH,
            ran: Vec::new(),
            measured_nanos: 0,
            last_command: 0,
        };
        Self { ports, scratch, turn }
    }

    /// What commands reach.
    #[must_use]
    pub const fn ports(&self) -> &Arc<Ports> {
        &self.ports
    }

    /// The thread's own things.
    pub const fn scratch(&mut self) -> &mut Scratch {
        &mut self.scratch
    }

    /// Begins a turn: passes the gate, reads the clock and what may refuse commands. Answers the turn's time.
    pub fn begin_turn(&mut self) -> Timestamp {
        self.ports.gate.enter(self.scratch.seat);
        let (now, stopwatch) = self.ports.clock.read();
        let turn = &mut self.turn;
        turn.stopwatch = stopwatch;
        turn.measured_nanos = 0;
        self.read_conditions(now);
        now
    }

    /// Reads what may refuse commands, at the turn's start and after a command that took its time or may have changed it: those
    /// behind it in a pipeline must meet neither an old time nor old settings.
    fn read_conditions(&mut self, now: Timestamp) {
        let (ports, turn) = (&self.ports, &mut self.turn);
        turn.now = now;
        turn.loading = ports.lifecycle.is_loading();
        let maxmemory = ports.settings.maxmemory_bytes();
        let server = &ports.metrics.server;
        turn.out_of_memory =
            maxmemory > 0 && server.data_bytes.value() > maxmemory && server.evicting.value() == 0;
        turn.refuses_changes = ports.durability.refuses();
        turn.password_required = ports.settings.password_required();
        turn.max_key_bytes = ports.settings.max_key_bytes();
        turn.max_reply_bytes = ports.settings.output_buffer_limit_bytes();
        turn.paused_until = ports.clients.paused_until(false);
        turn.writes_paused_until = ports.clients.paused_until(true);
    }

    /// Opens the gate for a cut: after the last change of a turn, also of one that ended in a panic.
    pub fn leave_gate(&self) {
        self.ports.gate.leave(self.scratch.seat);
    }

    /// Ends a turn: opens the gate, shares its time out among the commands that were not measured alone.
    pub fn end_turn(&mut self, session: &Session) {
        self.leave_gate();
        self.ports.durability.note_turn();
        let turn = &mut self.turn;
        let nanos = turn.stopwatch.nanos().saturating_sub(turn.measured_nanos);
        let calls: u64 = turn.ran.iter().map(|(_, calls)| calls).sum();
        for (number, ran) in turn.ran.drain(..) {
            let share = nanos / calls.max(1);
            if let Some(counted) = self.scratch.metrics.commands.get(usize::from(number)) {
                counted.calls.add(ran);
                counted.nanos.add(share * ran);
                counted.latency.record(share, ran);
            }
        }
        self.scratch.metrics.turns.add(1);
        self.scratch.finish_turn();
        session.client.note_turn(turn.now, turn.last_command);
    }

    /// The command that a request names, a container for its subcommands.
    #[inline]
    #[must_use]
    pub fn command(&self, request: Request<'_>) -> Option<Command> {
        self.ports.commands.find(request.name())
    }

    /// Begins to load what a request that is run soon will touch: its first key's part of the index.
    #[inline]
    #[must_use]
    pub fn look_ahead(&self, session: &Session, request: Request<'_>, command: Command) -> Option<Ahead> {
        let key = request.get(command.spec.keys.first).filter(|_| command.spec.keys != Keys::NONE)?;
        Some(self.ports.engine.look_ahead(session.database, key))
    }

    /// Adds the keys that a request needs and that are not in memory to `missing`, as far as it would be allowed to run. Answers
    /// whether requests behind it may be looked at: they may not if it changes what they mean.
    pub fn find_missing(&self, session: &Session, request: Request<'_>, missing: &mut Missing) -> bool {
        let Some(command) = self.command(request) else { return true };
        if command.spec.group == Group::Connection || command.spec.flags.has(Flags::ADMIN) {
            return false;
        }
        if !command.spec.subcommands.is_empty() || self.check(session, request, command).is_err() {
            return true;
        }
        for position in command.spec.keys.positions(request.len()) {
            let key = request.arg(position);
            if self.ports.engine.is_unknown(session.database, key) {
                missing.add(session.database, key);
            }
        }
        true
    }

    /// Begins to load the entry of a request that is run soon.
    #[inline]
    pub fn look_closer(&self, ahead: Ahead) {
        self.ports.engine.look_closer(ahead);
    }

    /// Runs one request and writes its reply, if it comes at once, behind what `output` holds.
    pub fn execute(
        &mut self,
        session: &mut Session,
        request: Request<'_>,
        output: &mut Vec<u8>,
    ) -> Execution {
        let command = self.command(request);
        self.execute_as(session, request, command, output)
    }

    /// As [`execute`](Self::execute) for a request whose command was looked up already.
    #[inline]
    pub fn execute_as(
        &mut self,
        session: &mut Session,
        request: Request<'_>,
        command: Option<Command>,
        output: &mut Vec<u8>,
    ) -> Execution {
        if session.replies == ReplyMode::SkipNext {
            session.replies = ReplyMode::SkipThis;
        }
        let start = output.len();
        let execution = match self.find(session, request, command) {
            Ok(found) => self.run(session, request, found, output),
            Err(refusal) => {
                self.write_error(output, session.protocol, &refusal);
                Execution::Done(Outcome::Reply)
            }
        };
        if session.replies != ReplyMode::On && matches!(execution, Execution::Done(Outcome::Reply)) {
            output.truncate(start);
            if session.replies == ReplyMode::SkipThis {
                session.replies = ReplyMode::On;
            }
        }
        execution
    }

    /// Writes an error reply and counts it.
    pub fn write_error(&self, output: &mut Vec<u8>, protocol: Protocol, error: &CommandError) {
        let text = error.to_string();
        self.scratch.metrics.errors.lock().count(&text);
        ReplyWriter::new(output, protocol).error(&text);
    }

    /// The command or subcommand that a request runs, and where its arguments begin.
    #[inline]
    fn find(
        &mut self,
        session: &mut Session,
        request: Request<'_>,
        command: Option<Command>,
    ) -> Result<(Command, usize), CommandError> {
        let Some(command) = command else {
            self.scratch.metrics.unknown_commands.add(1);
            return Err(unknown(session, request));
        };
        if command.spec.subcommands.is_empty() || request.len() == 1 {
            return Ok((command, 1));
        }
        let subcommand = self.ports.commands.find_subcommand(command, request.arg(1));
        subcommand.map(|subcommand| (subcommand, 2)).ok_or_else(|| CommandError::UnknownSubcommand {
            container: command.spec.name.to_owned(),
            name: echo(request.arg(1)),
        })
    }

    fn run(
        &mut self,
        session: &mut Session,
        request: Request<'_>,
        (command, arguments): (Command, usize),
        output: &mut Vec<u8>,
    ) -> Execution {
        if let Err(refusal) = self.check(session, request, command) {
            self.scratch.metrics.commands[usize::from(command.number)].rejected.add(1);
            self.write_error(output, session.protocol, &refusal);
            return Execution::Done(Outcome::Reply);
        }
        if let Some(until) = self.pause_for(command) {
            return Execution::Paused(until);
        }
        self.turn.last_command = command.number;
        let fast = command.spec.flags.has(Flags::FAST) && request.len() <= FAST_WORDS;
        let (now, stopwatch) =
            if fast { (self.turn.now, self.turn.stopwatch) } else { self.ports.clock.read() };
        let protocol = session.protocol;
        let mut context = Context {
            ports: &self.ports,
            now,
            session,
            scratch: &mut self.scratch,
            reply: ReplyWriter::bounded(output, protocol, self.turn.max_reply_bytes),
            command,
        };
        let begin = context.reply.mark();
        context.reply.begin();
        let handled = (command.spec.run)(&mut context, Args::new(request, arguments));
        let handled = if context.reply.is_over() { Err(refuse_reply(context.session)) } else { handled };
        let (outcome, failed) = settle(&mut context.reply, begin, handled, &context.scratch.metrics);
        if matches!(outcome, Outcome::Reply) {
            context.reply.end();
        }
        if failed {
            self.scratch.metrics.commands[usize::from(command.number)].failed.add(1);
        }
        if fast {
            self.count_fast(command.number);
        } else {
            self.count_measured(session, request, command, now, stopwatch.nanos());
            let now = self.ports.clock.now();
            self.read_conditions(now);
        }
        Execution::Done(outcome)
    }

    /// Whether the command may run now.
    #[inline]
    fn check(&self, session: &Session, request: Request<'_>, command: Command) -> Result<(), CommandError> {
        let spec = command.spec;
        let flags = spec.flags;
        if !spec.arity.allows(request.len()) {
            return Err(CommandError::WrongArity(spec.name.to_owned()));
        }
        if !session.authenticated && self.turn.password_required && !flags.has(Flags::NO_AUTH) {
            return Err(CommandError::NoAuth);
        }
        if self.turn.refuses_changes && flags.has(Flags::WRITE) {
            return Err(CommandError::Coded(self.ports.durability.refusal().into()));
        }
        if self.turn.out_of_memory && flags.has(Flags::DENYOOM) {
            return Err(CommandError::OutOfMemory);
        }
        if self.turn.loading && !flags.has(Flags::LOADING) {
            return Err(CommandError::Loading);
        }
        for position in spec.keys.positions(request.len()) {
            let length = request.arg(position).len();
            if length > self.turn.max_key_bytes {
                return Err(CommandError::KeyTooLong { length, limit: self.turn.max_key_bytes });
            }
        }
        Ok(())
    }

    #[inline]
    fn pause_for(&self, command: Command) -> Option<Timestamp> {
        let flags = command.spec.flags;
        let until =
            if flags.has(Flags::WRITE) { self.turn.writes_paused_until } else { self.turn.paused_until };
        (until > self.turn.now && !flags.has(Flags::NO_PAUSE)).then_some(until)
    }

    #[inline]
    fn count_fast(&mut self, number: u16) {
        match self.turn.ran.last_mut() {
            Some((last, calls)) if *last == number => *calls += 1,
            _ => self.turn.ran.push((number, 1)),
        }
    }

    fn count_measured(
        &mut self,
        session: &Session,
        request: Request<'_>,
        command: Command,
        at: Timestamp,
        nanos: u64,
    ) {
        self.turn.measured_nanos += nanos;
        let counted = &self.scratch.metrics.commands[usize::from(command.number)];
        counted.calls.add(1);
        counted.nanos.add(nanos);
        counted.latency.record(nanos, 1);
        let slow_log = &self.ports.slow_log;
        if slow_log.threshold_micros().is_some_and(|threshold| nanos / 1_000 >= threshold) {
            slow_log.add(SlowCommand {
                at,
                micros: nanos / 1_000,
                words: slow_words(request, command),
                address: session.client.address.clone(),
                client_name: session.client.labels().name,
            });
        }
    }
}

/// The words of a slow command that are kept: of one that may hold a password, only its name.
fn slow_words(request: Request<'_>, command: Command) -> Vec<Vec<u8>> {
    if command.spec.flags.has(Flags::SECRET) {
        let name = command.spec.name.split('|').map(|word| word.as_bytes().to_vec());
        return name.chain([b"(redacted)".to_vec()]).collect();
    }
    let words = request.iter().take(SLOW_WORDS);
    words.map(|word| word[..word.len().min(SLOW_WORD_BYTES)].to_vec()).collect()
}

/// What a handler's end comes to: an error takes the place of whatever was written.
#[inline]
fn settle(
    reply: &mut ReplyWriter<'_>,
    begin: crate::resp::Mark,
    handled: Handled,
    metrics: &WorkerMetrics,
) -> (Outcome, bool) {
    match handled {
        Ok(outcome) => (outcome, false),
        Err(Stop::Error(error)) => {
            reply.truncate(begin);
            reply.begin();
            let text = error.to_string();
            metrics.errors.lock().count(&text);
            reply.error(&text);
            (Outcome::Reply, true)
        }
        Err(Stop::Missing(missing)) => {
            reply.truncate(begin);
            (Outcome::Missing(missing), false)
        }
    }
}

/// The error for a reply that would be longer than a client may leave unread. The command has run, and the client cannot know
/// how far: the connection ends, as one that does not read its replies.
#[cold]
fn refuse_reply(session: &mut Session) -> Stop {
    session.close = true;
    tracing::warn!(client = %session.client.address, "closed a connection: a reply is over the output-buffer limit");
    CommandError::other("the reply is over client-output-buffer-limit").into()
}

/// The error for an unknown name. Browsers can be made to send HTTP to this port, with commands in the body: the first line
/// of such a request ends the connection, as in Redis.
fn unknown(session: &mut Session, request: Request<'_>) -> CommandError {
    let name = request.name();
    if name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:") {
        session.close = true;
        tracing::warn!(
            client = %session.client.address,
            "closed a connection that sent an HTTP request: possibly an attempt to reach this port through a browser"
        );
        return CommandError::other("this port speaks the Redis protocol, not HTTP");
    }
    let mut arguments = String::new();
    for argument in request.iter().skip(1) {
        if arguments.len() >= ECHOED_BYTES {
            break;
        }
        let _infallible = write!(arguments, "'{}' ", echo(argument));
    }
    CommandError::UnknownCommand { name: echo(name), arguments }
}

fn echo(word: &[u8]) -> String {
    String::from_utf8_lossy(&word[..word.len().min(ECHOED_BYTES)]).into_owned()
}
