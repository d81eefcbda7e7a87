//! Fetching.

use super::Data;
use crate::clock::Timestamp;
use crate::engine::MissingKey;
use crate::persist::content::encode;
use crate::persist::fetched::{Fetched, LeftOut, left_out};

impl Data {
    /// What is under the keys, without values of more than `most_bytes`.
    pub(super) fn fetch(&self, keys: &[MissingKey], now: Timestamp, most_bytes: usize) -> Fetched {
        let mut fetched = Fetched { epoch: self.epoch(), applied: self.applied, ..Fetched::default() };
        for (at, key) in keys.iter().enumerate() {
            let row = self.rows.get(&(key.database, key.key.clone()));
            let row = row.filter(|row| self.lives(key.database, row, now));
            let value = row.map_or(Ok(None), |row| row.value.clone());
            let mut state = Vec::new();
            if let Ok(Some(value)) = &value {
                encode(&value.content, &mut state);
            }
            if state.len() <= most_bytes {
                fetched.values.push(value);
                continue;
            }
            let bytes = u64::try_from(state.len()).expect("a length fits 64 bits");
            fetched.left_out.push(LeftOut { at, bytes });
            fetched.values.push(Err(left_out(bytes)));
        }
        fetched
    }
}
