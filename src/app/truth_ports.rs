//! Fetching and durability in front of a truth, as commands reach them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::truth_figures::figures;
use crate::clock::Clock;
use crate::dispatch::ports::{Copies, Durability, Fetch, FetchError, Figure, Pending, Synced, Verified};
use crate::engine::{Engine, Missing};
use crate::persist::{self, Token, ToldEpochs, Truth, VerifyReport};

/// A truth behind the ports.
pub struct TruthPorts {
    /// The service.
    pub truth: Arc<Truth>,
    /// All keys.
    pub engine: Arc<Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Changed keys at which a flush begins early.
    pub flush_keys: usize,
    /// How long a take that is to be durable waits.
    pub commit_timeout: Duration,
}

impl TruthPorts {
    /// The last batch with anything that was changed before now; asks for its cut.
    fn hurried(&self) -> u64 {
        let seq = self.truth.changed_before();
        if self.truth.progress.kept() < seq {
            self.truth.hurry();
        }
        seq
    }
}

/// Waits for `wait` at most `timeout_ms`, 0 as long as it takes; whether it came to an end.
async fn within(timeout_ms: u64, wait: impl Future<Output = ()>) -> bool {
    if timeout_ms == 0 {
        wait.await;
        return true;
    }
    tokio::time::timeout(Duration::from_millis(timeout_ms), wait).await.is_ok()
}

impl Fetch for TruthPorts {
    fn fetch(&self, needed: Missing, ahead: Missing) -> Pending<Result<(), FetchError>> {
        let count = needed.0.len();
        let fetching = self.truth.fetch([needed.0, ahead.0].concat(), count);
        Box::pin(async move {
            fetching.await.map_err(|error| match error {
                persist::FetchError::Away(text) => FetchError::Away(text),
                persist::FetchError::Damaged(text) => FetchError::Damaged(text),
            })
        })
    }
}

impl Durability for TruthPorts {
    fn open_flush(&self) -> u64 {
        self.truth.progress.open_token().to_number()
    }

    fn refuses(&self) -> bool {
        self.truth.progress.refuses()
    }

    fn refusal(&self) -> String {
        self.truth.progress.refusal().map_or_else(String::new, |reason| (*reason).clone())
    }

    fn note_turn(&self) {
        if self.engine.queued() >= self.flush_keys {
            self.truth.hurry();
        }
    }

    fn copies(&self) -> Copies {
        Copies { local: 1, replicas: 1 }
    }

    fn wait(&self, wanted: Copies, timeout_ms: u64) -> Pending<Copies> {
        let (truth, seq) = (Arc::clone(&self.truth), self.hurried());
        Box::pin(async move {
            let progress = &truth.progress;
            let wait = async {
                if wanted.local > 0 {
                    progress.wait_kept(seq).await;
                }
                match wanted.replicas {
                    0 => {}
                    1 => progress.wait_applied(seq).await,
                    // There is one truth, so only the time can end this.
                    _ => std::future::pending().await,
                }
            };
            // It is told in the answer what was reached.
            let _ = within(timeout_ms, wait).await;
            Copies {
                local: u64::from(progress.kept() >= seq),
                // As long as it refuses a row it lacks something that was changed before; a closed period counts in its batch alone.
                replicas: u64::from(
                    progress.applied() >= seq && !truth.refusals.has_rows() && !truth.refusals.touch(seq),
                ),
            }
        })
    }

    fn commit(&self, database: u8, key: &[u8]) -> Pending<Result<(), String>> {
        let (truth, seq) = (Arc::clone(&self.truth), self.hurried());
        let (timeout, token) = (self.commit_timeout, self.open_flush());
        let key = Box::from(key);
        Box::pin(async move {
            match tokio::time::timeout(timeout, truth.progress.wait_applied(seq)).await {
                Ok(()) => match truth.refusals.of(database, &key, seq) {
                    None => Ok(()),
                    Some(reason) => Err(format!(
                        "REFUSED the take is counted in memory, but the truth refuses its row, and a restart loses it: {reason}"
                    )),
                },
                Err(_) => Err(format!(
                    "TIMEOUT the take is counted, but the truth has not confirmed it within {} ms; QUOTA.SYNC {token} waits on",
                    timeout.as_millis()
                )),
            }
        })
    }

    fn sync(&self, token: u64, timeout_ms: u64) -> Pending<Result<Synced, String>> {
        let truth = Arc::clone(&self.truth);
        let Token { epoch, seq } = Token::from_number(token);
        let newest = self.hurried();
        Box::pin(async move {
            let progress = &truth.progress;
            if epoch != progress.epoch() {
                let unknown = ToldEpochs::default();
                return earlier(truth.epochs().unwrap_or(&unknown), epoch, seq);
            }
            if seq > progress.open() {
                return Err(format!("{token} is no seq of this server's"));
            }
            // A take that changed nothing answers the open batch too, which may never come.
            let seq = seq.min(newest);
            let is_there = within(timeout_ms, progress.wait_applied(seq)).await;
            Ok(match is_there {
                true if truth.refusals.touch(seq) => Synced::Refused,
                true => Synced::Durable,
                false => Synced::Pending,
            })
        })
    }

    fn figures(&self) -> Vec<Figure> {
        figures(&self.truth, &self.engine, self.clock.now())
    }

    fn verify(&self) -> Pending<Result<Verified, String>> {
        let verifying = self.truth.verify();
        Box::pin(async move {
            let VerifyReport { compared, unsettled, differing, differences } = verifying.await?;
            let difference =
                |found: crate::persist::Difference| (found.database, found.key, found.memory, found.truth);
            let differences = differences.into_iter().map(difference).collect();
            Ok(Verified { compared, unsettled, differing, differences })
        })
    }
}

/// What became of a batch of an epoch before this one.
fn earlier(epochs: &ToldEpochs, epoch: u64, seq: u64) -> Result<Synced, String> {
    let Some(row) = epochs.epoch(epoch) else {
        return Err(format!("nothing is known of epoch {epoch}"));
    };
    let is_there = row.last_seq.is_some_and(|last| seq <= last);
    Ok(match is_there {
        true if epochs.has_refused(epoch, seq) => Synced::Refused,
        true => Synced::Durable,
        false => Synced::Lost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::persist::{EpochRow, RefusedBatches};

    #[test]
    fn batches_of_earlier_epochs_are_durable_refused_or_lost() {
        let row = |epoch, first_seq, last_seq| EpochRow {
            epoch,
            started_at: Timestamp::EPOCH,
            first_seq,
            last_seq,
        };
        let rows = vec![row(3, 21, None), row(2, 11, Some(20)), row(1, 1, Some(10))];
        let refused = vec![RefusedBatches { epoch: 2, first_seq: 0, last_seq: 13 }];
        let epochs = ToldEpochs { rows, refused };
        assert_eq!(earlier(&epochs, 2, 20), Ok(Synced::Durable));
        assert_eq!(earlier(&epochs, 2, 21), Ok(Synced::Lost));
        assert_eq!(earlier(&epochs, 1, 10), Ok(Synced::Durable));
        assert_eq!([13, 14].map(|seq| earlier(&epochs, 2, seq)), [Ok(Synced::Refused), Ok(Synced::Durable)]);
        assert!(earlier(&epochs, 9, 1).is_err());
    }
}
