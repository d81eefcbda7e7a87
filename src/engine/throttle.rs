//! CL.THROTTLE and GCRA on a key: one arrival time, changed by compare-and-swap.

use super::Engine;
use super::entry::{Expiry, Value};
use super::residency::Missing;
use super::shards::Place;
use super::value::Content;
use crate::clock::Timestamp;
use crate::quota::{Throttle, ThrottleError, ThrottleVerdict};

/// Why no verdict was reached; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottleRefusal {
    /// The numbers cannot be worked with.
    Rule(ThrottleError),
    /// The key holds a value of another type.
    WrongType,
    /// The key is unknown.
    Missing(Missing),
}

impl Engine {
    /// Decides `quantity` against the arrival time under `key` and stores the new one.
    ///
    /// # Errors
    /// [`ThrottleRefusal`]; nothing was changed.
    #[inline]
    pub fn throttle(
        &self,
        database: u8,
        key: &[u8],
        rule: &Throttle,
        quantity: i64,
        now: Timestamp,
    ) -> Result<ThrottleVerdict, ThrottleRefusal> {
        let hash = self.hasher.hash(key);
        let place = Place::new(database, hash);
        {
            let table = self.shards.read(place);
            if let Some(slot) = table.find(hash, key) {
                let entry = table.entry(slot);
                if matches!(entry.value, Value::Throttle) {
                    entry.touch(now);
                    let mut word = entry.word.load();
                    loop {
                        let (next, verdict) =
                            rule.decide(word, quantity, now).map_err(ThrottleRefusal::Rule)?;
                        let Some(next) = next else { return Ok(verdict) };
                        if !self.is_queued(database, entry) {
                            break;
                        }
                        match entry.word.compare_exchange(word, next) {
                            Ok(()) => return Ok(verdict),
                            Err(changed) => word = changed,
                        }
                    }
                }
            }
        }
        self.throttle_exclusively(database, key, rule, quantity, now)
    }

    #[cold]
    fn throttle_exclusively(
        &self,
        database: u8,
        key: &[u8],
        rule: &Throttle,
        quantity: i64,
        now: Timestamp,
    ) -> Result<ThrottleVerdict, ThrottleRefusal> {
        let decided = self.edit(database, key, now, |slot| {
            let word = match slot.view().map(|view| view.copy().0) {
                None => 0,
                Some(Content::Throttle(word)) => word,
                Some(_) => return Err(ThrottleRefusal::WrongType),
            };
            let (next, verdict) = rule.decide(word, quantity, now).map_err(ThrottleRefusal::Rule)?;
            if let Some(next) = next {
                slot.put(Content::Throttle(next), Expiry::NEVER);
            }
            Ok(verdict)
        });
        decided.unwrap_or_else(|missing| Err(ThrottleRefusal::Missing(missing)))
    }
}
