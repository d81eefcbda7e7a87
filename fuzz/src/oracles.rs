//! What must hold of a connection: whole replies, as many as were asked for, and memory that the requests explain.

use std::ops::RangeInclusive;

use quotad::engine::MemoryReport;
use quotad::resp::{Protocol, Request};

/// The password of connections that need one.
pub const PASSWORD: &str = "secret";

/// The longest string that SETRANGE may make here: beyond it an input of a few bytes takes 512 MiB, as it may.
const MAX_RANGE_END: usize = 64 * 1024;

/// What an engine may hold before its first key: the tables of 16 databases.
const EMPTY_BYTES: usize = 16 * 1024 * 1024;

/// What a word of a request may take beside its bytes: a first key in a shard brings a table and a chunk of entries.
const BYTES_PER_WORD: usize = 8 * 1024;

/// What a byte of a value may take: buffers that grow are at most doubled.
const BYTES_PER_BYTE: usize = 2;

/// What CONFIG finds.
pub fn settings() -> impl Iterator<Item = (String, String)> {
    let settings = [("maxmemory", "0"), ("timeout", "0"), ("databases", "16"), ("appendonly", "no")];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// How much memory the requests so far explain.
#[derive(Default)]
pub struct Budget {
    words: usize,
    /// Bytes of all values, if every request kept what it may.
    bytes: usize,
    /// The longest value there can be.
    longest: usize,
}

impl Budget {
    /// Counts a request in; `false` for one that would need more memory than a fuzz target has.
    pub fn allows(&mut self, request: Request<'_>) -> bool {
        if request.name().eq_ignore_ascii_case(b"setrange") && request.len() == 4 {
            let offset = std::str::from_utf8(request.arg(2)).ok().and_then(|text| text.parse::<i64>().ok());
            let end = offset.map_or(0, |offset| usize::try_from(offset).unwrap_or(0));
            if end > MAX_RANGE_END {
                return false;
            }
            self.longest = self.longest.max(end);
        }
        let length: usize = request.iter().map(<[u8]>::len).sum();
        self.words += request.len();
        // APPEND makes the longest value longer, COPY and SETRANGE make another one as long.
        self.longest += length;
        self.bytes += self.longest;
        true
    }

    /// Checks what the engine holds in the end.
    ///
    /// # Panics
    /// If that is more.
    pub fn check(&self, memory: &MemoryReport) {
        let most = EMPTY_BYTES + BYTES_PER_WORD * self.words + BYTES_PER_BYTE * self.bytes;
        assert!(memory.data_bytes <= most, "{} bytes are held, {most} explained", memory.data_bytes);
        assert!(memory.total_keys() <= self.words, "more keys than words");
    }
}

/// Whether two runs may answer this request differently: it tells of measured time, of turns, or in the order of a hash
/// whose seed is the engine's.
#[must_use]
pub fn may_differ(request: Request<'_>) -> bool {
    let is = |position, words: &[&str]| {
        request
            .get(position)
            .is_some_and(|word: &[u8]| words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes())))
    };
    is(0, &["info", "keys", "latency", "memory", "quota.top", "randomkey", "scan", "slowlog"])
        || (is(0, &["client"]) && is(1, &["info", "list"]))
}

/// Whether this request may end CLIENT REPLY SKIP by itself, so that it is answered.
#[must_use]
pub fn turns_replies_on(request: Request<'_>) -> bool {
    let name = request.name();
    name.eq_ignore_ascii_case(b"reset")
        || (name.eq_ignore_ascii_case(b"client")
            && request.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"reply")))
}

/// Checks that `output` is `expected` whole replies in the eyes of the reference.
///
/// # Panics
/// If it is not.
pub fn check_replies(output: &[u8], protocol: Protocol, expected: RangeInclusive<usize>) {
    let (mut rest, mut replies) = (output, 0);
    while !rest.is_empty() {
        let length = match protocol {
            Protocol::Resp2 => {
                redis_protocol::resp2::decode::decode(rest).ok().flatten().map(|found| found.1)
            }
            Protocol::Resp3 => {
                let found = redis_protocol::resp3::decode::complete::decode(rest).ok().flatten();
                found.map(|found| found.1)
            }
        };
        let Some(length) = length else { panic!("no whole reply: {}", rest.escape_ascii()) };
        assert!(length > 0, "a reply has bytes");
        rest = &rest[length..];
        replies += 1;
    }
    assert!(expected.contains(&replies), "{replies} replies, not {expected:?}: {}", output.escape_ascii());
}
