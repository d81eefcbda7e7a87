//! What makes a request unreadable, with Redis's texts.

use std::fmt;

/// Bytes that are no request. The connection gets the text as an error and is closed: where the next request
/// would begin is unknown.
///
/// `Display` gives the text after `-ERR `. The texts are those of Redis 7.0's `networking.c`, except for the
/// variants that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A count that is no number or over the limit.
    InvalidMultibulkLength,
    /// A count over the limit that holds until authentication.
    UnauthenticatedMultibulkLength,
    /// The line with the count does not end.
    TooBigCountLine,
    /// Something other than a bulk string inside a request; nested arrays end here too.
    ExpectedBulk {
        /// The byte that stands where `$` was expected.
        found: u8,
    },
    /// A length that is no number, negative or over the limit.
    InvalidBulkLength,
    /// A length over the limit that holds until authentication.
    UnauthenticatedBulkLength,
    /// The line with the length does not end.
    TooBigLengthLine,
    /// A bulk string without CR LF behind it. Redis does not look, and reads on out of step.
    ExpectedLineEndAfterBulk,
    /// The request as a whole is over `max_request_bytes`. Redis closes the connection without a text.
    TooBigRequest,
    /// An inline request that does not end.
    TooBigInlineRequest,
    /// An inline request with an open quote, or with text right behind a closing one.
    UnbalancedQuotes,
    /// The first bytes of a TLS handshake. Redis waits for a line that never ends.
    TlsHello,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::TooBigCountLine => "too big mbulk count string",
            Self::ExpectedBulk { found } => {
                // A byte that is not printable is escaped: a simple error is one line of text.
                return write!(formatter, "Protocol error: expected '$', got '{}'", found.escape_ascii());
            }
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::TooBigLengthLine => "too big bulk count string",
            Self::ExpectedLineEndAfterBulk => "expected CRLF after bulk",
            Self::TooBigRequest => "too big request",
            Self::TooBigInlineRequest => "too big inline request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::TlsHello => "this port speaks plain Redis protocol, not TLS",
        };
        write!(formatter, "Protocol error: {text}")
    }
}

impl std::error::Error for ProtocolError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: ProtocolError, expected: &str) {
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn texts_are_those_of_redis() {
        check(ProtocolError::InvalidMultibulkLength, "Protocol error: invalid multibulk length");
        check(
            ProtocolError::UnauthenticatedMultibulkLength,
            "Protocol error: unauthenticated multibulk length",
        );
        check(ProtocolError::TooBigCountLine, "Protocol error: too big mbulk count string");
        check(ProtocolError::ExpectedBulk { found: b'x' }, "Protocol error: expected '$', got 'x'");
        check(ProtocolError::InvalidBulkLength, "Protocol error: invalid bulk length");
        check(ProtocolError::UnauthenticatedBulkLength, "Protocol error: unauthenticated bulk length");
        check(ProtocolError::TooBigLengthLine, "Protocol error: too big bulk count string");
        check(ProtocolError::TooBigInlineRequest, "Protocol error: too big inline request");
        check(ProtocolError::UnbalancedQuotes, "Protocol error: unbalanced quotes in request");
    }

    #[test]
    fn texts_of_our_own() {
        check(ProtocolError::ExpectedLineEndAfterBulk, "Protocol error: expected CRLF after bulk");
        check(ProtocolError::TooBigRequest, "Protocol error: too big request");
        check(ProtocolError::TlsHello, "Protocol error: this port speaks plain Redis protocol, not TLS");
    }

    #[test]
    fn a_byte_that_is_not_printable_is_escaped() {
        check(ProtocolError::ExpectedBulk { found: 0 }, r"Protocol error: expected '$', got '\x00'");
        check(ProtocolError::ExpectedBulk { found: b'\n' }, r"Protocol error: expected '$', got '\n'");
    }
}
