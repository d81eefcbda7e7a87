//! What this parser and the reference both accept, they read alike; requests in plain form, both accept.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quotad_fuzz::resp::{RequestLimits, RequestParser, write_request};
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;

/// How deep the reference may recurse. It has no limit of its own, and a level needs an asterisk.
const MAX_ASTERISKS: usize = 64;

/// The arguments, if the frame is what clients send: an array of bulk strings.
fn arguments(frame: OwnedFrame) -> Option<Vec<Vec<u8>>> {
    match frame {
        OwnedFrame::Null => Some(Vec::new()),
        OwnedFrame::Array(elements) => elements
            .into_iter()
            .map(|element| match element {
                OwnedFrame::BulkString(bytes) => Some(bytes),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fuzz_target!(|input: &[u8]| {
    let limits = RequestLimits::AUTHENTICATED_DEFAULT;
    let mut parser = RequestParser::new();
    let mut rest = input;
    while rest.first() == Some(&b'*') {
        if rest.iter().filter(|&&byte| byte == b'*').count() > MAX_ASTERISKS {
            return;
        }
        let reference = decode(rest)
            .ok()
            .flatten()
            .and_then(|(frame, length)| arguments(frame).map(|arguments| (arguments, length)));
        let Ok(Some(length)) = parser.parse(rest, &limits) else {
            if let Some((arguments, length)) = reference {
                let mut plain = Vec::new();
                write_request(&mut plain, &arguments);
                assert_ne!(plain, rest[..length], "a request that only the reference accepts");
            }
            return;
        };
        let request = parser.request(rest);
        match reference {
            Some((expected, expected_length)) => {
                assert_eq!(request.iter().collect::<Vec<_>>(), expected);
                assert_eq!(length, expected_length);
            }
            // Redis ignores any negative count, the reference knows -1 alone.
            None => assert!(request.is_empty(), "a request that the reference refuses: {request:?}"),
        }
        rest = &rest[length..];
    }
});
