//! The bytes of a file: what is read of it, and what of that a crash may leave.

use std::ops::Range;

use super::Chance;

/// A file; a directory is one without bytes.
#[derive(Default)]
pub(super) struct Node {
    /// What is read.
    current: Vec<u8>,
    /// What was there at the last sync.
    durable: Vec<u8>,
    /// What was ever written since: what was cut away may have reached the disk.
    written: Vec<u8>,
    /// What a sync that failed was to bring to the disk. It is read, and no later sync brings it there.
    lost: Vec<Range<usize>>,
}

impl Node {
    pub(super) fn length(&self) -> usize {
        self.current.len()
    }

    pub(super) fn read(&self, bytes: &mut [u8], offset: usize) -> usize {
        let rest = self.current.get(offset..).unwrap_or_default();
        let read = rest.len().min(bytes.len());
        bytes[..read].copy_from_slice(&rest[..read]);
        read
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let start = self.current.len();
        self.current.extend_from_slice(bytes);
        let end = self.current.len();
        let length = self.written.len().max(end);
        self.written.resize(length, 0);
        self.written[start..end].copy_from_slice(bytes);
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.current.truncate(length);
        for range in &mut self.lost {
            range.end = range.end.min(length);
        }
        self.lost.retain(|range| !range.is_empty());
    }

    pub(super) fn sync(&mut self, reaches_the_disk: bool) {
        if reaches_the_disk {
            self.durable.clone_from(&self.current);
            self.written.clone_from(&self.current);
        } else {
            let start = common(&self.current, &self.durable);
            self.lost.push(start..self.current.len());
        }
    }

    pub(super) fn change<T>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let answer = change(&mut self.current);
        self.sync(true);
        answer
    }

    pub(super) fn crash(&mut self, chance: &mut Chance) {
        let from = if chance.below(3) == 0 { &self.written } else { &self.current };
        // Of two lengths that it had, and all between them.
        let least = common(from, &self.durable).min(from.len());
        let length = match chance.below(4) {
            0 => least,
            1 => from.len(),
            _ => least + chance.below(from.len() - least + 1),
        };
        let mut left = from[..length].to_vec();
        if chance.below(3) == 0 {
            // The blocks of a write reach the disk in any order.
            let start = least + chance.below(left.len() - least);
            let end = start + chance.below(left.len() - start + 1);
            left[start..end].fill(0);
        }
        for range in std::mem::take(&mut self.lost) {
            let end = range.end.min(left.len());
            match chance.below(3) {
                0 if range.start < end => left[range.start..end].fill(0),
                1 if end == left.len() => left.truncate(range.start),
                _ => {}
            }
        }
        self.current.clone_from(&left);
        self.written.clone_from(&left);
        self.durable = left;
    }
}

/// How many bytes two begin with alike.
fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}
