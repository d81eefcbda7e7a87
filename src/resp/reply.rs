//! A reply as a value: for replies that are kept, passed on or compared.

use std::borrow::Cow;

use super::encode::ReplyWriter;
use super::protocol::VerbatimFormat;

/// One reply with everything in it. Handlers write with [`ReplyWriter`] directly; this is for the rest.
///
/// Each variant is written as the method of [`ReplyWriter`] with its name writes it. Trees are built by the server,
/// not read from clients, so their depth is bounded by whoever builds them.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+OK`.
    Ok,
    /// One line of text.
    Simple(Cow<'static, str>),
    /// An error: code, space, text.
    Error(Cow<'static, str>),
    /// An integer.
    Integer(i64),
    /// Any bytes.
    Bulk(Vec<u8>),
    /// Text for people.
    Verbatim(VerbatimFormat, String),
    /// Nothing, where a value is expected.
    Null,
    /// Nothing, where an array is expected.
    NullArray,
    /// True or false.
    Boolean(bool),
    /// A floating-point number.
    Double(f64),
    /// The decimal digits of an integer, behind a `-` or nothing.
    BigNumber(String),
    /// Elements in order.
    Array(Vec<Reply>),
    /// Keys and values.
    Map(Vec<(Reply, Reply)>),
    /// Elements, each another.
    Set(Vec<Reply>),
    /// A message that is no reply to a request.
    Push(Vec<Reply>),
}

impl Reply {
    /// A bulk string that is text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Bulk(text.as_bytes().to_vec())
    }

    /// Whether it is an error at the top.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// Writes it in the form of the protocol that `writer` speaks.
    pub fn write_to(&self, writer: &mut ReplyWriter<'_>) {
        match self {
            Self::Ok => writer.ok(),
            Self::Simple(text) => writer.simple(text),
            Self::Error(text) => writer.error(text),
            Self::Integer(value) => writer.integer(*value),
            Self::Bulk(bytes) => writer.bulk(bytes),
            Self::Verbatim(format, text) => writer.verbatim(*format, text),
            Self::Null => writer.null(),
            Self::NullArray => writer.null_array(),
            Self::Boolean(value) => writer.boolean(*value),
            Self::Double(value) => writer.double(*value),
            Self::BigNumber(digits) => writer.big_number(digits),
            Self::Array(elements) => {
                writer.array(elements.len());
                write_all(elements, writer);
            }
            Self::Set(elements) => {
                writer.set(elements.len());
                write_all(elements, writer);
            }
            Self::Push(elements) => {
                writer.push(elements.len());
                write_all(elements, writer);
            }
            Self::Map(pairs) => {
                writer.map(pairs.len());
                for (key, value) in pairs {
                    key.write_to(writer);
                    value.write_to(writer);
                }
            }
        }
    }
}

fn write_all(elements: &[Reply], writer: &mut ReplyWriter<'_>) {
    for element in elements {
        element.write_to(writer);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resp::Protocol;
    use crate::resp::reference::{check, encode};

    #[test]
    fn each_kind_is_what_the_reference_reads() {
        let replies = [
            Reply::Ok,
            Reply::Simple("PONG".into()),
            Reply::Error("ERR a\r\nb".into()),
            Reply::Integer(i64::MIN),
            Reply::text(""),
            Reply::Bulk((0..=u8::MAX).collect()),
            Reply::Verbatim(VerbatimFormat::Text, "a\r\nb".into()),
            Reply::Verbatim(VerbatimFormat::Markdown, String::new()),
            Reply::Null,
            Reply::NullArray,
            Reply::Boolean(true),
            Reply::Double(-0.0),
            Reply::Double(f64::NAN),
            Reply::Double(f64::NEG_INFINITY),
            Reply::BigNumber("-123456789012345678901234567890".into()),
            Reply::Array(Vec::new()),
            Reply::Map(Vec::new()),
            Reply::Set(vec![Reply::Integer(1), Reply::text("1")]),
            Reply::Push(vec![Reply::text("message")]),
        ];
        for reply in &replies {
            check(reply);
        }
        check(&Reply::Array(replies.to_vec()));
    }

    #[test]
    fn only_errors_are_errors() {
        assert!(Reply::Error("ERR".into()).is_error());
        assert!(!Reply::Array(vec![Reply::Error("ERR".into())]).is_error());
    }

    #[test]
    fn a_map_is_flat_in_the_old_protocol() {
        let map = Reply::Map(vec![(Reply::text("a"), Reply::Boolean(true))]);
        assert_eq!(encode(&map, Protocol::Resp2), b"*2\r\n$1\r\na\r\n:1\r\n");
        assert_eq!(encode(&map, Protocol::Resp3), b"%1\r\n$1\r\na\r\n#t\r\n");
    }

    /// Any tree. Keys of maps and members of sets differ, as the protocol demands.
    fn tree() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            Just(Reply::Ok),
            Just(Reply::Null),
            Just(Reply::NullArray),
            any::<String>().prop_map(|text| Reply::Simple(text.into())),
            any::<String>().prop_map(|text| Reply::Error(text.into())),
            any::<i64>().prop_map(Reply::Integer),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Reply::Bulk),
            any::<String>().prop_map(|text| Reply::Verbatim(VerbatimFormat::Text, text)),
            any::<bool>().prop_map(Reply::Boolean),
            any::<u64>().prop_map(|bits| Reply::Double(f64::from_bits(bits))),
            "-?[1-9][0-9]{0,40}".prop_map(Reply::BigNumber),
            prop::collection::btree_set(any::<i64>(), 0..20)
                .prop_map(|members| Reply::Set(members.into_iter().map(Reply::Integer).collect())),
        ];
        leaf.prop_recursive(4, 64, 12, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..12).prop_map(Reply::Array),
                prop::collection::vec(inner.clone(), 0..12).prop_map(Reply::Push),
                prop::collection::btree_map("[a-z]{0,4}", inner, 0..12).prop_map(|pairs| {
                    Reply::Map(pairs.into_iter().map(|(key, value)| (Reply::text(&key), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_tree_is_what_the_reference_reads(reply in tree()) {
            check(&reply);
        }
    }
}
