//! Reads all requests of an input, arriving whole or in pieces.

use crate::resp::{ProtocolError, RequestLimits, RequestParser};

/// Small limits, so that short inputs reach every one of them.
pub const SMALL_LIMITS: RequestLimits = RequestLimits {
    max_arguments: 20,
    max_bulk_bytes: 32,
    max_inline_bytes: 24,
    max_request_bytes: 96,
    authenticated: true,
};

/// What a parser may hold from earlier requests.
const KEPT_BYTES: usize = 16 * 1024;

/// What a parser may hold for each byte that arrived. The densest request is a line of one-letter words: two
/// bytes each, for a span of eight that may have been allocated twice over.
const HELD_PER_BYTE: usize = 12;

/// The requests of an input with whether each was inline, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Requests {
    /// Every complete request.
    pub requests: Vec<(bool, Vec<Vec<u8>>)>,
    /// How many bytes were left over, or why no more could be read.
    pub end: Result<usize, ProtocolError>,
}

/// Reads `input` in pieces that end at `splits` (in ascending order) and at its end, and checks the memory in use.
pub fn read(input: &[u8], limits: &RequestLimits, splits: impl Iterator<Item = usize>) -> Requests {
    let mut parser = RequestParser::new();
    let (mut requests, mut start) = (Vec::new(), 0);
    for end in splits.chain([input.len()]) {
        loop {
            let buffer = &input[start..end];
            let result = parser.parse(buffer, limits);
            assert!(parser.allocated_bytes() <= KEPT_BYTES + HELD_PER_BYTE * buffer.len());
            match result {
                Ok(Some(length)) => {
                    assert!(parser.is_idle());
                    assert!(0 < length && length <= buffer.len());
                    let request = parser.request(buffer);
                    requests.push((request.is_inline(), request.iter().map(<[u8]>::to_vec).collect()));
                    start += length;
                }
                Ok(None) => {
                    let limit = limits.max_bulk_bytes + 2;
                    assert!(parser.missing_bytes() <= limit);
                    break;
                }
                Err(error) => return Requests { requests, end: Err(error) },
            }
        }
        if end % 7 == 0 {
            parser.shrink();
        }
    }
    Requests { requests, end: Ok(input.len() - start) }
}

/// Places to split `input`, which depend on nothing but it and `seed`: a found crash happens again.
#[must_use]
pub fn splits(input: &[u8], seed: u64) -> Vec<usize> {
    let mut state = input.iter().fold(0xcbf2_9ce4_8422_2325_u64 ^ seed, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut splits: Vec<usize> = (0..input.len() / 8 + 1)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            usize::try_from(state >> 33).unwrap_or_default() % (input.len() + 1)
        })
        .collect();
    splits.sort_unstable();
    splits
}
