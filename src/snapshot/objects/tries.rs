//! Tries of one request: a few, with growing pauses, within its time.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::failure::{Failure, Meaning};

/// Tries of one request at most.
const MOST_TRIES: u32 = 4;

/// The pause before the second try; each further one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How long tries of a request may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    /// All tries and pauses together.
    pub(super) within: Duration,
}

impl Tries {
    /// Makes tries until one succeeds, fails for good, or there is no more time. Each is told its number, from 1 on, and is given
    /// up at half of the time: one that gets no answer leaves room for another.
    pub(super) async fn run<T, F>(self, mut attempt: impl FnMut(u32) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut last = None;
        let tries = async {
            for number in 1..=MOST_TRIES {
                let tried = tokio::time::timeout(self.within / 2, attempt(number)).await;
                let failure = match tried {
                    Ok(Ok(done)) => return Some(Ok(done)),
                    Ok(Err(failure)) if failure.meaning != Meaning::Unavailable => return Some(Err(failure)),
                    Ok(Err(failure)) => failure,
                    Err(_) => silent(self.within / 2),
                };
                tracing::debug!(number, reason = failure.reason, "a request to the object store failed");
                last = Some(failure);
                if number < MOST_TRIES {
                    tokio::time::sleep(pause(number)).await;
                }
            }
            None
        };
        let tried = tokio::time::timeout(self.within, tries).await;
        match tried {
            Ok(Some(result)) => result,
            Ok(None) | Err(_) => Err(last.unwrap_or_else(|| silent(self.within))),
        }
    }
}

fn silent(waited: Duration) -> Failure {
    Failure::new(
        Meaning::Unavailable,
        format!("no answer within {} ms (snapshot-request-timeout-ms)", waited.as_millis()),
    )
}

/// The pause behind a try: around its length, so that servers that failed together do not come again together.
fn pause(number: u32) -> Duration {
    let length = FIRST_PAUSE * 4_u32.pow(number.saturating_sub(1));
    let share = u32::try_from(RandomState::new().hash_one(number) % 1_000).expect("it is below 1,000");
    length / 2 + length * share / 1_000
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    fn run(
        within_ms: u64,
        outcome: impl Fn(u32) -> Option<Result<u32, Failure>>,
    ) -> (Result<u32, Failure>, u32) {
        let tries = AtomicU32::new(0);
        let attempt = |number| {
            tries.fetch_add(1, Ordering::Relaxed);
            let outcome = outcome(number);
            async {
                match outcome {
                    Some(outcome) => outcome,
                    None => std::future::pending().await,
                }
            }
        };
        let result = runtime().block_on(Tries { within: Duration::from_millis(within_ms) }.run(attempt));
        (result, tries.into_inner())
    }

    fn unavailable() -> Option<Result<u32, Failure>> {
        Some(Err(Failure::new(Meaning::Unavailable, "503")))
    }

    #[test]
    fn what_may_succeed_later_is_tried_again_and_nothing_else() {
        let (result, tries) = run(60_000, |number| if number < 3 { unavailable() } else { Some(Ok(number)) });
        assert_eq!((result.unwrap(), tries), (3, 3));
        let (result, tries) = run(60_000, |_| Some(Err(Failure::new(Meaning::Denied, "403"))));
        assert_eq!((result.unwrap_err().meaning, tries), (Meaning::Denied, 1));
        let (result, tries) = run(60_000, |_| unavailable());
        assert_eq!((result.unwrap_err().reason.as_str(), tries), ("503", MOST_TRIES));
    }

    #[test]
    fn a_try_without_an_answer_leaves_room_for_another() {
        let (result, tries) = run(2_000, |number| if number == 1 { None } else { Some(Ok(number)) });
        assert_eq!((result.unwrap(), tries), (2, 2));
        let (result, tries) = run(20, |_| None);
        let failure = result.unwrap_err();
        assert_eq!((failure.meaning, tries), (Meaning::Unavailable, 1));
        assert!(failure.reason.starts_with("no answer within 10 ms"), "{}", failure.reason);
    }

    #[test]
    fn pauses_grow() {
        for number in 1..MOST_TRIES {
            let length = FIRST_PAUSE * 4_u32.pow(number - 1);
            assert!((length / 2..length * 3 / 2).contains(&pause(number)));
        }
    }
}
