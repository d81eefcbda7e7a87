//! Reads requests from bytes: a flat parser that goes on at the byte where it stopped.

use super::arguments::{Request, Span, Spans};
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
/// A parser is small, holds no heap memory for requests of up to 16 arguments, and is cheap to make; where a request
/// is incomplete it remembers how far it came, so no byte is looked at more than a few times however it arrives.
#[derive(Debug)]
pub struct RequestParser {
    stage: Stage,
    /// How many bulk strings are still to be read.
    pending: u32,
    /// Where the line or bulk string begins that is being read.
    position: usize,
    /// How many bytes from `position` on are known not to end the line.
    scanned_bytes: usize,
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
            scanned_bytes: 0,
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
                // Only counts that no limit refuses: before authentication, ten arguments are allowed.
                &[b'*', digit @ b'1'..=b'9', b'\r', b'\n', ..]
                    if u32::from(digit - b'0') <= limits.max_arguments =>
                {
                    self.pending = u32::from(digit - b'0');
                    self.position = 4;
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

    fn complete(&mut self, length: usize) -> Option<usize> {
        self.stage = Stage::Start;
        self.position = 0;
        self.scanned_bytes = 0;
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
        let Some(found) = memchr::memchr(b'\r', &searched[self.scanned_bytes..]) else {
            self.scanned_bytes = searched.len();
            return if searched.len() > limits.max_inline_bytes { Line::TooLong } else { Line::Incomplete };
        };
        let length = self.scanned_bytes + found;
        match line.get(length + 1) {
            None => {
                self.scanned_bytes = length;
                Line::Incomplete
            }
            Some(b'\n') => {
                self.scanned_bytes = 0;
                match line.get(1..length).and_then(decimal) {
                    Some(number) => Line::Number { number, behind: self.position + length + LINE_END.len() },
                    None => Line::Malformed,
                }
            }
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
        let Some(found) = memchr::memchr(b'\n', &searched[self.scanned_bytes..]) else {
            self.scanned_bytes = searched.len();
            return if searched.len() > limits.max_inline_bytes {
                Err(ProtocolError::TooBigInlineRequest)
            } else {
                Ok(None)
            };
        };
        let length = self.scanned_bytes + found;
        let line = &buffer[..length];
        inline::split(line.strip_suffix(b"\r").unwrap_or(line), &mut self.spans)?;
        Ok(self.complete(length + 1))
    }

    /// How many bytes are allocated beside the parser itself.
    #[cfg(test)]
    fn allocated_bytes(&self) -> usize {
        self.spans.allocated_bytes()
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

/// A decimal number as Redis's `string2ll` takes it: no plus sign, blank or leading zero, no `-0`, within 64 bits.
fn decimal(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits == b"0" && !is_negative {
        return Some(0);
    }
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    digits.iter().try_fold(0_i64, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => i64::from(byte - b'0'),
            _ => return None,
        };
        let shifted = number.checked_mul(10)?;
        if is_negative { shifted.checked_sub(digit) } else { shifted.checked_add(digit) }
    })
}
