//! A reply as a value: for replies that are kept, passed on or compared.

use std::borrow::Cow;

use super::encode::{ReplyWriter, VerbatimFormat};

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
