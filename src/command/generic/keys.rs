//! KEYS: all keys that match a pattern.
//!
//! A large database is walked in slices, between which other clients are served. A key that is there throughout is answered once;
//! one that is renamed meanwhile may be missed or answered under both names.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::command::glob;
use crate::dispatch::outcome::yield_now;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Ports, Spec, example,
};
use crate::engine::Cursor;
use crate::quota::SpanCache;
use crate::resp::{Protocol, ReplyWriter};

pub(super) static SPEC: Spec = Spec {
    name: "keys",
    syntax: "pattern",
    summary: "Answers every key of the database that matches the pattern, for people to look around with; programs use SCAN.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(n) in the keys of the database, in slices between which other clients are served",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::DANGEROUS),
    keys: Keys::NONE,
    examples: &[
        example("MSET user:1 a user:2 b", "OK"),
        example("KEYS *:2", "1) \"user:2\""),
        example("KEYS nobody:*", "(empty array)"),
    ],
    subcommands: &[],
    run,
};

/// Databases up to this many keys are answered at once, which takes about a millisecond.
const SMALL_DATABASE_KEYS: usize = 10_000;

/// Keys that are looked at before other clients of the thread are served: about a hundred microseconds.
const SLICE_KEYS: usize = 1_000;

/// Bytes that are copied before other clients of the thread are served: about a hundred microseconds.
const SLICE_BYTES: usize = 1 << 20;

/// The most bytes of keys in a reply: a million keys of 60 bytes. More would take memory from the keys themselves.
const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let pattern = args.next_bytes()?;
    let database = context.session.database;
    let large = context.engine().len(database) > SMALL_DATABASE_KEYS;
    let mut search = Search::new(Arc::clone(context.ports), database, pattern, context.reply.protocol());
    if large {
        return Ok(Outcome::Suspend(Box::pin(search.in_slices())));
    }
    while search.step(SMALL_DATABASE_KEYS) {}
    let mut reply = search.header();
    search.found.iter().for_each(|part| reply.extend_from_slice(part));
    context.reply.raw_reply(&reply);
    Ok(Outcome::Reply)
}

/// A walk over the keys of a database; it owns what it needs, since it outlives the call.
struct Search {
    ports: Arc<Ports>,
    database: u8,
    pattern: Vec<u8>,
    protocol: Protocol,
    next: Option<Cursor>,
    spans: SpanCache,
    /// The keys that matched, encoded, in parts of about [`SLICE_BYTES`]: one buffer that grew would be copied at once.
    found: VecDeque<Vec<u8>>,
    found_bytes: usize,
    count: usize,
}

impl Search {
    fn new(ports: Arc<Ports>, database: u8, pattern: &[u8], protocol: Protocol) -> Self {
        Self {
            ports,
            database,
            pattern: pattern.to_vec(),
            protocol,
            next: Some(Cursor::default()),
            spans: SpanCache::default(),
            found: VecDeque::new(),
            found_bytes: 0,
            count: 0,
        }
    }

    /// Looks at `keys` more keys; `false` when there are none left, or the reply is too long.
    fn step(&mut self, keys: usize) -> bool {
        let Some(cursor) = self.next else { return false };
        let now = self.ports.clock.now();
        let (pattern, spans, count) = (&self.pattern, &mut self.spans, &mut self.count);
        let mut part = self.found.pop_back().unwrap_or_default();
        let known_bytes = part.len();
        let mut writer = ReplyWriter::new(&mut part, self.protocol);
        let page = self.ports.engine.scan(self.database, cursor, keys, now, |key, view| {
            if glob::matches(pattern, key) && !view.has_ended(now, spans) {
                writer.bulk(key);
                *count += 1;
            }
        });
        self.found_bytes += part.len() - known_bytes;
        let is_full = part.len() >= SLICE_BYTES;
        self.found.push_back(part);
        if is_full {
            self.found.push_back(Vec::new());
        }
        self.next = page.next;
        self.next.is_some() && !self.is_too_long()
    }

    fn is_too_long(&self) -> bool {
        self.found_bytes > MAX_REPLY_BYTES
    }

    /// What comes before the keys; the whole reply when that is an error.
    fn header(&mut self) -> Vec<u8> {
        let mut header = Vec::new();
        let mut writer = ReplyWriter::new(&mut header, self.protocol);
        if self.is_too_long() {
            self.found.clear();
            self.found_bytes = 0;
            let text = format!("the reply is longer than {MAX_REPLY_BYTES} bytes; SCAN answers it in pages");
            writer.error(&CommandError::other(text).to_string());
        } else {
            writer.array(self.count);
        }
        header
    }

    async fn in_slices(mut self) -> Vec<u8> {
        while self.step(SLICE_KEYS) {
            yield_now().await;
        }
        let mut reply = self.header();
        reply.reserve_exact(self.found_bytes);
        while let Some(part) = self.found.pop_front() {
            for slice in part.chunks(SLICE_BYTES) {
                reply.extend_from_slice(slice);
                yield_now().await;
            }
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::testing::Harness;

    #[test]
    fn a_large_database_is_answered_in_slices_with_every_key_once() {
        let mut server = Harness::new(crate::command::table());
        let keys = SMALL_DATABASE_KEYS + 2 * SLICE_KEYS;
        let mut input = Vec::new();
        for number in 0..keys {
            let key = format!("key:{number}");
            crate::resp::write_request(&mut input, &[b"SET", key.as_bytes(), b"v"]);
        }
        server.feed(&input);
        let mut search = Search::new(Arc::clone(server.ports()), 0, b"key:*", crate::resp::Protocol::Resp2);
        assert!(search.step(SLICE_KEYS), "one slice is not all");
        let reply = String::from_utf8(server.call("KEYS key:*")).unwrap();
        let mut found: Vec<&str> = reply.split("\r\n").filter(|line| line.starts_with("key:")).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), keys);
        assert!(reply.starts_with(&format!("*{keys}\r\n")));
        assert_eq!(server.call("KEYS key:12"), b"*1\r\n$6\r\nkey:12\r\n");
    }
}
