//! Replies made of others: arrays, maps, sets and pushes, with a length known before or only after.

use super::encode::ReplyWriter;
use super::protocol::Protocol;

/// An aggregate whose length is not known yet; [`ReplyWriter::finish_array`] or its like must end it.
#[derive(Debug)]
#[must_use = "the array has no header until it is finished"]
pub struct Deferred {
    position: usize,
}

/// The header of an aggregate with up to nine elements; a deferred one has this many bytes set aside.
const SHORT_HEADER_BYTES: usize = 4;

impl ReplyWriter<'_> {
    /// An array; `count` elements follow.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.aggregate(b'*', count, 1);
    }

    /// A map; `count` keys, each followed by its value, follow. In RESP2 an array of twice as many elements.
    #[inline]
    pub fn map(&mut self, count: usize) {
        match self.protocol() {
            Protocol::Resp2 => self.aggregate(b'*', count.saturating_mul(2), 1),
            Protocol::Resp3 => self.aggregate(b'%', count, 2),
        }
    }

    /// A set; `count` elements follow, each another. In RESP2 an array.
    pub fn set(&mut self, count: usize) {
        match self.protocol() {
            Protocol::Resp2 => self.array(count),
            Protocol::Resp3 => self.aggregate(b'~', count, 1),
        }
    }

    /// A push, which is no reply to a request; `count` elements follow. In RESP2 an array.
    pub fn push(&mut self, count: usize) {
        match self.protocol() {
            Protocol::Resp2 => self.array(count),
            Protocol::Resp3 => self.aggregate(b'>', count, 1),
        }
    }

    /// An array whose length only [`ReplyWriter::finish_array`] tells, after its elements were written.
    pub fn deferred_array(&mut self) -> Deferred {
        self.deferred()
    }

    /// Ends an array with the `count` elements that were written since it was begun. Moves their bytes if there are
    /// more than nine, so nested arrays that are all deferred cost once per level.
    pub fn finish_array(&mut self, deferred: Deferred, count: usize) {
        self.finish(deferred, b'*', count, 1);
    }

    /// A map whose length only [`ReplyWriter::finish_map`] tells.
    pub fn deferred_map(&mut self) -> Deferred {
        self.deferred()
    }

    /// Ends a map with the `count` keys and as many values that were written since it was begun.
    pub fn finish_map(&mut self, deferred: Deferred, count: usize) {
        match self.protocol() {
            Protocol::Resp2 => self.finish(deferred, b'*', count.saturating_mul(2), 1),
            Protocol::Resp3 => self.finish(deferred, b'%', count, 2),
        }
    }

    /// Counts elements as owed: `count` times `parts`.
    #[inline]
    #[cfg_attr(not(debug_assertions), expect(unused_variables, reason = "only debug builds count"))]
    fn owe(&mut self, count: usize, parts: u8) {
        #[cfg(debug_assertions)]
        {
            self.owed += i128::try_from(count).unwrap_or(i128::MAX / 4) * i128::from(parts);
        }
    }

    #[inline]
    fn aggregate(&mut self, kind: u8, count: usize, parts: u8) {
        self.element();
        self.owe(count, parts);
        self.header(kind, count);
    }

    fn deferred(&mut self) -> Deferred {
        self.element();
        let position = self.buffer.len();
        self.buffer.extend_from_slice(&[0; SHORT_HEADER_BYTES]);
        Deferred { position }
    }

    #[expect(clippy::needless_pass_by_value, reason = "an aggregate is finished once")]
    fn finish(&mut self, deferred: Deferred, kind: u8, count: usize, parts: u8) {
        self.owe(count, parts);
        if self.over {
            return;
        }
        let body = deferred.position + SHORT_HEADER_BYTES..self.buffer.len();
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(count).as_bytes();
        let growth = digits.len() - 1;
        if growth > 0 {
            self.buffer.resize(body.end + growth, 0);
            self.buffer.copy_within(body.clone(), body.start + growth);
        }
        let header = &mut self.buffer[deferred.position..body.start + growth];
        header[0] = kind;
        header[1..=digits.len()].copy_from_slice(digits);
        header[1 + digits.len()..].copy_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl Fn(&mut ReplyWriter<'_>), resp2: &str, resp3: &str) {
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let mut bytes = b"before".to_vec();
            let mut writer = ReplyWriter::new(&mut bytes, protocol);
            writer.begin();
            write(&mut writer);
            writer.end();
            assert_eq!(
                bytes.escape_ascii().to_string(),
                format!("before{}", expected.as_bytes().escape_ascii())
            );
        }
    }

    #[test]
    fn aggregates_of_known_length() {
        check(|writer| writer.array(0), "*0\r\n", "*0\r\n");
        check(
            |writer| {
                writer.array(2);
                writer.integer(1);
                writer.array(1);
                writer.null();
            },
            "*2\r\n:1\r\n*1\r\n$-1\r\n",
            "*2\r\n:1\r\n*1\r\n_\r\n",
        );
        check(
            |writer| {
                writer.map(1);
                writer.text("proto");
                writer.integer(3);
            },
            "*2\r\n$5\r\nproto\r\n:3\r\n",
            "%1\r\n$5\r\nproto\r\n:3\r\n",
        );
        check(
            |writer| {
                writer.set(1);
                writer.integer(1);
            },
            "*1\r\n:1\r\n",
            "~1\r\n:1\r\n",
        );
        check(
            |writer| {
                writer.push(1);
                writer.integer(1);
            },
            "*1\r\n:1\r\n",
            ">1\r\n:1\r\n",
        );
    }

    #[test]
    fn deferred_arrays_of_every_amount_of_digits() {
        for count in [0, 1, 9, 10, 99, 100, 12_345] {
            let expected = format!("*{count}\r\n{}", ":1\r\n".repeat(count));
            let write = |writer: &mut ReplyWriter<'_>| {
                let array = writer.deferred_array();
                for _ in 0..count {
                    writer.integer(1);
                }
                writer.finish_array(array, count);
            };
            check(write, &expected, &expected);
        }
    }

    #[test]
    fn deferred_aggregates_nest_and_keep_what_follows() {
        let write = |writer: &mut ReplyWriter<'_>| {
            writer.array(2);
            let map = writer.deferred_map();
            for key in 0..6 {
                writer.integer(key);
                let array = writer.deferred_array();
                writer.finish_array(array, 0);
            }
            writer.finish_map(map, 6);
            writer.ok();
        };
        let body: String = (0..6).map(|key| format!(":{key}\r\n*0\r\n")).collect();
        check(write, &format!("*2\r\n*12\r\n{body}+OK\r\n"), &format!("*2\r\n%6\r\n{body}+OK\r\n"));
    }

    #[test]
    fn huge_lengths_do_not_overflow() {
        let mut bytes = Vec::new();
        let mut writer = ReplyWriter::new(&mut bytes, Protocol::Resp2);
        writer.begin();
        for _ in 0..100 {
            writer.map(usize::MAX);
        }
        assert_eq!(bytes, "*18446744073709551615\r\n".repeat(100).as_bytes());
    }
}
