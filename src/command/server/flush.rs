//! What FLUSHDB and FLUSHALL share: their argument, and freeing memory where nobody waits.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::dispatch::{Args, CommandError};
use crate::engine::Discarded;

/// Reads ASYNC or SYNC, which make no difference: keys are gone at once, and memory is freed beside the commands that
/// follow where that takes long.
pub(super) fn read_mode(mut args: Args<'_>) -> Result<(), CommandError> {
    let _either = args.take_keyword("async") || args.take_keyword("sync");
    args.finish()
}

/// Fewer keys than this are freed at once: that takes under a millisecond, about what starting a thread may take on a busy
/// machine.
const FREED_AT_ONCE_KEYS: usize = 10_000;

/// Threads that free memory at the same time. Flushes that come faster than memory is freed wait for it, so that what is
/// not freed yet stays bounded.
const MAX_FREEING_THREADS: usize = 2;

static FREEING_THREADS: AtomicUsize = AtomicUsize::new(0);

/// Frees what a flush took out.
pub(super) fn free(discarded: Discarded) {
    if discarded.len() < FREED_AT_ONCE_KEYS {
        return;
    }
    let Some(place) = Place::take() else { return };
    // When no thread can be had, the closure is dropped here with all that it holds, which frees the memory too.
    let started = std::thread::Builder::new().name("quotad-free".to_owned()).spawn(move || {
        drop(discarded);
        drop(place);
    });
    if let Err(error) = started {
        tracing::warn!(%error, "no thread to free memory on: it was freed before the next command");
    }
}

/// One of the threads that may free memory; given back when dropped.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let taken = FREEING_THREADS.fetch_update(Ordering::AcqRel, Ordering::Acquire, |threads| {
            (threads < MAX_FREEING_THREADS).then_some(threads + 1)
        });
        // Not `then_some`, which would make a place in any case and drop it.
        if taken.is_ok() { Some(Self) } else { None }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        FREEING_THREADS.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::testing::Harness;

    #[test]
    fn databases_are_emptied() {
        let mut harness = Harness::new(crate::command::table());
        let fill = |harness: &mut Harness| {
            for database in [0, 5] {
                harness.call(&format!("SELECT {database}"));
                for key in 0..FREED_AT_ONCE_KEYS + 10 {
                    harness.call(&format!("INCR {key}"));
                }
            }
        };
        fill(&mut harness);
        assert_eq!(harness.feed(b"FLUSHDB\r\nDBSIZE\r\nSELECT 0\r\n"), b"+OK\r\n:0\r\n+OK\r\n");
        assert_eq!(harness.call("DBSIZE"), format!(":{}\r\n", FREED_AT_ONCE_KEYS + 10).into_bytes());
        fill(&mut harness);
        assert_eq!(
            harness.feed(b"FLUSHALL async\r\nDBSIZE\r\nSELECT 0\r\nDBSIZE\r\n"),
            b"+OK\r\n:0\r\n+OK\r\n:0\r\n"
        );
        assert_eq!(harness.call("INCR again"), b":1\r\n");
    }

    #[test]
    fn threads_are_bounded_and_given_back() {
        // Other tests of this process may hold places for a moment.
        let deadline = std::iter::repeat_with(std::thread::yield_now).take(10_000_000);
        let mut places = Vec::new();
        for () in deadline {
            places.extend(Place::take());
            if places.len() == MAX_FREEING_THREADS {
                break;
            }
        }
        assert_eq!(places.len(), MAX_FREEING_THREADS);
        assert!(Place::take().is_none());
        places.pop();
        assert!(Place::take().is_some());
    }
}
