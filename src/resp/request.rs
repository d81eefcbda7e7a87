//! Reads requests from bytes: a flat parser that goes on at the byte where it stopped.

use super::arguments::{Request, Span, Spans};
use super::decimal::decimal;
use super::error::ProtocolError;
use super::inline;
use super::limits::RequestLimits;

/// Longest request whatever the limits say, so that a place in it fits 32 bits.
const ADDRESSABLE_BYTES: usize = u32::MAX as usize;

/// CR LF, which ends every line and every bulk string.
const LINE_END: &[u8; 2] = b"\r\n";

/// How far the request at the beginning of the buffer has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not at all: the next byte is its first.
    Start,
    /// It begins with `*`, and its count is not complete.
    Count,
    /// Its count is known and some bulk strings are still to be read.
    Bulks,
    /// It is a line that has not ended.
    Inline,
}

/// Reads one request after the other from a buffer that grows at its end and is consumed at its beginning.
///
/// A parser is small, holds no heap memory for requests of up to 24 arguments, and is cheap to make; where a request
/// is incomplete it remembers how far it came, so no byte is looked at more than a few times however it arrives.
#[derive(Debug)]
pub struct RequestParser {
    stage: Stage,
    /// How many bulk strings are still to be read.
    pending: u32,
    /// Where the line or bulk string begins that is being read.
    position: usize,
    /// Up to where no line end was found. Counted from the beginning of the buffer, so that it is harmless once
    /// `position` has gone past it.
    searched_to: usize,
    /// How many bytes the bulk string being read lacked at the last call.
    missing_bytes: usize,
    spans: Spans,
}

impl RequestParser {
    /// A parser that has read nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            stage: Stage::Start,
            pending: 0,
            position: 0,
            searched_to: 0,
            missing_bytes: 0,
            spans: Spans::new(),
        }
    }

    /// Reads on in the request at the beginning of `buffer`.
    ///
    /// `Some(n)`: it is complete and `n` bytes long; look at it with [`RequestParser::request`], then drop `n` bytes and
    /// call again. `None`: more bytes are needed; call again with the same bytes and some more behind them (the
    /// buffer may have moved).
    ///
    /// # Errors
    /// The bytes are no request, or one over the limits. The connection must be closed after the text was sent.
    #[inline]
    pub fn parse(&mut self, buffer: &[u8], limits: &RequestLimits) -> Result<Option<usize>, ProtocolError> {
        self.missing_bytes = 0;
        if self.stage == Stage::Start {
            self.spans.clear();
            match buffer {
                [] => return Ok(None),
                // Nearly every request; what a limit refuses is left to the general way, which knows the text.
                &[b'*', digit @ b'1'..=b'9', b'\r', b'\n', ..]
                    if u32::from(digit - b'0') <= limits.max_arguments =>
                {
                    self.pending = u32::from(digit - b'0');
                    self.position = 4;
                    return self.parse_bulks(buffer, limits);
                }
                &[b'*', tens @ b'1'..=b'9', digit @ b'0'..=b'9', b'\r', b'\n', ..]
                    if u32::from(tens - b'0') * 10 + u32::from(digit - b'0') <= limits.max_arguments =>
                {
                    self.pending = u32::from(tens - b'0') * 10 + u32::from(digit - b'0');
                    self.position = 5;
                    return self.parse_bulks(buffer, limits);
                }
                [b'*', ..] => self.stage = Stage::Count,
                _ => self.stage = Stage::Inline,
            }
        }
        match self.stage {
            Stage::Inline => self.parse_inline(buffer, limits),
            Stage::Start | Stage::Count => self.parse_count(buffer, limits),
            Stage::Bulks => self.parse_bulks(buffer, limits),
        }
    }

    /// The request that the last call of [`RequestParser::parse`] found complete. `buffer` must begin with the same
    /// bytes as then.
    #[inline]
    #[must_use]
    pub fn request<'a>(&'a self, buffer: &'a [u8]) -> Request<'a> {
        self.spans.request(buffer)
    }

    /// How many bytes at least the bulk string still lacks at which the last call stopped, its CR LF included; 0 if
    /// that is not known. A reader can size its buffer by it; the number is within the limits, but only announced.
    #[must_use]
    pub fn missing_bytes(&self) -> usize {
        self.missing_bytes
    }

    /// Whether no request is half read. Such a parser can be dropped or serve another connection.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Start
    }

    /// Gives memory back. An idle parser holds none afterwards, and forgets its last request; one with a request
    /// half read keeps what it needs.
    pub fn shrink(&mut self) {
        self.spans.shrink(!self.is_idle());
    }

    /// How many bytes are allocated beside the parser itself.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.spans.allocated_bytes()
    }

    fn complete(&mut self, length: usize) -> Option<usize> {
        self.stage = Stage::Start;
        self.position = 0;
        self.searched_to = 0;
        Some(length)
    }

    #[cold]
    fn parse_count(&mut self, buffer: &[u8], limits: &RequestLimits) -> Result<Option<usize>, ProtocolError> {
        let (count, behind) = match self.number_line(buffer, limits) {
            Line::Incomplete => return Ok(None),
            Line::TooLong => return Err(ProtocolError::TooBigCountLine),
            Line::Malformed => return Err(ProtocolError::InvalidMultibulkLength),
            Line::Number { number, behind } => (number, behind),
        };
        if count <= 0 {
            return Ok(self.complete(behind));
        }
        match u32::try_from(count) {
            Ok(count) if count <= limits.max_arguments => self.pending = count,
            _ if limits.only_authentication_allows_count(count) => {
                return Err(ProtocolError::UnauthenticatedMultibulkLength);
            }
            _ => return Err(ProtocolError::InvalidMultibulkLength),
        }
        self.position = behind;
        self.parse_bulks(buffer, limits)
    }

    #[inline]
    fn parse_bulks(&mut self, buffer: &[u8], limits: &RequestLimits) -> Result<Option<usize>, ProtocolError> {
        let max_end = limits.max_request_bytes.min(ADDRESSABLE_BYTES);
        let mut position = self.position;
        let mut pending = self.pending;
        while pending > 0 {
            let (length, start) = match buffer.get(position..) {
                Some(&[b'$', digit @ b'0'..=b'9', b'\r', b'\n', ..]) => {
                    (usize::from(digit - b'0'), position + 4)
                }
                Some(&[b'$', tens @ b'1'..=b'9', digit @ b'0'..=b'9', b'\r', b'\n', ..]) => {
                    (usize::from(tens - b'0') * 10 + usize::from(digit - b'0'), position + 5)
                }
                _ => {
                    self.position = position;
                    self.pending = pending;
                    match self.length_line(buffer, limits)? {
                        Some(found) => found,
                        None => {
                            self.stage = Stage::Bulks;
                            return Ok(None);
                        }
                    }
                }
            };
            if length > limits.max_bulk_bytes {
                return Err(refused_length(length, limits));
            }
            let end = start.saturating_add(length);
            let behind = end.saturating_add(LINE_END.len());
            if behind > max_end {
                return Err(ProtocolError::TooBigRequest);
            }
            match buffer.get(end..behind) {
                Some(b"\r\n") => {}
                Some(_) => return Err(ProtocolError::ExpectedLineEndAfterBulk),
                None => {
                    // The line with the length is read again next time: that costs less than another stage.
                    self.stage = Stage::Bulks;
                    self.position = position;
                    self.pending = pending;
                    self.missing_bytes = behind - buffer.len();
                    return Ok(None);
                }
            }
            self.spans.push(Span::new(start, length));
            position = behind;
            pending -= 1;
        }
        Ok(self.complete(position))
    }

    /// The length that the line at `position` announces, and where the bulk string's bytes begin.
    #[cold]
    fn length_line(
        &mut self,
        buffer: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<(usize, usize)>, ProtocolError> {
        match buffer.get(self.position) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&found) => return Err(ProtocolError::ExpectedBulk { found }),
        }
        match self.number_line(buffer, limits) {
            Line::Incomplete => Ok(None),
            Line::TooLong => Err(ProtocolError::TooBigLengthLine),
            Line::Malformed => Err(ProtocolError::InvalidBulkLength),
            Line::Number { number, behind } => match usize::try_from(number) {
                Ok(length) => Ok(Some((length, behind))),
                Err(_) => Err(ProtocolError::InvalidBulkLength),
            },
        }
    }

    /// Reads the line at `position`, which is one byte of type and a number. Where it is incomplete, the search for
    /// its end goes on behind the bytes that were searched.
    fn number_line(&mut self, buffer: &[u8], limits: &RequestLimits) -> Line {
        let line = buffer.get(self.position..).unwrap_or_default();
        let searched = line.get(..=limits.max_inline_bytes).unwrap_or(line);
        let known = self.searched_to.saturating_sub(self.position).min(searched.len());
        let Some(found) = memchr::memchr(b'\r', &searched[known..]) else {
            self.searched_to = self.position + searched.len();
            return if searched.len() > limits.max_inline_bytes { Line::TooLong } else { Line::Incomplete };
        };
        let length = known + found;
        match line.get(length + 1) {
            None => {
                self.searched_to = self.position + length;
                Line::Incomplete
            }
            Some(b'\n') => match line.get(1..length).and_then(decimal) {
                Some(number) => Line::Number { number, behind: self.position + length + LINE_END.len() },
                None => Line::Malformed,
            },
            Some(_) => Line::Malformed,
        }
    }

    #[cold]
    fn parse_inline(
        &mut self,
        buffer: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<usize>, ProtocolError> {
        if buffer.starts_with(&[0x16, 0x03]) {
            // A handshake record of TLS 1.x. No command begins with this byte, and the hello has no line end.
            return Err(ProtocolError::TlsHello);
        }
        let searched = buffer.get(..=limits.max_inline_bytes).unwrap_or(buffer);
        let known = self.searched_to.min(searched.len());
        let Some(found) = memchr::memchr(b'\n', &searched[known..]) else {
            self.searched_to = searched.len();
            return if searched.len() > limits.max_inline_bytes {
                Err(ProtocolError::TooBigInlineRequest)
            } else {
                Ok(None)
            };
        };
        let length = known + found;
        let line = &buffer[..length];
        inline::split(line.strip_suffix(b"\r").unwrap_or(line), &mut self.spans)?;
        Ok(self.complete(length + 1))
    }
}

impl Default for RequestParser {
    fn default() -> Self {
        Self::new()
    }
}

/// What stands where a count or a length is expected.
enum Line {
    Incomplete,
    TooLong,
    Malformed,
    Number { number: i64, behind: usize },
}

#[cold]
fn refused_length(length: usize, limits: &RequestLimits) -> ProtocolError {
    if limits.only_authentication_allows_length(length) {
        ProtocolError::UnauthenticatedBulkLength
    } else {
        ProtocolError::InvalidBulkLength
    }
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: RequestLimits = RequestLimits::AUTHENTICATED_DEFAULT;

    /// The requests and, at the end, the error or the bytes left over, of the whole input at once.
    pub(super) fn read(
        input: &[u8],
        limits: &RequestLimits,
    ) -> (Vec<Vec<Vec<u8>>>, Result<usize, ProtocolError>) {
        let mut parser = RequestParser::new();
        let (mut requests, mut rest) = (Vec::new(), input);
        loop {
            match parser.parse(rest, limits) {
                Ok(Some(length)) => {
                    assert!(parser.is_idle());
                    requests.push(parser.request(rest).iter().map(<[u8]>::to_vec).collect());
                    rest = &rest[length..];
                }
                Ok(None) => return (requests, Ok(rest.len())),
                Err(error) => return (requests, Err(error)),
            }
        }
    }

    fn check(input: &[u8], expected: &[&[&[u8]]]) {
        let (requests, rest) = read(input, &DEFAULT);
        assert_eq!(requests, expected, "{}", input.escape_ascii());
        assert_eq!(rest, Ok(0), "{}", input.escape_ascii());
    }

    fn check_incomplete(input: &[u8]) {
        assert_eq!(read(input, &DEFAULT), (vec![], Ok(input.len())), "{}", input.escape_ascii());
    }

    pub(super) fn check_error(input: &[u8], limits: &RequestLimits, expected: ProtocolError) {
        assert_eq!(read(input, limits).1, Err(expected), "{}", input.escape_ascii());
    }

    pub(super) fn check_allowed(input: &[u8], limits: &RequestLimits) {
        assert!(read(input, limits).1.is_ok(), "{}", input.escape_ascii());
    }

    #[test]
    fn arrays_of_bulk_strings() {
        check(b"*1\r\n$4\r\nPING\r\n", &[&[b"PING"]]);
        check(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", &[&[b"GET", b""]]);
        check(b"*1\r\n$6\r\na\r\n\0\xff*\r\n", &[&[b"a\r\n\0\xff*"]]);
        check(b"*1\r\n$12\r\nabcdefghijkl\r\n", &[&[b"abcdefghijkl"]]);
        check(b"*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\nPING\r\n", &[&[b"a"], &[b"b"], &[b"PING"]]);
        check(b"", &[]);
    }

    #[test]
    fn lengths_of_every_amount_of_digits() {
        for length in [9, 10, 99, 100, 999, 1000, 100_000] {
            let argument = vec![b'x'; length];
            let mut input = format!("*1\r\n${length}\r\n").into_bytes();
            input.extend_from_slice(&argument);
            input.extend_from_slice(b"\r\n");
            check(&input, &[&[&argument]]);
        }
    }

    #[test]
    fn requests_without_a_name() {
        for input in ["*0\r\n", "*-1\r\n", "*-7\r\n", "\r\n", "\n", "  \r\n"] {
            check(input.as_bytes(), &[&[]]);
        }
        check(b"*-9223372036854775808\r\nPING\n", &[&[], &[b"PING"]]);
    }

    #[test]
    fn inline_requests() {
        check(b"PING\r\n", &[&[b"PING"]]);
        check(b"PING\nPING\r\n", &[&[b"PING"], &[b"PING"]]);
        check(b" SET  key 'a value'\r\n", &[&[b"SET", b"key", b"a value"]]);
        check(b"$5\r\n", &[&[b"$5"]]);
        check(b"\x16\n", &[&[b"\x16"]]);
        check_error(b"GET \"key\r\n", &DEFAULT, ProtocolError::UnbalancedQuotes);
    }

    #[test]
    fn every_beginning_of_a_request_is_incomplete() {
        let inputs: [&[u8]; 3] =
            [b"*3\r\n$6\r\nINCRBY\r\n$16\r\nkey:000000012345\r\n$1\r\n5\r\n", b"PING\r\n", b"*-1\r\n"];
        for input in inputs {
            for length in 0..input.len() {
                check_incomplete(&input[..length]);
            }
        }
    }

    /// The second length arrives in two pieces; what was searched of it must not be counted for later lines.
    #[test]
    fn lines_in_pieces_leave_nothing_behind() {
        let input = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\n";
        let mut parser = RequestParser::new();
        for length in 0..input.len() {
            assert_eq!(parser.parse(&input[..length], &DEFAULT), Ok(None));
        }
        let mut whole = input.to_vec();
        whole.extend_from_slice(&[b'x'; 100]);
        whole.extend_from_slice(b"\r\n");
        assert_eq!(parser.parse(&whole, &DEFAULT), Ok(Some(whole.len())));
        assert_eq!(parser.request(&whole).arg(2), [b'x'; 100]);
    }

    #[test]
    fn counts_that_are_refused() {
        let inputs = [
            "*\r\n", "*-\r\n", "*01\r\n", "*+1\r\n", "* 1\r\n", "*1 \r\n", "*-0\r\n", "*x\r\n", "*1\rx",
            "*1\n\r\n",
        ];
        for input in inputs {
            check_error(input.as_bytes(), &DEFAULT, ProtocolError::InvalidMultibulkLength);
        }
        for count in ["1048577", "3000000000", "9223372036854775808"] {
            let input = format!("*{count}\r\n");
            check_error(input.as_bytes(), &DEFAULT, ProtocolError::InvalidMultibulkLength);
        }
        check_allowed(b"*1048576\r\n", &DEFAULT);
    }

    #[test]
    fn lengths_that_are_refused() {
        for length in
            ["", "-1", "-10", "01", "+1", "blabla", "1\rx", "536870913", "2000000000", "99999999999"]
        {
            let input = format!("*1\r\n${length}\r\n");
            check_error(input.as_bytes(), &DEFAULT, ProtocolError::InvalidBulkLength);
        }
        check_allowed(b"*1\r\n$536870912\r\n", &DEFAULT);
    }

    #[test]
    fn elements_that_are_no_bulk_strings() {
        check_error(b"*1\r\nfooz\r\n", &DEFAULT, ProtocolError::ExpectedBulk { found: b'f' });
        check_error(b"*2\r\n$1\r\na\r\n:1\r\n", &DEFAULT, ProtocolError::ExpectedBulk { found: b':' });
        check_error(&b"*1\r\n".repeat(1_000_000), &DEFAULT, ProtocolError::ExpectedBulk { found: b'*' });
    }

    #[test]
    fn a_bulk_string_ends_with_a_line_end() {
        for input in ["*1\r\n$1\r\nabc", "*1\r\n$1\r\na\n\n", "*1\r\n$1\r\na\r\r", "*1\r\n$0\r\n$0"] {
            check_error(input.as_bytes(), &DEFAULT, ProtocolError::ExpectedLineEndAfterBulk);
        }
    }

    #[test]
    fn a_tls_hello_is_recognised() {
        check_error(b"\x16\x03\x01\x02\x00\x01", &DEFAULT, ProtocolError::TlsHello);
        check_error(b"\x16\x03", &DEFAULT, ProtocolError::TlsHello);
        check_incomplete(b"\x16");
    }
}
