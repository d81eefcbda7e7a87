//! Writes replies straight into an output buffer, in the form of the protocol that the connection speaks.

use super::double::write_double;
use super::protocol::{Protocol, VerbatimFormat};

/// A place in the output to which [`ReplyWriter::truncate`] can go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    length: usize,
    #[cfg(debug_assertions)]
    owed: i128,
}

/// Writes replies to the end of a buffer.
///
/// Elements follow their aggregate: after `array(2)` come two more calls. In debug builds the writer counts what is
/// owed, and [`ReplyWriter::end`] asserts that exactly one whole reply was written since [`ReplyWriter::begin`].
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    pub(super) buffer: &'a mut Vec<u8>,
    protocol: Protocol,
    /// Where the writer began.
    start: usize,
    /// How long the buffer may become, as far as strings make it long.
    most: usize,
    pub(super) over: bool,
    /// How many elements are still owed; wide enough that no announced length overflows it.
    #[cfg(debug_assertions)]
    pub(super) owed: i128,
}

impl<'a> ReplyWriter<'a> {
    /// Writes behind what `buffer` holds.
    #[inline]
    #[must_use]
    pub fn new(buffer: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Self::bounded(buffer, protocol, usize::MAX)
    }

    /// As [`new`](Self::new), for replies of at most about `most` bytes. What is written beyond is dropped, with what was
    /// written before, and [`ReplyWriter::is_over`] tells so: one request can ask for the same large value a million times.
    #[inline]
    #[must_use]
    pub fn bounded(buffer: &'a mut Vec<u8>, protocol: Protocol, most: usize) -> Self {
        let start = buffer.len();
        Self {
            buffer,
            protocol,
            start,
            most: start.saturating_add(most),
            over: false,
            #[cfg(debug_assertions)]
            owed: 0,
        }
    }

    /// Whether a reply became too long and was dropped.
    #[inline]
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// How many more bytes may be written.
    #[must_use]
    pub fn room(&self) -> usize {
        self.most.saturating_sub(self.buffer.len())
    }

    /// Whether `length` more bytes are too many; then all is dropped, now and from here on.
    #[inline]
    fn is_too_long(&mut self, length: usize) -> bool {
        let is_too_long = length > self.room();
        if is_too_long {
            self.drop_all();
        }
        is_too_long
    }

    #[cold]
    fn drop_all(&mut self) {
        self.over = true;
        self.most = 0;
        self.buffer.truncate(self.start);
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
        if self.over {
            // What replaces a reply that was dropped is short.
            self.most = usize::MAX;
        }
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

    /// Bytes that are one whole reply already, in the protocol that is spoken.
    pub fn raw_reply(&mut self, bytes: &[u8]) {
        self.element();
        if !self.is_too_long(bytes.len()) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Counts one element as written.
    #[inline]
    pub(super) fn element(&mut self) {
        #[cfg(debug_assertions)]
        {
            self.owed -= 1;
        }
    }

    #[inline]
    pub(super) fn header(&mut self, kind: u8, count: usize) {
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
        if self.is_too_long(bytes.len()) {
            return;
        }
        self.buffer.reserve(bytes.len() + 2);
        self.buffer.extend_from_slice(bytes);
        self.buffer.extend_from_slice(b"\r\n");
    }

    fn text_line(&mut self, kind: u8, text: &str) {
        if self.is_too_long(text.len()) {
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl Fn(&mut ReplyWriter<'_>), resp2: &str, resp3: &str) {
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let mut bytes = Vec::new();
            let mut writer = ReplyWriter::new(&mut bytes, protocol);
            writer.begin();
            write(&mut writer);
            writer.end();
            assert_eq!(bytes.escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string());
        }
    }

    fn check_both(write: impl Fn(&mut ReplyWriter<'_>), expected: &str) {
        check(write, expected, expected);
    }

    #[test]
    fn integers() {
        for value in [0, 9, 10, 11, 255, 256, -1, -9, 1_234_567_890, i64::MAX, i64::MIN] {
            check_both(|writer| writer.integer(value), &format!(":{value}\r\n"));
        }
        check_both(|writer| writer.amount(7), ":7\r\n");
        check_both(|writer| writer.amount(u64::MAX), ":9223372036854775807\r\n");
        check_both(|writer| writer.count(usize::MAX), ":9223372036854775807\r\n");
        check(|writer| writer.boolean(true), ":1\r\n", "#t\r\n");
        check(|writer| writer.boolean(false), ":0\r\n", "#f\r\n");
        check(
            |writer| writer.big_number("-12345678901234567890"),
            "$21\r\n-12345678901234567890\r\n",
            "(-12345678901234567890\r\n",
        );
    }

    #[test]
    fn strings() {
        check_both(|writer| writer.ok(), "+OK\r\n");
        check_both(|writer| writer.simple("PONG"), "+PONG\r\n");
        check_both(|writer| writer.bulk(b""), "$0\r\n\r\n");
        check_both(|writer| writer.bulk(b"a\r\nb\0"), "$5\r\na\r\nb\0\r\n");
        check_both(|writer| writer.text("0123456789"), "$10\r\n0123456789\r\n");
        check(|writer| writer.verbatim(VerbatimFormat::Text, "some"), "$4\r\nsome\r\n", "=8\r\ntxt:some\r\n");
        check(|writer| writer.verbatim(VerbatimFormat::Markdown, ""), "$0\r\n\r\n", "=4\r\nmkd:\r\n");
        check_both(|writer| writer.raw_reply(b":1\r\n"), ":1\r\n");
    }

    #[test]
    fn a_line_stays_one_line() {
        check_both(|writer| writer.error("ERR text"), "-ERR text\r\n");
        check_both(|writer| writer.error("ERR 'a\r\n+OK\r\n'"), "-ERR 'a  +OK  '\r\n");
        check_both(|writer| writer.simple("a\nb"), "+a b\r\n");
    }

    #[test]
    fn nothing() {
        check(|writer| writer.null(), "$-1\r\n", "_\r\n");
        check(|writer| writer.null_array(), "*-1\r\n", "_\r\n");
    }

    #[test]
    fn doubles() {
        check(|writer| writer.double(3.1), "$3\r\n3.1\r\n", ",3.1\r\n");
        check(|writer| writer.double(1e300), "$6\r\n1e+300\r\n", ",1e+300\r\n");
        check(|writer| writer.double(f64::INFINITY), "$3\r\ninf\r\n", ",inf\r\n");
        check(|writer| writer.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
        check(|writer| writer.double(f64::NAN), "$3\r\nnan\r\n", ",nan\r\n");
    }

    #[test]
    fn what_is_taken_back_is_not_owed() {
        let mut bytes = b":1\r\n".to_vec();
        let mut writer = ReplyWriter::new(&mut bytes, Protocol::Resp2);
        writer.begin();
        let mark = writer.mark();
        writer.array(3);
        writer.ok();
        assert_eq!(writer.len(), 13);
        writer.truncate(mark);
        writer.error("ERR undone");
        writer.end();
        assert_eq!(bytes, b":1\r\n-ERR undone\r\n");
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "left out")]
    fn a_missing_element_is_noticed() {
        let mut bytes = Vec::new();
        let mut writer = ReplyWriter::new(&mut bytes, Protocol::Resp2);
        writer.begin();
        writer.array(2);
        writer.ok();
        writer.end();
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "too many")]
    fn a_second_reply_is_noticed() {
        let mut bytes = Vec::new();
        let mut writer = ReplyWriter::new(&mut bytes, Protocol::Resp2);
        writer.begin();
        writer.ok();
        writer.ok();
        writer.end();
    }

    #[test]
    fn the_protocol_changes_where_it_is_told_to() {
        let mut bytes = Vec::new();
        let mut writer = ReplyWriter::new(&mut bytes, Protocol::default());
        writer.null();
        writer.set_protocol(Protocol::Resp3);
        writer.null();
        assert_eq!(writer.protocol(), Protocol::Resp3);
        assert_eq!(bytes, b"$-1\r\n_\r\n");
    }

    #[test]
    fn requests() {
        let mut bytes = Vec::new();
        write_request(&mut bytes, &["GET", "a key"]);
        assert_eq!(bytes, b"*2\r\n$3\r\nGET\r\n$5\r\na key\r\n");
    }
}
