//! Clients at work: each on a thread with a connection of its own, in pipelines, until it is told to end or the server is gone.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::client::{Connection, integer, write_words};
use crate::ledger::{Answer, ClientLog, Ledger, NO_TOKEN, Sent};
use crate::support::Reply;
use crate::surroundings::now_ms;
use crate::values::{Change, MAXIMUM, Spread, Value};

/// How fast clients work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Changes in one pipeline, at most: all of them are read at once, and so run in one turn.
    most_at_once: u64,
    /// The time between two pipelines.
    pause: Duration,
}

impl Pace {
    /// Some ten thousand changes a second in all, which two cores carry beside everything else.
    pub const CALM: Self = Self { most_at_once: 32, pause: Duration::from_millis(4) };

    /// As fast as it goes, so that a cut would rather fall into a turn than between two.
    pub const DENSE: Self = Self { most_at_once: 128, pause: Duration::ZERO };
}

/// How long WAITAOF and QUOTA.SYNC wait: longer than a commit takes, shorter than an outage.
const WAIT_MS: u64 = 2_000;

/// Clients from this number on ask for durability; those before never wait for the truth.
pub const FIRST_DURABLE: u8 = 3;

/// All clients of a ledger: three that never wait for the truth, and one that asks for durability.
pub const CLIENTS: u8 = 4;

/// Clients that work.
pub struct Load {
    threads: Vec<JoinHandle<ClientLog>>,
    /// Ends them when it is dropped.
    stop: Vec<SyncSender<()>>,
}

impl Load {
    /// Sends every client of the ledger to work; [`end`](Self::end) brings them back.
    pub fn begin(ledger: &mut Ledger, address: SocketAddr) -> Self {
        let mut load = Self { threads: Vec::new(), stop: Vec::new() };
        let (pace, spread) = (ledger.pace, ledger.spread);
        for client in ledger.clients.drain(..) {
            let (sender, stop) = sync_channel(0);
            load.stop.push(sender);
            let thread = std::thread::spawn(move || {
                let mut worker = Worker { log: client, pace, spread, replies: Vec::new(), last_token: 0 };
                // The connection broke: what was not answered is in the log.
                let _ = worker.work(address, &stop);
                worker.log
            });
            load.threads.push(thread);
        }
        load
    }

    /// Ends the work, after the replies to what was sent; or finds it ended, where the server is gone.
    pub fn end(self, ledger: &mut Ledger) {
        drop(self.stop);
        for thread in self.threads {
            match thread.join() {
                Ok(log) => ledger.clients.push(log),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    }
}

/// What a reply answers.
#[derive(Clone, Copy)]
enum Asked {
    /// SELECT.
    Database,
    /// The change at this place of the log, and whether its commit is waited for.
    Change(usize, bool),
    /// QUOTA.SYNC of a token that covers so many changes.
    Sync(usize),
    /// WAITAOF, behind so many changes.
    Wait(usize),
}

struct Worker {
    log: ClientLog,
    pace: Pace,
    spread: Spread,
    replies: Vec<Asked>,
    /// The batch that the last take told; 0: none did yet.
    last_token: u64,
}

impl Worker {
    fn work(&mut self, address: SocketAddr, stop: &Receiver<()>) -> Result<()> {
        let mut connection = Connection::open(address)?;
        let mut requests = Vec::new();
        // The last token, and how many changes were sent up to it.
        let mut covered = (0, 0);
        while stop.recv_timeout(self.pace.pause) == Err(RecvTimeoutError::Timeout) {
            requests.clear();
            self.replies.clear();
            self.write_pipeline(&mut requests, covered);
            let begin_ms = now_ms();
            connection.send(&requests)?;
            for place in 0..self.replies.len() {
                let reply = connection.reply()?;
                self.take_reply(self.replies[place], &reply);
            }
            self.log.worst_reply_ms = self.log.worst_reply_ms.max(now_ms() - begin_ms);
            covered = (self.last_token, self.log.sent.len());
        }
        Ok(())
    }

    /// A take at both ends tells between which batches the changes are that tell none themselves.
    fn write_pipeline(&mut self, requests: &mut Vec<u8>, covered: (u64, usize)) {
        let is_durable = self.log.number >= FIRST_DURABLE;
        let count = 2 + self.log.random.below(self.pace.most_at_once - 2);
        let mut database = None;
        for place in 0..count {
            let is_end = place == 0 || place + 1 == count;
            let (random, spread) = (&mut self.log.random, &self.spread);
            let change = if is_end { Change::shared(random, spread) } else { Change::random(random, spread) };
            let waits = is_durable && random.once_in(40);
            let wanted = change.database(self.log.number);
            if database.replace(wanted) != Some(wanted) {
                write_words(&format!("SELECT {wanted}"), requests);
                self.replies.push(Asked::Database);
            }
            write_words(&change.words(self.log.number, waits), requests);
            self.replies.push(Asked::Change(self.log.sent.len(), waits && change.has_token()));
            let from_token = self.last_token;
            self.log.sent.push(Sent {
                change,
                answer: Answer::None,
                from_token,
                to_token: NO_TOKEN,
                ends_turn: place + 1 == count,
            });
            if is_durable && self.log.random.once_in(60) {
                self.write_wait(requests, covered);
            }
        }
    }

    fn write_wait(&mut self, requests: &mut Vec<u8>, (token, covers): (u64, usize)) {
        let behind = self.log.sent.len();
        let (words, asked) = match self.log.random.below(3) {
            0 if token > 0 => (format!("QUOTA.SYNC {token} TIMEOUT {WAIT_MS}"), Asked::Sync(covers)),
            1 => (format!("WAITAOF 1 0 {WAIT_MS}"), Asked::Wait(behind)),
            _ => (format!("WAITAOF 0 1 {WAIT_MS}"), Asked::Wait(behind)),
        };
        write_words(&words, requests);
        self.replies.push(asked);
    }

    fn take_reply(&mut self, asked: Asked, reply: &Reply) {
        match (asked, reply) {
            (Asked::Database, Reply::Status(_)) => {}
            (Asked::Change(place, waits), _) => self.take_answer(place, waits, reply),
            (Asked::Sync(covers), Reply::Status(text)) => match text.as_str() {
                "DURABLE" => self.log.in_truth = self.log.in_truth.max(covers),
                "PENDING" => {}
                "REFUSED" => self.log.refused_syncs += 1,
                other => panic!("QUOTA.SYNC of a token of this connection answers {other}"),
            },
            (Asked::Wait(behind), Reply::Many(_, copies)) => {
                let copies: Vec<_> = copies.iter().map(integer).collect();
                let [Some(local), Some(replicas)] = copies[..] else { panic!("WAITAOF answers {reply:?}") };
                let covers = |copies: u64| if copies > 0 { behind } else { 0 };
                self.log.on_disk = self.log.on_disk.max(covers(local));
                self.log.in_truth = self.log.in_truth.max(covers(replicas));
            }
            (_, Reply::Error(text)) => self.note_refusal(text),
            (_, other) => panic!("an unexpected reply: {other:?}"),
        }
    }

    fn take_answer(&mut self, place: usize, waits: bool, reply: &Reply) {
        let Sent { change, .. } = self.log.sent[place];
        match reply {
            // It is counted, only its commit was not waited for.
            Reply::Error(text) if text.starts_with("TIMEOUT ") => {
                let token =
                    text.split("QUOTA.SYNC ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
                assert!(waits, "who does not wait has no time-out: {text}");
                self.note_done(place, Some(token.unwrap_or_else(|| panic!("no token is named: {text}"))));
                self.note_refusal(text);
            }
            Reply::Error(text) => {
                let mut keys = self.log.keys.clone();
                let is_own_fault = text.starts_with("WRONGTYPE ") || text == "ERR no such key";
                if is_own_fault {
                    let found = change.found(&keys);
                    assert!(!change.apply(&mut keys), "{change:?} fits {found:?}, but: {text}");
                } else {
                    self.note_refusal(text);
                }
                self.log.sent[place].answer = Answer::Refused;
            }
            done => {
                let token = self.check_reply(change, done);
                self.note_done(place, token);
                if waits {
                    self.log.in_truth = self.log.in_truth.max(place + 1);
                }
            }
        }
    }

    /// Whether the reply is what the keys say; answers the token that it tells.
    fn check_reply(&self, change: Change, reply: &Reply) -> Option<u64> {
        let mut keys = self.log.keys.clone();
        let found = change.found(&keys);
        assert!(change.apply(&mut keys), "{change:?} does not fit {found:?}, but: {reply:?}");
        match (change, reply) {
            (Change::Add { key, .. }, Reply::Integer(text)) => {
                let Some(Value::Number { number, .. }) = keys.get(&key) else { return None };
                assert_eq!(*text, number.to_string(), "{change:?} of {found:?}");
                None
            }
            (_, Reply::Many(_, items)) if change.has_token() => {
                assert_eq!(integer(&items[0]), Some(1), "{change:?} is granted: {reply:?}");
                if let Change::Take { key, .. } = change
                    && let Some(Value::Used { requests: Some(used), .. }) = keys.get(&key)
                {
                    assert_eq!(integer(&items[2]), Some(MAXIMUM - used), "{change:?} of {found:?}");
                }
                integer(&items[7])
            }
            _ => None,
        }
    }

    fn note_done(&mut self, place: usize, token: Option<u64>) {
        let log = &mut self.log;
        log.sent[place].change.apply(&mut log.keys);
        log.sent[place].answer = Answer::Done(now_ms());
        let Some(token) = token else {
            log.sent[place].from_token = self.last_token;
            return;
        };
        assert!(token >= self.last_token, "tokens rise: {token} came after {}", self.last_token);
        self.last_token = token;
        log.sent[place].from_token = token;
        // Those before it that told none are in this batch or an earlier one.
        for sent in log.sent[..=place].iter_mut().rev() {
            if sent.to_token != NO_TOKEN {
                break;
            }
            sent.to_token = token;
        }
    }

    fn note_refusal(&mut self, text: &str) {
        self.log.refused += 1;
        self.log.last_refusal.clear();
        self.log.last_refusal.push_str(text);
    }
}
