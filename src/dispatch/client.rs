//! What other clients and operators can see of a connection, and how they end it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use crate::clock::Timestamp;

/// Shared between a connection, which writes, and whoever lists or kills it. Kept small: an idle connection holds one.
pub struct ClientRecord {
    /// Unique among all connections since the start.
    pub id: u64,
    /// `address:port`, or the path of a Unix socket with `:0`, of the client.
    pub address: Box<str>,
    /// The same of the server's end.
    pub local_address: Box<str>,
    /// When it connected.
    pub connected_at: Timestamp,
    last_used_micros: AtomicU64,
    database: AtomicU8,
    resp3: AtomicBool,
    no_evict: AtomicBool,
    no_touch: AtomicBool,
    /// The number of the last command in the table plus one; 0: none yet.
    last_command: AtomicU16,
    input_buffer_bytes: AtomicU32,
    output_buffer_bytes: AtomicU32,
    killed: AtomicBool,
    waker: Mutex<Option<Waker>>,
    labels: Mutex<Option<Box<Labels>>>,
}

/// What a client says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// CLIENT SETNAME.
    pub name: Box<str>,
    /// CLIENT SETINFO LIB-NAME.
    pub library: Box<str>,
    /// CLIENT SETINFO LIB-VER.
    pub library_version: Box<str>,
}

impl ClientRecord {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(id: u64, address: &str, local_address: &str, now: Timestamp) -> Self {
        Self {
            id,
            address: address.into(),
            local_address: local_address.into(),
            connected_at: now,
            last_used_micros: AtomicU64::new(now.as_micros()),
            database: AtomicU8::new(0),
            resp3: AtomicBool::new(false),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            last_command: AtomicU16::new(0),
            input_buffer_bytes: AtomicU32::new(0),
            output_buffer_bytes: AtomicU32::new(0),
            killed: AtomicBool::new(false),
            waker: Mutex::new(None),
            labels: Mutex::new(None),
        }
    }

    /// Notes a turn: when it was and which command was its last (its number in the table).
    #[inline]
    pub fn note_turn(&self, now: Timestamp, last_command: u16) {
        self.last_used_micros.store(now.as_micros(), Ordering::Relaxed);
        self.last_command.store(last_command.saturating_add(1), Ordering::Relaxed);
    }

    /// Notes that the client was active without a turn: it took replies, or sent a part of a long request.
    pub fn note_use(&self, now: Timestamp) {
        self.last_used_micros.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Notes what the connection holds in buffers of its own.
    pub fn note_buffers(&self, input_bytes: usize, output_bytes: usize) {
        self.input_buffer_bytes.store(u32::try_from(input_bytes).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.output_buffer_bytes.store(u32::try_from(output_bytes).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// When its last turn was.
    #[must_use]
    pub fn last_used(&self) -> Timestamp {
        Timestamp::from_micros(self.last_used_micros.load(Ordering::Relaxed))
    }

    /// The number of its last command in the table.
    #[must_use]
    pub fn last_command(&self) -> Option<u16> {
        self.last_command.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Bytes in its own input and output buffers.
    #[must_use]
    pub fn buffers(&self) -> (u32, u32) {
        (self.input_buffer_bytes.load(Ordering::Relaxed), self.output_buffer_bytes.load(Ordering::Relaxed))
    }

    /// The selected database.
    #[must_use]
    pub fn database(&self) -> u8 {
        self.database.load(Ordering::Relaxed)
    }

    pub(super) fn set_database(&self, database: u8) {
        self.database.store(database, Ordering::Relaxed);
    }

    /// Whether it speaks RESP3.
    #[must_use]
    pub fn is_resp3(&self) -> bool {
        self.resp3.load(Ordering::Relaxed)
    }

    pub(super) fn set_resp3(&self, resp3: bool) {
        self.resp3.store(resp3, Ordering::Relaxed);
    }

    /// CLIENT NO-EVICT.
    pub fn set_no_evict(&self, on: bool) {
        self.no_evict.store(on, Ordering::Relaxed);
    }

    /// CLIENT NO-TOUCH.
    pub fn set_no_touch(&self, on: bool) {
        self.no_touch.store(on, Ordering::Relaxed);
    }

    /// The letters of CLIENT LIST's `flags`: `N`ormal, or `e` for no-evict and `T` for no-touch.
    #[must_use]
    pub fn flags(&self) -> &'static str {
        match (self.no_evict.load(Ordering::Relaxed), self.no_touch.load(Ordering::Relaxed)) {
            (false, false) => "N",
            (true, false) => "e",
            (false, true) => "T",
            (true, true) => "eT",
        }
    }

    /// What the client says of itself.
    #[must_use]
    pub fn labels(&self) -> Labels {
        self.labels.lock().as_deref().cloned().unwrap_or_default()
    }

    /// Changes what the client says of itself.
    pub fn label(&self, change: impl FnOnce(&mut Labels)) {
        change(self.labels.lock().get_or_insert_default());
    }

    /// Ends the connection: its task is woken and closes it.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    /// Whether the connection is to end.
    #[must_use]
    #[inline]
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Wakes the connection's task, to look at what changed.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.lock().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Names the task that [`kill`](Self::kill) wakes. To be followed by a look at [`is_killed`](Self::is_killed), for a kill that
    /// came just before.
    pub fn wake_on_kill(&self, waker: &Waker) {
        let mut known = self.waker.lock();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }
}
