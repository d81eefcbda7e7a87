//! What a handler works with.

use std::sync::Arc;

use super::{Command, Ports, Scratch, Session, Stop};
use crate::clock::Timestamp;
use crate::engine::{Engine, Missing, Slot, Slots, View};
use crate::resp::ReplyWriter;

/// The surroundings of one call.
pub struct Context<'a> {
    /// What is outside.
    pub ports: &'a Arc<Ports>,
    /// When this turn began; commands that are not FAST get the time of their own start.
    pub now: Timestamp,
    /// The client.
    pub session: &'a mut Session,
    /// The thread's own things.
    pub scratch: &'a mut Scratch,
    /// Where the reply goes.
    pub reply: ReplyWriter<'a>,
    /// The command that runs.
    pub command: Command,
}

impl Context<'_> {
    /// All keys.
    #[must_use]
    #[inline]
    pub fn engine(&self) -> &Engine {
        &self.ports.engine
    }

    /// The command's name as errors print it: lower case, a subcommand as `client|list`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.command.spec.name
    }

    /// Runs `read` on the value of `key` in the session's database and counts the hit or miss.
    ///
    /// # Errors
    /// [`Stop::Missing`] when the key must be fetched first.
    #[inline]
    pub fn read<R>(&mut self, key: &[u8], read: impl FnOnce(View<'_>) -> R) -> Result<Option<R>, Stop> {
        let engine = &self.ports.engine;
        let found = if self.session.no_touch {
            engine.peek(self.session.database, key, self.now, read)?
        } else {
            engine.read(self.session.database, key, self.now, read)?
        };
        self.count_lookup(found.is_some());
        Ok(found)
    }

    /// As [`read`](Self::read), for what writes its reply while the value is borrowed.
    ///
    /// # Errors
    /// [`Stop::Missing`] when the key must be fetched first.
    #[inline]
    pub fn reply_from<R>(
        &mut self,
        key: &[u8],
        read: impl FnOnce(View<'_>, &mut ReplyWriter<'_>) -> R,
    ) -> Result<Option<R>, Stop> {
        let engine = &self.ports.engine;
        let reply = &mut self.reply;
        let read = |view: View<'_>| read(view, reply);
        let found = if self.session.no_touch {
            engine.peek(self.session.database, key, self.now, read)?
        } else {
            engine.read(self.session.database, key, self.now, read)?
        };
        self.count_lookup(found.is_some());
        Ok(found)
    }

    /// Counts a look-up that found a value, or none.
    #[inline]
    pub fn count_lookup(&self, hit: bool) {
        let metrics = &self.scratch.metrics;
        if hit { metrics.keyspace_hits.add(1) } else { metrics.keyspace_misses.add(1) }
    }

    /// Forgets these subjects of the session's database in the counts of who is asked for and denied most.
    pub fn forget_subjects(&mut self, subjects: &[&[u8]]) {
        let database = self.session.database;
        self.scratch.forget_samples(|of, subject| of == database && subjects.contains(&subject));
        self.ports.metrics.forget_subjects(database, subjects);
    }

    /// Forgets every subject of a database in the counts of who is asked for and denied most.
    pub fn forget_database(&mut self, database: u8) {
        self.scratch.forget_samples(|of, _| of == database);
        self.ports.metrics.forget_database(database);
    }

    /// Runs `edit` on `key` in the session's database.
    ///
    /// # Errors
    /// [`Missing`] when the key must be fetched first.
    #[inline]
    pub fn edit<R>(&self, key: &[u8], edit: impl FnOnce(&mut Slot<'_>) -> R) -> Result<R, Missing> {
        self.ports.engine.edit(self.session.database, key, self.now, edit)
    }

    /// Runs `edit` on several keys of the session's database, all or nothing in the eyes of others.
    ///
    /// # Errors
    /// [`Missing`] when keys must be fetched first.
    pub fn edit_many<R>(&self, keys: &[&[u8]], edit: impl FnOnce(&mut Slots<'_>) -> R) -> Result<R, Missing> {
        let keys: Vec<(u8, &[u8])> = keys.iter().map(|&key| (self.session.database, key)).collect();
        self.ports.engine.edit_many(&keys, self.now, edit)
    }
}
