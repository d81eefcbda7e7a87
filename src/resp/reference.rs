//! Compares encoded replies with what an independent decoder reads. For tests and fuzz targets alone.

use redis_protocol::resp2::types::OwnedFrame as Frame2;
use redis_protocol::resp3::types::{OwnedFrame as Frame3, VerbatimStringFormat};

use crate::resp::{Protocol, Reply, ReplyWriter, VerbatimFormat};

/// The bytes of one reply.
///
/// # Panics
/// If the writer counts more or less than one whole reply.
pub fn encode(reply: &Reply, protocol: Protocol) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ReplyWriter::new(&mut bytes, protocol);
    writer.begin();
    reply.write_to(&mut writer);
    writer.end();
    bytes
}

/// Encodes and decodes `reply` in both versions of the protocol.
///
/// # Panics
/// If the decoder reads something else, or leaves bytes over.
pub fn check(reply: &Reply) {
    let bytes = encode(reply, Protocol::Resp2);
    let decoded = redis_protocol::resp2::decode::decode(&bytes).ok().flatten();
    let (frame, length) = decoded.unwrap_or_else(|| panic!("{reply:?} as {}", bytes.escape_ascii()));
    assert_eq!(length, bytes.len(), "{reply:?} as {}", bytes.escape_ascii());
    assert!(agrees_resp2(reply, &frame), "{reply:?} as {} is {frame:?}", bytes.escape_ascii());

    let bytes = encode(reply, Protocol::Resp3);
    let decoded = redis_protocol::resp3::decode::complete::decode(&bytes).ok().flatten();
    let (frame, length) = decoded.unwrap_or_else(|| panic!("{reply:?} as {}", bytes.escape_ascii()));
    assert_eq!(length, bytes.len(), "{reply:?} as {}", bytes.escape_ascii());
    assert!(agrees_resp3(reply, &frame), "{reply:?} as {} is {frame:?}", bytes.escape_ascii());
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

fn is_same_number(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan())
}

fn agrees_resp2(reply: &Reply, frame: &Frame2) -> bool {
    match (reply, frame) {
        (Reply::Ok, Frame2::SimpleString(bytes)) => bytes == b"OK",
        (Reply::Simple(text), Frame2::SimpleString(bytes)) => bytes == one_line(text).as_bytes(),
        (Reply::Error(text), Frame2::Error(other)) => *other == one_line(text),
        (Reply::Integer(value), Frame2::Integer(other)) => value == other,
        (Reply::Boolean(value), Frame2::Integer(other)) => i64::from(*value) == *other,
        (Reply::Bulk(bytes), Frame2::BulkString(other)) => bytes == other,
        (Reply::Verbatim(_, text) | Reply::BigNumber(text), Frame2::BulkString(other)) => {
            text.as_bytes() == other
        }
        (Reply::Double(value), Frame2::BulkString(other)) => std::str::from_utf8(other)
            .ok()
            .and_then(|text| text.parse().ok())
            .is_some_and(|other| is_same_number(*value, other)),
        (Reply::Null | Reply::NullArray, Frame2::Null) => true,
        (Reply::Array(elements) | Reply::Set(elements) | Reply::Push(elements), Frame2::Array(others)) => {
            elements.len() == others.len()
                && elements.iter().zip(others).all(|(element, other)| agrees_resp2(element, other))
        }
        (Reply::Map(pairs), Frame2::Array(others)) => {
            let elements = pairs.iter().flat_map(|(key, value)| [key, value]);
            pairs.len() * 2 == others.len()
                && elements.zip(others).all(|(element, other)| agrees_resp2(element, other))
        }
        _ => false,
    }
}

fn agrees_resp3(reply: &Reply, frame: &Frame3) -> bool {
    match (reply, frame) {
        (Reply::Ok, Frame3::SimpleString { data, .. }) => data == b"OK",
        (Reply::Simple(text), Frame3::SimpleString { data, .. }) => data == one_line(text).as_bytes(),
        (Reply::Error(text), Frame3::SimpleError { data, .. }) => *data == one_line(text),
        (Reply::Integer(value), Frame3::Number { data, .. }) => value == data,
        (Reply::Boolean(value), Frame3::Boolean { data, .. }) => value == data,
        (Reply::Bulk(bytes), Frame3::BlobString { data, .. }) => bytes == data,
        (Reply::BigNumber(digits), Frame3::BigNumber { data, .. }) => digits.as_bytes() == data,
        (Reply::Verbatim(written, text), Frame3::VerbatimString { data, format, .. }) => {
            let expected = match written {
                VerbatimFormat::Text => VerbatimStringFormat::Text,
                VerbatimFormat::Markdown => VerbatimStringFormat::Markdown,
            };
            *format == expected && text.as_bytes() == data
        }
        (Reply::Double(value), Frame3::Double { data, .. }) => is_same_number(*value, *data),
        (Reply::Null | Reply::NullArray, Frame3::Null) => true,
        (Reply::Array(elements), Frame3::Array { data, .. })
        | (Reply::Push(elements), Frame3::Push { data, .. }) => {
            elements.len() == data.len()
                && elements.iter().zip(data).all(|(element, other)| agrees_resp3(element, other))
        }
        (Reply::Set(elements), Frame3::Set { data, .. }) => {
            elements.len() == data.len()
                && elements.iter().all(|element| data.iter().any(|other| agrees_resp3(element, other)))
        }
        (Reply::Map(pairs), Frame3::Map { data, .. }) => {
            pairs.len() == data.len()
                && pairs.iter().all(|(key, value)| {
                    data.iter().any(|(other_key, other_value)| {
                        agrees_resp3(key, other_key) && agrees_resp3(value, other_value)
                    })
                })
        }
        _ => false,
    }
}
