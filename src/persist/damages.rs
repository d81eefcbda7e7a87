//! Rows of the truth that were found to be unreadable: counted, named in the log, and forgotten once they are read.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::store::DamagedRow;
use crate::engine::MissingKey;

/// Rows that are remembered one by one: some MiB. Those behind them are only counted when the truth is loaded.
const MOST_ROWS: usize = 10_000;

/// Rows that are named in the log; a truth that is damaged all over would fill it.
const MOST_LINES: u32 = 20;

/// All of them; any thread asks.
#[derive(Default)]
pub struct Damages {
    /// Whether there are any: what mostly is asked.
    has_any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rows: HashSet<(i64, Box<[u8]>)>,
    /// Rows that had no room among those.
    others: u64,
    lines: u32,
}

impl Damages {
    /// Notes a row that loading has met, which it meets once.
    pub fn note(&self, row: &DamagedRow) {
        let mut state = self.state.lock();
        if state.rows.len() == MOST_ROWS {
            state.others += 1;
            return;
        }
        self.has_any.store(true, Ordering::Release);
        if state.rows.insert((row.database, row.key.clone())) && state.lines < MOST_LINES {
            state.lines += 1;
            tracing::error!(
                database = row.database,
                key = %row.key.escape_ascii(),
                "a row of the truth cannot be read, and stays as it is: {}",
                row.reason
            );
            if state.lines == MOST_LINES {
                tracing::error!("further rows that cannot be read are only counted: truth_damaged_rows");
            }
        }
    }

    /// Notes what came of a key that was asked for: why its row cannot be read, or that it can.
    pub fn note_fetched(&self, key: &MissingKey, reason: Option<&str>) {
        let place = (i64::from(key.database), key.key.clone());
        match reason {
            // One that had no room would be counted each time.
            Some(reason) if self.state.lock().rows.len() < MOST_ROWS => {
                self.note(&DamagedRow { database: place.0, key: place.1, reason: reason.to_owned() });
            }
            None if self.has_any.load(Ordering::Acquire) => {
                self.state.lock().rows.remove(&place);
            }
            _ => {}
        }
    }

    /// How many rows could not be read when they were last looked at.
    #[must_use]
    pub fn count(&self) -> u64 {
        let state = self.state.lock();
        state.others + u64::try_from(state.rows.len()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize) -> DamagedRow {
        DamagedRow { database: 3, key: number.to_string().as_bytes().into(), reason: "no reason".to_owned() }
    }

    #[test]
    fn each_row_counts_once_until_it_is_read() {
        let damages = Damages::default();
        let key = row(7).place().unwrap();
        damages.note_fetched(&key, None);
        assert_eq!(damages.count(), 0);
        damages.note(&row(7));
        damages.note(&row(8));
        damages.note_fetched(&key, Some("another reason"));
        assert_eq!(damages.count(), 2);
        damages.note_fetched(&key, None);
        assert_eq!(damages.count(), 1);
        damages.note_fetched(&key, Some("damaged again"));
        assert_eq!(damages.count(), 2);
    }

    #[test]
    fn more_than_are_remembered_are_counted_by_loading_alone() {
        let damages = Damages::default();
        (0..MOST_ROWS + 5).for_each(|number| damages.note(&row(number)));
        damages.note_fetched(&row(MOST_ROWS).place().unwrap(), Some("no reason"));
        assert_eq!(damages.count(), 10_005);
    }
}
