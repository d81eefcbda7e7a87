//! The slow log: the last commands that took long, in memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::dispatch::ports::{SlowCommand, SlowLog};

/// A ring of slow commands. A mutex guards it: only commands that were slow take it.
pub struct SlowRing {
    threshold_micros: AtomicI64,
    most: AtomicUsize,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    next_id: u64,
    /// Newest first.
    commands: VecDeque<(u64, SlowCommand)>,
}

impl SlowRing {
    /// An empty log of commands from `threshold_micros` on (negative: none), at most `most` of them.
    #[must_use]
    pub fn new(threshold_micros: i64, most: usize) -> Self {
        Self {
            threshold_micros: AtomicI64::new(threshold_micros),
            most: AtomicUsize::new(most),
            ring: Mutex::default(),
        }
    }

    /// Changes what is logged and how much is kept.
    pub fn configure(&self, threshold_micros: i64, most: usize) {
        self.threshold_micros.store(threshold_micros, Ordering::Relaxed);
        self.most.store(most, Ordering::Relaxed);
        let mut ring = self.ring.lock();
        ring.commands.truncate(most);
        ring.commands.shrink_to_fit();
    }
}

impl SlowLog for SlowRing {
    fn threshold_micros(&self) -> Option<u64> {
        u64::try_from(self.threshold_micros.load(Ordering::Relaxed)).ok()
    }

    fn add(&self, entry: SlowCommand) {
        let mut ring = self.ring.lock();
        let id = ring.next_id;
        ring.next_id += 1;
        ring.commands.push_front((id, entry));
        ring.commands.truncate(self.most.load(Ordering::Relaxed));
    }

    fn newest(&self, count: usize) -> Vec<(u64, SlowCommand)> {
        self.ring.lock().commands.iter().take(count).cloned().collect()
    }

    fn len(&self) -> usize {
        self.ring.lock().commands.len()
    }

    fn reset(&self) {
        self.ring.lock().commands.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn command(micros: u64) -> SlowCommand {
        SlowCommand {
            at: Timestamp::EPOCH,
            micros,
            words: vec![b"GET".to_vec()],
            address: "127.0.0.1:1".into(),
            client_name: "".into(),
        }
    }

    #[test]
    fn the_newest_are_kept_and_ids_go_on() {
        let log = SlowRing::new(0, 2);
        (1..=3).for_each(|micros| log.add(command(micros)));
        let ids: Vec<u64> = log.newest(10).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [2, 1]);
        assert_eq!(log.newest(1)[0].1.micros, 3);
        log.reset();
        assert!(log.is_empty());
        log.add(command(4));
        assert_eq!(log.newest(10)[0].0, 3);
    }

    #[test]
    fn a_smaller_log_forgets_and_a_negative_threshold_logs_nothing() {
        let log = SlowRing::new(-1, 3);
        assert_eq!(log.threshold_micros(), None);
        (1..=3).for_each(|micros| log.add(command(micros)));
        log.configure(0, 1);
        assert_eq!((log.len(), log.threshold_micros()), (1, Some(0)));
        log.configure(0, 0);
        log.add(command(9));
        assert_eq!(log.len(), 0);
    }
}
