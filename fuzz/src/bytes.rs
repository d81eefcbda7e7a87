//! Makes values of the bytes that libFuzzer gives, so that a small change of the input is a small change of the value.

use crate::resp::{Reply, VerbatimFormat};

/// How deep a tree of replies may be: deeper ones only repeat the same calls.
const MAX_DEPTH: u32 = 6;

/// Hands out an input from its beginning to its end; behind the end there are zeros.
pub struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// Nothing of `input` is handed out yet.
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// Whether all of it is handed out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        match self.rest {
            [first, rest @ ..] => {
                self.rest = rest;
                *first
            }
            [] => 0,
        }
    }

    /// Eight bytes as a number.
    pub fn number(&mut self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// Up to 255 bytes, whose amount is the first.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        bytes
    }

    /// Text of up to 255 bytes.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// A tree of replies. Keys of maps and members of sets differ from one another, as the protocol demands.
    pub fn reply(&mut self) -> Reply {
        self.reply_at(0)
    }

    fn reply_at(&mut self, depth: u32) -> Reply {
        let kinds = if depth < MAX_DEPTH { 15 } else { 11 };
        match self.byte() % kinds {
            0 => Reply::Ok,
            1 => Reply::Simple(self.text().into()),
            2 => Reply::Error(self.text().into()),
            3 => Reply::Integer(self.number().cast_signed()),
            4 => Reply::Bulk(self.bytes().to_vec()),
            5 => Reply::Verbatim(VerbatimFormat::Text, self.text()),
            6 => Reply::Null,
            7 => Reply::NullArray,
            8 => Reply::Boolean(self.byte() % 2 == 1),
            9 => Reply::Double(f64::from_bits(self.number())),
            10 => Reply::BigNumber(format!("{}{}", self.number().cast_signed(), self.number())),
            11 => Reply::Array(self.replies(depth)),
            12 => Reply::Push(self.replies(depth)),
            13 => Reply::Set((0..self.count()).map(|number| Reply::text(&number.to_string())).collect()),
            _ => Reply::Map(
                (0..self.count()).map(|key| (Reply::Integer(key), self.reply_at(depth + 1))).collect(),
            ),
        }
    }

    fn replies(&mut self, depth: u32) -> Vec<Reply> {
        (0..self.count()).map(|_| self.reply_at(depth + 1)).collect()
    }

    /// How many elements: at most as many as there are bytes left for them.
    fn count(&mut self) -> i64 {
        let left = i64::try_from(self.rest.len()).unwrap_or(i64::MAX);
        i64::from(self.byte() % 24).min(left)
    }
}
