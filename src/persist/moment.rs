//! A cut of everything, for a snapshot: taken by the flusher, so that it is the cut of a batch.

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::engine::SnapshotCut;

/// Everything as it was behind one batch.
pub struct Moment {
    /// What reads it.
    pub cut: SnapshotCut,
    /// The epoch.
    pub epoch: u64,
    /// The last batch that is part of it.
    pub seq: u64,
    /// When it was cut.
    pub at: Timestamp,
}

/// Where a moment is asked for: one at a time.
#[derive(Default)]
pub struct Moments {
    asked: Mutex<Option<oneshot::Sender<Moment>>>,
}

impl Moments {
    /// Asks for one with the next cut. Who asked before and has no answer yet gets none.
    pub fn ask(&self) -> oneshot::Receiver<Moment> {
        let (answer, answered) = oneshot::channel();
        *self.asked.lock() = Some(answer);
        answered
    }

    /// Whether one is asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.lock().as_ref().is_some_and(|answer| !answer.is_closed())
    }

    /// Answers whoever asked. A moment that nobody waits for any more ends here.
    pub fn answer(&self, moment: Moment) {
        if let Some(answer) = self.asked.lock().take() {
            let _ = answer.send(moment);
        }
    }

    /// Refuses whoever asks or asked: no cut will come.
    pub fn refuse(&self) {
        self.asked.lock().take();
    }
}
