//! Adding to an integer: one compare-and-swap where the key is one, the exclusive path for the rest.

use super::Engine;
use super::entry::{Expiry, Plain, Value};
use super::residency::Missing;
use super::shards::Place;
use super::value::{Content, Kind};
use crate::clock::Timestamp;

/// Why nothing was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddError {
    /// The sum does not fit a signed 64-bit integer.
    Overflow,
    /// The string is not an integer.
    NotAnInteger,
    /// The value is not a string.
    WrongType,
    /// The key is unknown.
    Missing(Missing),
}

impl Engine {
    /// Adds `delta` to the integer under `key`, 0 where there is none, and answers the sum. The expiry stays.
    ///
    /// # Errors
    /// [`AddError`]; nothing was changed.
    #[inline]
    pub fn add(&self, database: u8, key: &[u8], delta: i64, now: Timestamp) -> Result<i64, AddError> {
        let hash = self.hasher.hash(key);
        let place = Place::new(database, hash);
        {
            let table = self.shards.read(place);
            if let Some(slot) = table.find(hash, key) {
                let entry = table.entry(slot);
                if matches!(entry.value, Value::Integer) && self.is_queued(database, entry) {
                    entry.touch(now);
                    let mut word = entry.word.load();
                    // One that has expired loses its expiry with the next sum, which needs the exclusive guard.
                    while !Plain::unpack(word).is_expired(now) {
                        let Some((sum, next)) = added(word, delta) else {
                            return Err(AddError::Overflow);
                        };
                        match entry.word.compare_exchange(word, next) {
                            Ok(()) => return Ok(sum),
                            Err(changed) => word = changed,
                        }
                    }
                }
            }
        }
        self.add_exclusively(database, key, delta, now)
    }

    /// First use of a key, or one that holds no integer word or an expired one.
    #[cold]
    fn add_exclusively(&self, database: u8, key: &[u8], delta: i64, now: Timestamp) -> Result<i64, AddError> {
        let added = self.edit(database, key, now, |slot| {
            let (integer, expiry) = match slot.view() {
                None => (0, Expiry::NEVER),
                Some(view) => match view.copy() {
                    (Content::Integer(integer), expiry) => (integer, expiry),
                    (content, _) if content.kind() == Kind::String => return Err(AddError::NotAnInteger),
                    _ => return Err(AddError::WrongType),
                },
            };
            let sum = integer.checked_add(delta).ok_or(AddError::Overflow)?;
            slot.put(Content::Integer(sum), expiry);
            Ok(sum)
        });
        added.unwrap_or_else(|missing| Err(AddError::Missing(missing)))
    }
}

/// The word after adding, with the sum. `None`: overflow.
#[inline]
fn added(word: u128, delta: i64) -> Option<(i64, u128)> {
    let mut plain = Plain::unpack(word);
    plain.integer = plain.integer.checked_add(delta)?;
    Some((plain.integer, plain.pack()))
}
