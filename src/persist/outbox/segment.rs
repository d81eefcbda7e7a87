//! What is known of a segment without reading it: which batches it holds and, here and there, where.

use super::format::HEADER_BYTES;
use super::name::SegmentName;
use crate::clock::Timestamp;
use crate::persist::disk::length_of;

/// How far apart the places are that are remembered: as much is read in vain at most, and 64 MiB need 16 KiB of memory.
const MARK_BYTES: u64 = 64 * 1024;

/// Where a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The first number that it covers.
    pub(super) first_seq: u64,
    /// Its first byte.
    pub(super) offset: u64,
}

/// A segment with at least one frame that may be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Which one.
    pub(super) name: SegmentName,
    /// The last number that it covers.
    pub(super) seq: u64,
    /// Where its last frame ends; what is behind it is not relied on.
    pub(super) end: u64,
    /// Its last frame.
    pub(super) last: Mark,
    /// Some of its frames, the first one always, in their order.
    marks: Vec<Mark>,
    /// When all of it was applied, by whoever told so.
    pub(super) applied_at: Option<Timestamp>,
}

impl Segment {
    /// A segment whose first frame covers the numbers up to `seq` in so many bytes.
    pub(super) fn begin(name: SegmentName, seq: u64, frame_bytes: u64) -> Self {
        let offset = length_of(HEADER_BYTES);
        let last = Mark { first_seq: name.first_seq, offset };
        Self { name, seq, end: offset + frame_bytes, last, marks: vec![last], applied_at: None }
    }

    /// Adds a frame, which covers the numbers behind those that are covered.
    pub(super) fn push(&mut self, seq: u64, frame_bytes: u64) {
        self.last = Mark { first_seq: self.seq + 1, offset: self.end };
        if self.marks.last().is_none_or(|mark| self.end - mark.offset >= MARK_BYTES) {
            self.marks.push(self.last);
        }
        self.seq = seq;
        self.end += frame_bytes;
        self.applied_at = None;
    }

    /// Without the last frame, which another segment has too; `None` where nothing remains.
    pub(super) fn without_last(mut self) -> Option<Self> {
        if self.last.first_seq == self.name.first_seq {
            return None;
        }
        self.seq = self.last.first_seq - 1;
        self.end = self.last.offset;
        self.marks.retain(|mark| mark.offset < self.last.offset);
        // Which frame is the last now is not known; only the last segment's has to be, and this one is none any more.
        self.last = *self.marks.last().expect("the first frame is marked and remains");
        Some(self)
    }

    /// The last known place at or before the frame that covers `seq`.
    pub(super) fn mark_before(&self, seq: u64) -> Mark {
        let behind = self.marks.partition_point(|mark| mark.first_seq <= seq);
        self.marks[behind.saturating_sub(1)]
    }

    /// Its bytes from the batch behind `applied` on, give or take what lies between two marks.
    pub(super) fn bytes_behind(&self, applied: u64) -> u64 {
        if self.seq <= applied { 0 } else { self.end - self.mark_before(applied.saturating_add(1)).offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: SegmentName = SegmentName { first_seq: 5, number: 0 };

    #[test]
    fn the_last_frame_is_known_and_can_be_left_out() {
        let mut segment = Segment::begin(NAME, 5, 100);
        assert_eq!((segment.last.first_seq, segment.end), (5, 176));
        segment.push(9, 50);
        assert_eq!(segment.last, Mark { first_seq: 6, offset: 176 });
        assert_eq!((segment.seq, segment.end), (9, 226));
        let shorter = segment.without_last().unwrap();
        assert_eq!((shorter.seq, shorter.end), (5, 176));
        assert_eq!(shorter.without_last(), None);
    }

    #[test]
    fn places_are_found_without_remembering_each() {
        let mut segment = Segment::begin(NAME, 5, 1_000);
        for seq in 6..=1_000 {
            segment.push(seq, 1_000);
        }
        assert_eq!(segment.marks.len(), 16);
        for seq in 5..=1_000 {
            let mark = segment.mark_before(seq);
            assert!(mark.first_seq <= seq && seq - mark.first_seq < 66, "{seq}: {mark:?}");
            let exact = (1_000 - seq) * 1_000;
            let told = segment.bytes_behind(seq);
            assert!(seq == 1_000 || (told >= exact && told < exact + MARK_BYTES + 1_000), "{seq}: {told}");
        }
        assert_eq!(segment.bytes_behind(1_000), 0);
        assert_eq!(segment.bytes_behind(4), 996_000);
    }
}
