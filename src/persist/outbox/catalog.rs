//! Which segments an outbox has, what of them is applied, which of them may go and which can be made into one.

use std::collections::VecDeque;

use super::Limits;
use super::name::SegmentName;
use super::segment::Segment;
use crate::clock::Timestamp;

/// The segments of an outbox: each begins where the one before it ends. Their files are the outbox's affair.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    segments: VecDeque<Segment>,
    /// The last number that is in the truth.
    applied: u64,
}

impl Catalog {
    /// Of segments in their order, without gaps.
    pub(super) fn new(segments: Vec<Segment>) -> Self {
        let catalog = Self { segments: segments.into(), applied: 0 };
        catalog.check();
        catalog
    }

    /// What every change keeps.
    fn check(&self) {
        let pairs = self.segments.iter().zip(self.segments.iter().skip(1));
        debug_assert!(pairs.into_iter().all(|(one, next)| one.seq + 1 == next.name.first_seq), "{self:?}");
    }

    pub(super) fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    pub(super) fn first_seq(&self) -> Option<u64> {
        Some(self.segments.front()?.name.first_seq)
    }

    pub(super) fn last_seq(&self) -> Option<u64> {
        Some(self.segments.back()?.seq)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end).sum()
    }

    pub(super) fn unapplied_bytes(&self) -> u64 {
        let applied = self.applied;
        self.segments.iter().map(|segment| segment.bytes_behind(applied)).sum()
    }

    /// The segment that covers `seq`; `None`: there is none.
    pub(super) fn covering(&self, seq: u64) -> Option<&Segment> {
        let at = self.segments.partition_point(|segment| segment.seq < seq);
        self.segments.get(at).filter(|segment| segment.name.first_seq <= seq)
    }

    /// A frame was written behind all others, in the segment that is the last.
    pub(super) fn push_frame(&mut self, seq: u64, frame_bytes: u64) {
        self.segments.back_mut().expect("who writes a frame has begun a segment").push(seq, frame_bytes);
    }

    /// A segment was begun.
    pub(super) fn push_segment(&mut self, segment: Segment) {
        self.segments.push_back(segment);
        self.check();
    }

    /// Everything up to `seq` is in the truth. Takes out what need not be kept any longer, the oldest first.
    pub(super) fn applied(&mut self, seq: u64, now: Timestamp, limits: &Limits) -> Vec<SegmentName> {
        self.applied = self.applied.max(seq);
        let is_whole = |segment: &&mut Segment| segment.seq <= seq && segment.applied_at.is_none();
        for segment in self.segments.iter_mut().filter(is_whole) {
            segment.applied_at = Some(now);
        }
        let mut outlived = Vec::new();
        // The last one stays: it tells which number is next.
        let mut kept = self.segments.len().saturating_sub(1);
        let is_applied = |segment: &&Segment| segment.applied_at.is_some();
        let mut bytes: u64 =
            self.segments.iter().take(kept).take_while(is_applied).map(|segment| segment.end).sum();
        while kept > 0
            && let Some(applied_at) = self.segments[0].applied_at
            && let behind = bytes - self.segments[0].end
            && (behind >= limits.window_bytes || now.micros_since(applied_at) > limits.window_micros)
        {
            let segment = self.segments.pop_front().expect("there are more than one");
            bytes = behind;
            outlived.push(segment.name);
            kept -= 1;
        }
        outlived
    }

    /// The truth has lost what is behind `seq`: it is to be applied once more, and kept until it is.
    pub(super) fn set_back(&mut self, seq: u64) {
        self.applied = self.applied.min(seq);
        for segment in self.segments.iter_mut().filter(|segment| segment.seq > seq) {
            segment.applied_at = None;
        }
    }

    /// Takes out the segments that are not there from the one on that has `seq` + 1, and all before them, which the truth has; answers all of
    /// these. None: that one is there.
    pub(super) fn forget_missing(
        &mut self,
        seq: u64,
        is_there: impl Fn(SegmentName) -> bool,
    ) -> Vec<SegmentName> {
        let first = self.segments.partition_point(|segment| segment.seq <= seq);
        let missing = self.segments.iter().skip(first).take_while(|segment| !is_there(segment.name)).count();
        if missing == 0 {
            return Vec::new();
        }
        self.segments.drain(..first + missing).map(|segment| segment.name).collect()
    }

    /// The segments nothing of which is applied and to which nothing is written any more.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Segment> {
        let before_last = self.segments.len().saturating_sub(1);
        self.segments.iter().take(before_last).filter(|segment| segment.name.first_seq > self.applied)
    }

    /// Whether the segments of these names are there side by side, and nothing of them is applied.
    pub(super) fn can_replace(&self, names: &[SegmentName]) -> bool {
        let Some(start) = self.start_of(names) else { return false };
        let here = self.segments.iter().skip(start).take(names.len()).map(|segment| &segment.name);
        names[0].first_seq > self.applied && here.eq(names)
    }

    /// Puts `merged` where the segments of these names are, which can be replaced.
    pub(super) fn replace(&mut self, names: &[SegmentName], merged: Segment) {
        let start = self.start_of(names).expect("they can be replaced");
        self.segments.drain(start..start + names.len());
        self.segments.insert(start, merged);
        self.check();
    }

    fn start_of(&self, names: &[SegmentName]) -> Option<usize> {
        let first = names.first()?;
        self.segments.iter().position(|segment| segment.name == *first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { segment_bytes: 1_000, window_bytes: 1_500, window_micros: 60_000_000, compact_bytes: 5_000 };

    fn name(number: u64) -> SegmentName {
        SegmentName { first_seq: number * 10 + 1, number }
    }

    /// Segments of 1,000 bytes, each with ten batches.
    fn catalog(segments: u64) -> Catalog {
        Catalog::new(
            (0..segments).map(|number| Segment::begin(name(number), number * 10 + 10, 924)).collect(),
        )
    }

    fn seconds(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn numbers_find_their_segment() {
        let catalog = catalog(3);
        let check = |seq, expected: Option<u64>| {
            assert_eq!(catalog.covering(seq).map(|segment| segment.name.number), expected);
        };
        check(0, None);
        check(1, Some(0));
        check(10, Some(0));
        check(11, Some(1));
        check(30, Some(2));
        check(31, None);
        assert_eq!((catalog.first_seq(), catalog.last_seq(), catalog.bytes()), (Some(1), Some(30), 3_000));
    }

    #[test]
    fn the_window_has_bytes_and_an_age() {
        let mut catalog = catalog(5);
        assert_eq!(catalog.applied(19, seconds(0), &LIMITS), []);
        assert_eq!(catalog.applied(20, seconds(1), &LIMITS), []);
        assert_eq!(catalog.unapplied_bytes(), 3 * 1_000 - 3 * 76);
        assert_eq!(catalog.applied(30, seconds(2), &LIMITS), [name(0)], "1,500 bytes stay");
        assert_eq!(catalog.applied(30, seconds(61), &LIMITS), []);
        assert_eq!(catalog.applied(30, seconds(62), &LIMITS), [name(1)], "older than 60 s");
        assert_eq!(catalog.applied(30, seconds(0), &LIMITS), [], "a clock that goes back removes nothing");
        assert_eq!(catalog.applied(50, seconds(63), &LIMITS), [name(2)]);
        assert_eq!(catalog.applied(50, seconds(900), &LIMITS), [name(3)], "the last one stays");
        assert_eq!((catalog.bytes(), catalog.unapplied_bytes()), (1_000, 0));
    }

    #[test]
    fn what_the_truth_has_lost_stays_until_it_is_applied_again() {
        let mut catalog = catalog(3);
        catalog.applied(20, seconds(0), &LIMITS);
        catalog.set_back(15);
        assert_eq!(catalog.applied(16, seconds(100), &LIMITS), [name(0)]);
        assert_eq!(catalog.first_seq(), Some(11));
        assert_eq!(catalog.applied(20, seconds(200), &LIMITS), []);
        assert_eq!(catalog.applied(20, seconds(261), &LIMITS), [name(1)]);
    }

    #[test]
    fn only_what_waits_whole_is_replaced() {
        let mut catalog = catalog(5);
        catalog.applied(15, seconds(0), &LIMITS);
        let waiting: Vec<_> = catalog.waiting().map(|segment| segment.name.number).collect();
        assert_eq!(waiting, [2, 3]);
        assert!(!catalog.can_replace(&[name(1), name(2)]), "applied in part");
        assert!(!catalog.can_replace(&[name(2), name(4)]), "not side by side");
        assert!(catalog.can_replace(&[name(2), name(3)]));
        catalog
            .replace(&[name(2), name(3)], Segment::begin(SegmentName { first_seq: 21, number: 9 }, 40, 10));
        assert_eq!(catalog.covering(25).unwrap().name.number, 9);
        assert_eq!(catalog.covering(41).unwrap().name.number, 4);
        assert!(!catalog.can_replace(&[name(2), name(3)]), "gone");
    }
}
