//! What is told of earlier epochs: how far each came, and which of its batches had rows that were refused for good.

use super::batch::Batch;
use super::store::{EpochRow, MAX_TOLD_EPOCHS};

/// Refusals that are kept of an epoch one by one: of more, the earlier ones are one.
pub(super) const MOST_KEPT_REFUSALS: u32 = 1_000;

/// Refusals that are told, of all epochs together: some hundred KiB.
pub(super) const MAX_TOLD_REFUSALS: u32 = 10_000;

/// Epochs, and what the truth refused in those that are over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToldEpochs {
    /// The newest [`MAX_TOLD_EPOCHS`], the newest first.
    pub rows: Vec<EpochRow>,
    /// Of those that are over.
    pub refused: Vec<RefusedBatches>,
}

/// Batches one after the other with rows that were refused and not taken before their epoch ended. Then nobody had them any more: what was
/// taken of such a key later was made without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusedBatches {
    /// Their epoch.
    pub epoch: u64,
    /// The number of the first.
    pub first_seq: u64,
    /// The number of the last.
    pub last_seq: u64,
}

impl ToldEpochs {
    /// From the newest epochs and the newest [`MAX_TOLD_REFUSALS`], each the newest first. An epoch of which not all can be told is left out.
    pub(super) fn of(mut rows: Vec<EpochRow>, refused: Vec<RefusedBatches>) -> Self {
        debug_assert!(u32::try_from(rows.len()).is_ok_and(|count| count <= MAX_TOLD_EPOCHS), "it is limited");
        if u32::try_from(refused.len()).is_ok_and(|count| count == MAX_TOLD_REFUSALS)
            && let Some(last) = refused.last()
        {
            rows.retain(|row| row.epoch > last.epoch);
        }
        Self { rows, refused }
    }

    /// The epoch of this number; `None`: nothing is known of it.
    #[must_use]
    pub fn epoch(&self, epoch: u64) -> Option<&EpochRow> {
        self.rows.iter().find(|row| row.epoch == epoch)
    }

    /// Whether a row of this batch may have been refused for good.
    #[must_use]
    pub fn has_refused(&self, epoch: u64, seq: u64) -> bool {
        self.refused
            .iter()
            .any(|found| found.epoch == epoch && (found.first_seq..=found.last_seq).contains(&seq))
    }
}

/// The numbers of a batch as the table of refused rows has them.
pub(super) fn batches_of(batch: &Batch) -> String {
    format!("{}-{}", batch.first_seq, batch.seq)
}

/// What is kept of the refusals of an epoch that ends, given as the table has them, the latest first, one more than [`MOST_KEPT_REFUSALS`] at
/// most: first and last number of each.
pub(super) fn kept_refusals(refused: &[String]) -> Vec<(i64, i64)> {
    let most = usize::try_from(MOST_KEPT_REFUSALS).expect("32 bits fit a usize");
    // What somebody has edited may stand for any.
    let any = (0, i64::MAX);
    let mut kept: Vec<(i64, i64)> =
        refused.iter().flat_map(|text| text.split(' ')).map(|text| numbers(text).unwrap_or(any)).collect();
    kept.sort_unstable_by_key(|&(first, last)| std::cmp::Reverse((last, first)));
    kept.dedup();
    let has_more = refused.len() > most;
    if has_more || kept.len() > most {
        // What is not kept one by one may be any up to there.
        let last = kept.get(most).or(kept.last()).map_or(0, |&(_, last)| last);
        kept.truncate(most);
        kept.push((0, if has_more { last.max(latest_of(&refused[most..])) } else { last }));
    }
    kept
}

fn latest_of(refused: &[String]) -> i64 {
    let numbers = refused.iter().flat_map(|text| text.split(' ')).map(numbers);
    numbers.map(|numbers| numbers.map_or(i64::MAX, |(_, last)| last)).max().unwrap_or_default()
}

fn numbers(text: &str) -> Option<(i64, i64)> {
    let (first, last) = text.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn refusals_are_read_as_they_are_written() {
        let check = |texts: &[&str], expected: &[(i64, i64)]| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(kept_refusals(&texts), expected);
        };
        let batch = Batch { first_seq: 3, seq: 4, ..Batch::default() };
        check(&[], &[]);
        check(&[&batches_of(&batch)], &[(3, 4)]);
        check(&["3-4 6-6", "6-6", "5-6"], &[(6, 6), (5, 6), (3, 4)]);
        check(&["7-7", "edited"], &[(0, i64::MAX), (7, 7)]);
    }

    #[test]
    fn more_than_are_kept_count_as_refused_from_the_beginning_on() {
        let texts = |count: i64| (1..=count).rev().map(|at| format!("{at}-{at}")).collect::<Vec<_>>();
        assert_eq!(kept_refusals(&texts(1_000)).len(), 1_000);
        let kept = kept_refusals(&texts(1_001));
        assert_eq!((kept.len(), kept[0], kept[999], kept[1_000]), (1_001, (1_001, 1_001), (2, 2), (0, 1)));
        let kept = kept_refusals(&[texts(1_500).join(" ")]);
        assert_eq!((kept.len(), kept[999], kept[1_000]), (1_001, (501, 501), (0, 500)));
    }

    #[test]
    fn an_epoch_that_is_not_known_whole_is_not_told() {
        let row = |epoch| EpochRow { epoch, started_at: Timestamp::EPOCH, first_seq: epoch, last_seq: None };
        let refused = |epoch| RefusedBatches { epoch, first_seq: 4, last_seq: 6 };
        let rows = vec![row(9), row(8), row(7)];
        let told = ToldEpochs::of(rows.clone(), vec![refused(9), refused(8)]);
        assert_eq!(told.rows.len(), 3);
        assert!(told.has_refused(8, 4) && told.has_refused(8, 6));
        assert!(!told.has_refused(8, 3) && !told.has_refused(8, 7) && !told.has_refused(7, 5));
        let told = ToldEpochs::of(rows, [vec![refused(9); 9_000], vec![refused(8); 1_000]].concat());
        assert!(told.epoch(9).is_some() && told.epoch(8).is_none() && told.epoch(7).is_none());
    }
}
