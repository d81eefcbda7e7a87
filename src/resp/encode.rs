//! Writes replies straight into an output buffer, in the form of the protocol that the connection speaks.

use super::double::write_double;

/// The version of the protocol that a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// What a connection speaks after `HELLO 3`: with maps, sets, booleans, doubles and pushes.
    Resp3,
}

/// What a verbatim string is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerbatimFormat {
    /// `txt`: plain text.
    Text,
    /// `mkd`: Markdown.
    Markdown,
}

impl VerbatimFormat {
    /// The three letters on the wire.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Markdown => "mkd",
        }
    }
}

/// A place in the output to which [`ReplyWriter::truncate`] can go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    length: usize,
    #[cfg(debug_assertions)]
    owed: i128,
}

/// An aggregate whose length is not known yet; [`ReplyWriter::finish_array`] or its like must end it.
#[derive(Debug)]
#[must_use = "the array has no header until it is finished"]
pub struct Deferred {
    position: usize,
}

/// The header of an aggregate with up to nine elements; a deferred one has this many bytes set aside.
const SHORT_HEADER_BYTES: usize = 4;

/// Writes replies to the end of a buffer.
///
/// Elements follow their aggregate: after `array(2)` come two more calls. In debug builds the writer counts what is
/// owed, and [`ReplyWriter::end`] asserts that exactly one whole reply was written since [`ReplyWriter::begin`].
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    buffer: &'a mut Vec<u8>,
    protocol: Protocol,
    /// How many elements are still owed; wide enough that no announced length overflows it.
    #[cfg(debug_assertions)]
    owed: i128,
}

impl<'a> ReplyWriter<'a> {
    /// Writes behind what `buffer` holds.
    #[inline]
    #[must_use]
    pub fn new(buffer: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Self {
            buffer,
            protocol,
            #[cfg(debug_assertions)]
            owed: 0,
        }
    }

    /// What is spoken.
    #[inline]
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Speaks another protocol from here on (`HELLO` answers in the new one already).
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Says that one reply follows.
    #[inline]
    pub fn begin(&mut self) {
        #[cfg(debug_assertions)]
        {
            self.owed = 1;
        }
    }

    /// Says that the reply is whole. In debug builds, panics if it is not, or if there was more than one.
    #[inline]
    #[track_caller]
    pub fn end(&mut self) {
        #[cfg(debug_assertions)]
        assert_eq!(self.owed, 0, "elements of the reply were left out (or, if negative, written too many)");
    }

    /// How many bytes the buffer holds, with what was there before.
    #[inline]
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "the length is a place in the output, not an amount of items"
    )]
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// This place, to come back to with [`ReplyWriter::truncate`].
    #[inline]
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            length: self.buffer.len(),
            #[cfg(debug_assertions)]
            owed: self.owed,
        }
    }

    /// Takes back everything that was written since `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        self.buffer.truncate(mark.length);
        #[cfg(debug_assertions)]
        {
            self.owed = mark.owed;
        }
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.element();
        if let Ok(digit @ 0..=9) = u8::try_from(value) {
            self.buffer.extend_from_slice(&[b':', b'0' + digit, b'\r', b'\n']);
        } else {
            self.line(b':', itoa::Buffer::new().format(value).as_bytes());
        }
    }

    /// An amount as an integer. Integers of the protocol are signed: what is over `i64::MAX` is written as that.
    #[inline]
    pub fn amount(&mut self, value: u64) {
        self.integer(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// A length as an integer.
    #[inline]
    pub fn count(&mut self, value: usize) {
        self.integer(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.element();
        self.buffer.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string: one line. Line ends inside `text` become spaces.
    pub fn simple(&mut self, text: &str) {
        self.element();
        self.text_line(b'+', text);
    }

    /// An error: its code, a space and its text, without the `-`. Line ends inside `text` become spaces.
    pub fn error(&mut self, text: &str) {
        self.element();
        self.text_line(b'-', text);
    }

    /// A bulk string: any bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.element();
        self.header(b'$', bytes.len());
        self.body(bytes);
    }

    /// A bulk string that is text.
    #[inline]
    pub fn text(&mut self, text: &str) {
        self.bulk(text.as_bytes());
    }

    /// Text for people. In RESP2 a bulk string without the format.
    pub fn verbatim(&mut self, format: VerbatimFormat, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.text(text),
            Protocol::Resp3 => {
                self.element();
                self.header(b'=', format.code().len() + ":".len() + text.len());
                self.buffer.extend_from_slice(format.code().as_bytes());
                self.buffer.push(b':');
                self.body(text.as_bytes());
            }
        }
    }

    /// Nothing, where a value is expected. In RESP2 the null bulk string.
    #[inline]
    pub fn null(&mut self) {
        self.element();
        self.buffer.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// Nothing, where an array is expected. In RESP2 the null array.
    pub fn null_array(&mut self) {
        self.element();
        self.buffer.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// True or false. In RESP2 the integer 1 or 0.
    pub fn boolean(&mut self, value: bool) {
        match self.protocol {
            Protocol::Resp2 => self.integer(i64::from(value)),
            Protocol::Resp3 => {
                self.element();
                self.buffer.extend_from_slice(if value { b"#t\r\n" } else { b"#f\r\n" });
            }
        }
    }

    /// A floating-point number with the fewest digits that read back as the same one, as Redis 7.2 lays them out
    /// (`3.1`, `1e+30`, `inf`, `-inf`, `nan`). In RESP2 a bulk string.
    pub fn double(&mut self, value: f64) {
        match self.protocol {
            Protocol::Resp2 => {
                let mut digits = Vec::with_capacity(24);
                write_double(&mut digits, value);
                self.bulk(&digits);
            }
            Protocol::Resp3 => {
                self.element();
                self.buffer.push(b',');
                write_double(self.buffer, value);
                self.buffer.extend_from_slice(b"\r\n");
            }
        }
    }

    /// An integer of any length: digits, behind a `-` or nothing. In RESP2 a bulk string.
    pub fn big_number(&mut self, digits: &str) {
        match self.protocol {
            Protocol::Resp2 => self.text(digits),
            Protocol::Resp3 => {
                self.element();
                self.text_line(b'(', digits);
            }
        }
    }

    /// An array; `count` elements follow.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.aggregate(b'*', count, 1);
    }

    /// A map; `count` keys, each followed by its value, follow. In RESP2 an array of twice as many elements.
    #[inline]
    pub fn map(&mut self, count: usize) {
        match self.protocol {
            Protocol::Resp2 => self.aggregate(b'*', count.saturating_mul(2), 1),
            Protocol::Resp3 => self.aggregate(b'%', count, 2),
        }
    }

    /// A set; `count` elements follow, each another. In RESP2 an array.
    pub fn set(&mut self, count: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(count),
            Protocol::Resp3 => self.aggregate(b'~', count, 1),
        }
    }

    /// A push, which is no reply to a request; `count` elements follow. In RESP2 an array.
    pub fn push(&mut self, count: usize) {
        match self.protocol {
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
        match self.protocol {
            Protocol::Resp2 => self.finish(deferred, b'*', count.saturating_mul(2), 1),
            Protocol::Resp3 => self.finish(deferred, b'%', count, 2),
        }
    }

    /// Bytes that are one whole reply already, in the protocol that is spoken.
    pub fn raw_reply(&mut self, bytes: &[u8]) {
        self.element();
        self.buffer.extend_from_slice(bytes);
    }

    /// Counts one element as written.
    #[inline]
    fn element(&mut self) {
        #[cfg(debug_assertions)]
        {
            self.owed -= 1;
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

    #[inline]
    fn header(&mut self, kind: u8, count: usize) {
        if let Ok(digit @ 0..=9) = u8::try_from(count) {
            self.buffer.extend_from_slice(&[kind, b'0' + digit, b'\r', b'\n']);
        } else {
            self.line(kind, itoa::Buffer::new().format(count).as_bytes());
        }
    }

    #[inline]
    fn line(&mut self, kind: u8, text: &[u8]) {
        self.buffer.reserve(text.len() + 3);
        self.buffer.push(kind);
        self.buffer.extend_from_slice(text);
        self.buffer.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn body(&mut self, bytes: &[u8]) {
        self.buffer.reserve(bytes.len() + 2);
        self.buffer.extend_from_slice(bytes);
        self.buffer.extend_from_slice(b"\r\n");
    }

    fn text_line(&mut self, kind: u8, text: &str) {
        let start = self.buffer.len() + 1;
        self.line(kind, text.as_bytes());
        // A line end inside would let text, which may come from a client, pose as a reply of its own.
        for byte in &mut self.buffer[start..start + text.len()] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }
}

/// Appends a request as clients send it: an array of bulk strings.
pub fn write_request<Argument: AsRef<[u8]>>(buffer: &mut Vec<u8>, arguments: &[Argument]) {
    let mut writer = ReplyWriter::new(buffer, Protocol::Resp2);
    writer.array(arguments.len());
    for argument in arguments {
        writer.bulk(argument.as_ref());
    }
}
