//! The durable form of an entry.

use crate::engine::Expiry;
use crate::engine::value::Content;
use crate::quota::State;

/// What became of one key: its whole value, or that it has none any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its database.
    pub database: u8,
    /// Its bytes.
    pub key: Box<[u8]>,
    /// The value; `None`: the key was deleted.
    pub value: Option<StoredValue>,
}

/// A value as the truth keeps it. Equal are values that a client cannot tell apart.
#[derive(Clone, Debug)]
pub struct StoredValue {
    /// The value.
    pub content: Content,
    /// When the key ends.
    pub expiry: Expiry,
}

impl Record {
    /// What records are ordered by: each is in a batch once.
    #[must_use]
    pub fn place(&self) -> (u8, &[u8]) {
        (self.database, &self.key)
    }
}

impl PartialEq for StoredValue {
    fn eq(&self, other: &Self) -> bool {
        self.expiry == other.expiry && is_same(&self.content, &other.content)
    }
}

/// The numbers that memory gives to limits, and what logs have dropped, are no part of a value.
fn is_same(one: &Content, other: &Content) -> bool {
    match (one, other) {
        (Content::Integer(one), Content::Integer(other)) => one == other,
        (Content::Text(one), Content::Text(other)) => one.as_bytes() == other.as_bytes(),
        (Content::Throttle(one), Content::Throttle(other)) => one == other,
        (Content::Quota(limit, word), Content::Quota(other_limit, other_word)) => {
            (limit, word) == (other_limit, other_word)
        }
        (Content::Quotas(one), Content::Quotas(other)) => {
            let (one, other) = (one.as_slice(), other.as_slice());
            let is_same =
                |(one, other): (&crate::engine::value::QuotaSlot, &crate::engine::value::QuotaSlot)| {
                    one.limit == other.limit && is_same_state(&one.state, &other.state)
                };
            one.len() == other.len() && one.iter().zip(other).all(is_same)
        }
        _ => false,
    }
}

fn is_same_state(one: &State, other: &State) -> bool {
    match (one, other) {
        (State::Word(one), State::Word(other)) => one == other,
        (State::Log(one), State::Log(other)) => one.takes().eq(other.takes()),
        _ => false,
    }
}
