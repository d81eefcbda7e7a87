//! What holds for every request: its limits, its memory, and that splitting changes nothing.

use proptest::prelude::*;

use super::tests::{check_allowed, check_error, read};
use super::*;
use crate::resp::write_request;

const DEFAULT: RequestLimits = RequestLimits::AUTHENTICATED_DEFAULT;

/// Small limits, so that each can be reached and passed by one.
const SMALL: RequestLimits = RequestLimits {
    max_arguments: 12,
    max_bulk_bytes: 20,
    max_inline_bytes: 10,
    max_request_bytes: 60,
    authenticated: true,
};

#[test]
fn limits_hold_exactly() {
    check_allowed(b"*12\r\n", &SMALL);
    check_error(b"*13\r\n", &SMALL, ProtocolError::InvalidMultibulkLength);
    check_error(
        b"*9\r\n",
        &RequestLimits { max_arguments: 8, ..SMALL },
        ProtocolError::InvalidMultibulkLength,
    );
    check_allowed(b"*1\r\n$20\r\n", &SMALL);
    check_error(b"*1\r\n$21\r\n", &SMALL, ProtocolError::InvalidBulkLength);
    check_error(
        b"*1\r\n$9\r\n",
        &RequestLimits { max_bulk_bytes: 8, ..SMALL },
        ProtocolError::InvalidBulkLength,
    );
    check_allowed(b"1234567890\r", &RequestLimits { max_inline_bytes: 11, ..SMALL });
    check_allowed(b"123456789\r\n", &SMALL);
    check_allowed(b"1234567890\n", &SMALL);
    check_error(b"12345678901", &SMALL, ProtocolError::TooBigInlineRequest);
    check_error(b"12345678901\n", &SMALL, ProtocolError::TooBigInlineRequest);
    check_error(b"*1234567890", &SMALL, ProtocolError::TooBigCountLine);
    check_error(b"*123456789\r\n", &SMALL, ProtocolError::InvalidMultibulkLength);
    check_error(b"*1\r\n$1234567890\r\n", &SMALL, ProtocolError::TooBigLengthLine);
    let line = b"*1\r\n$20\r\n".len();
    let limits = RequestLimits { max_request_bytes: line + 22, ..SMALL };
    check_allowed(b"*1\r\n$20\r\n", &limits);
    let limits = RequestLimits { max_request_bytes: line + 21, ..SMALL };
    check_error(b"*1\r\n$20\r\n", &limits, ProtocolError::TooBigRequest);
}

#[test]
fn limits_that_hold_until_authentication() {
    let limits = &RequestLimits::UNAUTHENTICATED;
    check_allowed(b"*10\r\n", limits);
    check_error(b"*11\r\n", limits, ProtocolError::UnauthenticatedMultibulkLength);
    check_error(b"*1048577\r\n", limits, ProtocolError::InvalidMultibulkLength);
    check_allowed(b"*1\r\n$16384\r\n", limits);
    check_error(b"*1\r\n$16385\r\n", limits, ProtocolError::UnauthenticatedBulkLength);
    check_error(b"*1\r\n$536870913\r\n", limits, ProtocolError::InvalidBulkLength);
}

#[test]
fn extreme_limits_do_not_overflow() {
    let limits = RequestLimits {
        max_arguments: u32::MAX,
        max_bulk_bytes: usize::MAX,
        max_inline_bytes: usize::MAX,
        max_request_bytes: usize::MAX,
        authenticated: true,
    };
    check_error(b"*1\r\n$9223372036854775807\r\n", &limits, ProtocolError::TooBigRequest);
    check_error(b"*1\r\n$4294967295\r\n", &limits, ProtocolError::TooBigRequest);
    check_allowed(b"*4294967295\r\n", &limits);
    check_allowed(b"PING", &limits);
}

#[test]
fn missing_bytes_are_those_of_the_announced_bulk() {
    let mut parser = RequestParser::new();
    let input = b"*1\r\n$1000\r\nabc";
    assert_eq!(parser.parse(&input[..8], &DEFAULT), Ok(None));
    assert_eq!(parser.missing_bytes(), 0);
    assert_eq!(parser.parse(input, &DEFAULT), Ok(None));
    assert_eq!(parser.missing_bytes(), 999);
    assert!(!parser.is_idle());
}

#[test]
fn an_announced_count_allocates_nothing() {
    let mut parser = RequestParser::new();
    assert_eq!(parser.parse(b"*1000000\r\n", &DEFAULT), Ok(None));
    assert_eq!(parser.allocated_bytes(), 0);
}

#[test]
fn memory_of_a_big_request_is_given_back() {
    let mut parser = RequestParser::new();
    let mut input = b"*20000\r\n".to_vec();
    input.extend_from_slice(&b"$1\r\na\r\n".repeat(20_000));
    assert_eq!(parser.parse(&input[..input.len() - 1], &DEFAULT), Ok(None));
    parser.shrink();
    assert_eq!(parser.parse(&input, &DEFAULT), Ok(Some(input.len())));
    assert_eq!(parser.request(&input).len(), 20_000);
    assert!(parser.allocated_bytes() <= 2 * 8 * 20_000 + 64);
    parser.shrink();
    assert_eq!(parser.allocated_bytes(), 0);
    assert!(parser.request(&input).is_empty());

    assert_eq!(parser.parse(&input, &DEFAULT), Ok(Some(input.len())));
    assert_eq!(parser.parse(b"PING\r\n", &DEFAULT), Ok(Some(6)));
    assert_eq!(parser.allocated_bytes(), 0, "the next request drops it, too");
}

#[test]
fn an_idle_parser_is_small() {
    assert!(size_of::<RequestParser>() <= 240, "{} bytes", size_of::<RequestParser>());
}

/// What [`read`] finds when the input arrives in pieces that end at `splits`, in a buffer that moves every time.
fn read_in_pieces(
    input: &[u8],
    limits: &RequestLimits,
    splits: impl Iterator<Item = usize>,
) -> (Vec<Vec<Vec<u8>>>, Result<usize, ProtocolError>) {
    let mut parser = RequestParser::new();
    let (mut requests, mut start) = (Vec::new(), 0);
    for end in splits.chain([input.len()]) {
        loop {
            let buffer = input[start..end].to_vec();
            match parser.parse(&buffer, limits) {
                Ok(Some(length)) => {
                    requests.push(parser.request(&buffer).iter().map(<[u8]>::to_vec).collect());
                    start += length;
                }
                Ok(None) => break,
                Err(error) => return (requests, Err(error)),
            }
        }
    }
    (requests, Ok(input.len() - start))
}

/// Bytes that are likely to be nearly a request.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => (0..4_u32, prop::collection::vec(any::<u8>(), 0..24)).prop_map(|(count, bytes)| {
            let mut wire = Vec::new();
            write_request(&mut wire, &vec![bytes; count as usize]);
            wire
        }),
        2 => "[*$][-0-9]{0,3}\r\n".prop_map(String::into_bytes),
        2 => "[a-z \"'\\\\]{0,12}\r?\n".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn splitting_changes_nothing(input in wire(), splits in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        for limits in [DEFAULT, SMALL, RequestLimits::UNAUTHENTICATED] {
            let whole = read(&input, &limits);
            prop_assert_eq!(&read_in_pieces(&input, &limits, 0..input.len()), &whole);
            let mut splits: Vec<usize> = splits.iter().map(|split| split.index(input.len() + 1)).collect();
            splits.sort_unstable();
            prop_assert_eq!(&read_in_pieces(&input, &limits, splits.into_iter()), &whole);
        }
    }

    #[test]
    fn what_is_written_is_read(requests in prop::collection::vec(
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..40), 0..6)) {
        let mut input = Vec::new();
        for request in &requests {
            write_request(&mut input, request);
        }
        prop_assert_eq!(read(&input, &DEFAULT), (requests, Ok(0)));
    }

    #[test]
    fn the_bytes_of_arguments_are_those_of_the_wire(
        arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..24),
        ends: (prop::sample::Index, prop::sample::Index),
    ) {
        let mut input = Vec::new();
        write_request(&mut input, &arguments);
        let mut parser = RequestParser::new();
        prop_assert_eq!(parser.parse(&input, &DEFAULT), Ok(Some(input.len())));
        let (one, other) = (ends.0.index(arguments.len()), ends.1.index(arguments.len()));
        let range = one.min(other)..one.max(other) + 1;
        let mut expected = Vec::new();
        write_request(&mut expected, &arguments[range.clone()]);
        let header = format!("*{}\r\n", range.len());
        let bytes = parser.request(&input).bytes_of(range).expect("the range is within the request");
        prop_assert_eq!([header.as_bytes(), bytes].concat(), expected);
    }
}

#[test]
fn ranges_without_wire_bytes() {
    let mut parser = RequestParser::new();
    let input = b"*1\r\n$4\r\nPING\r\n";
    assert_eq!(parser.parse(input, &DEFAULT), Ok(Some(input.len())));
    let request = parser.request(input);
    assert_eq!(request.bytes_of(0..1), Some(&b"$4\r\nPING\r\n"[..]));
    assert_eq!(request.bytes_of(0..0), None);
    assert_eq!(request.bytes_of(0..2), None);
    assert_eq!(parser.parse(b"PING\n", &DEFAULT), Ok(Some(5)));
    assert_eq!(parser.request(b"PING\n").bytes_of(0..1), None);
}
