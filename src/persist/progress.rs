//! How far changes have come on their way to the truth: what is open, kept on disk, applied; told to those who wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};

use super::token::Token;

/// Shared between the threads that change, flush and wait.
pub struct Progress {
    epoch: AtomicU64,
    /// The number of the batch that will carry what is changed now. It changes only while no thread executes.
    open: AtomicU64,
    /// The last batch that is on disk, in the outbox or the truth.
    kept: watch::Sender<u64>,
    /// The last batch that is committed in the truth.
    applied: watch::Sender<u64>,
    /// Somebody has begun to wait for the truth.
    awaited: Notify,
    /// Whether data commands may run.
    serves: watch::Sender<bool>,
    /// Whether `refusal` holds anything: what every turn asks.
    refuses: AtomicBool,
    refusal: ArcSwapOption<String>,
    /// Why the truth cannot be used any more: another owns it.
    fenced: watch::Sender<Option<Arc<str>>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            epoch: AtomicU64::new(0),
            open: AtomicU64::new(0),
            kept: watch::Sender::new(0),
            applied: watch::Sender::new(0),
            awaited: Notify::new(),
            serves: watch::Sender::new(false),
            refuses: AtomicBool::new(false),
            refusal: ArcSwapOption::empty(),
            fenced: watch::Sender::new(None),
        }
    }
}

impl Progress {
    /// Begins an epoch behind batch `applied`: from now on data commands may run.
    pub fn begin(&self, epoch: u64, applied: u64) {
        self.epoch.store(epoch, Ordering::Release);
        self.open.store(applied + 1, Ordering::Release);
        self.kept.send_replace(applied);
        self.applied.send_replace(applied);
        self.serves.send_replace(true);
    }

    /// Takes another epoch for the batches from now on: the truth has lost the one before.
    pub fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// Whether data commands may run.
    #[must_use]
    pub fn serves(&self) -> bool {
        *self.serves.borrow()
    }

    /// Waits until data commands may run.
    pub async fn wait_until_serving(&self) {
        // The sender is in `self`, so it outlives the wait.
        let _ = self.serves.subscribe().wait_for(|serves| *serves).await;
    }

    /// The epoch; 0 before it began.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The number of the batch that will carry what is changed now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// The same as clients are told it.
    #[must_use]
    pub fn open_token(&self) -> Token {
        Token { epoch: self.epoch(), seq: self.open() }
    }

    /// Closes the open batch and answers its number. The caller has closed the gate.
    pub fn close(&self) -> u64 {
        self.open.fetch_add(1, Ordering::Relaxed)
    }

    /// The last batch that is on disk, in the outbox or the truth.
    #[must_use]
    pub fn kept(&self) -> u64 {
        (*self.kept.borrow()).max(self.applied())
    }

    /// The last batch that is committed in the truth.
    #[must_use]
    pub fn applied(&self) -> u64 {
        *self.applied.borrow()
    }

    /// Notes that batches up to `seq` are on disk.
    pub fn set_kept(&self, seq: u64) {
        raise(&self.kept, seq);
    }

    /// Notes that batches up to `seq` are committed in the truth.
    pub fn set_applied(&self, seq: u64) {
        raise(&self.kept, seq);
        raise(&self.applied, seq);
    }

    /// Waits until batches up to `seq` are on disk.
    pub async fn wait_kept(&self, seq: u64) {
        let _ = self.kept.subscribe().wait_for(|kept| *kept >= seq).await;
    }

    /// Waits until batches up to `seq` are committed in the truth.
    pub async fn wait_applied(&self, seq: u64) {
        let mut applied = self.applied.subscribe();
        if *applied.borrow() < seq {
            self.awaited.notify_one();
        }
        let _ = applied.wait_for(|applied| *applied >= seq).await;
    }

    /// Whether somebody waits for the truth.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.applied.receiver_count() > 0
    }

    /// Says that the truth is to go on at once, as for somebody who waits: memory cannot be made free before.
    pub fn end_rest(&self) {
        self.awaited.notify_one();
    }

    /// Waits until somebody begins to wait for the truth; ends at once where somebody did since this was last waited for. One caller.
    pub async fn wait_awaited(&self) {
        self.awaited.notified().await;
    }

    /// Whether changes are refused: neither disk nor truth takes them.
    #[inline]
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Acquire)
    }

    /// Why changes are refused, or were last: a turn that began while they were may ask when they no longer are.
    #[must_use]
    pub fn refusal(&self) -> Option<Arc<String>> {
        self.refusal.load_full()
    }

    /// Refuses changes from now on, or takes that back.
    pub fn set_refusal(&self, reason: Option<String>) {
        let refuses = reason.is_some();
        if let Some(reason) = reason {
            // Before the word that makes others ask for it.
            self.refusal.store(Some(Arc::new(reason)));
        }
        self.refuses.store(refuses, Ordering::Release);
    }

    /// Says that another owns the truth: nothing is served from now on.
    pub fn fence(&self, reason: &str) {
        // Before it is told: whoever hears of it may count on it.
        self.set_refusal(Some(format!("FENCED {reason}")));
        self.serves.send_replace(false);
        self.fenced.send_if_modified(|fenced| {
            let is_first = fenced.is_none();
            if is_first {
                *fenced = Some(reason.into());
            }
            is_first
        });
    }

    /// Whether another owns the truth.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.fenced.borrow().is_some()
    }

    /// Waits until another owns the truth; answers how that was noticed.
    pub async fn wait_fenced(&self) -> Arc<str> {
        let mut receiver = self.fenced.subscribe();
        match receiver.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // The sender is in `self`, so it outlives the wait.
            _ => std::future::pending().await,
        }
    }
}

fn raise(reached: &watch::Sender<u64>, seq: u64) {
    reached.send_if_modified(|known| {
        let is_more = seq > *known;
        *known = seq.max(*known);
        is_more
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_is_kept_and_nothing_goes_back() {
        let progress = Progress::default();
        assert!(!progress.serves());
        progress.begin(3, 10);
        assert_eq!((progress.epoch(), progress.open(), progress.kept(), progress.applied()), (3, 11, 10, 10));
        assert_eq!(progress.close(), 11);
        assert_eq!(progress.open_token(), Token { epoch: 3, seq: 12 });
        progress.set_applied(11);
        progress.set_kept(10);
        assert_eq!((progress.kept(), progress.applied()), (11, 11));
    }

    #[tokio::test]
    async fn who_begins_to_wait_for_the_truth_is_noticed() {
        let progress = Progress::default();
        progress.begin(1, 4);
        progress.wait_applied(4).await;
        assert!(!progress.is_awaited(), "what is there is not waited for");
        let waiting = progress.wait_applied(5);
        let noticing = async {
            progress.wait_awaited().await;
            assert!(progress.is_awaited());
            progress.set_applied(5);
        };
        tokio::join!(waiting, noticing);
        assert!(!progress.is_awaited());
    }

    #[test]
    fn a_refused_change_has_its_reason_whenever_it_is_asked_for() {
        let progress = Progress::default();
        progress.set_refusal(Some("MISCONF the disk is full".to_owned()));
        assert!(progress.refuses());
        progress.set_refusal(None);
        assert!(!progress.refuses());
        assert_eq!(progress.refusal().as_deref().map(String::as_str), Some("MISCONF the disk is full"));
    }

    #[test]
    fn a_fenced_server_refuses_for_good_with_the_first_reason() {
        let progress = Progress::default();
        progress.begin(1, 0);
        progress.fence("another owns it");
        progress.fence("again");
        assert!(progress.is_fenced() && progress.refuses() && !progress.serves());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(&*runtime.block_on(progress.wait_fenced()), "another owns it");
    }
}
