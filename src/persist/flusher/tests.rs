//! From a change to the truth and back: whatever fails on the way, and whenever the process ends, the truth has what was on disk.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::clock::ManualClock;
use crate::engine::value::Content;
use crate::engine::{Eviction, Expiry, MissingKey, Need};
use crate::metrics::Seldom;
use crate::persist::applier::Applier;
use crate::persist::contract::{NOON, OWNER, fetched};
use crate::persist::directory::DataDirectory;
use crate::persist::fake::{FakeStore, Fault};
use crate::persist::start::{StartParts, Started, start};
use crate::persist::store::{Claim, Claimed, Store};

mod lost;

const LEASE: Duration = Duration::from_secs(3_600);

/// A server's durable half: everything but commands and sockets.
struct Half {
    parts: Arc<FlushParts>,
    flusher: Flusher,
    applier: tokio::task::JoinHandle<()>,
    _directory: DataDirectory,
}

impl Half {
    async fn start(path: &Path, store: &Arc<FakeStore>) -> Self {
        Self::start_with(path, store, true).await
    }

    async fn start_with(path: &Path, store: &Arc<FakeStore>, with_outbox: bool) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOON));
        let parts = start_parts(path, store, with_outbox).await;
        let Started { epoch, claim, outbox, directory } =
            start(parts).await.expect("the truth is this one's");
        let engine = Arc::new(Engine::in_front_of_truth());
        engine.end_loading();
        let outbox = outbox.map(|outbox| Arc::new(Mutex::new(outbox)));
        let flush_parts = |outbox| FlushParts {
            engine: Arc::clone(&engine),
            gate: Arc::new(Gate::new(1)),
            clock: Arc::clone(&clock),
            progress: Arc::new(Progress::default()),
            pending: Arc::default(),
            signals: Arc::default(),
            moments: Arc::default(),
            stats: Arc::default(),
            outbox,
            interval: Duration::from_millis(100),
        };
        let shared = flush_parts(outbox.clone());
        let flusher = Flusher::new(FlushParts {
            progress: Arc::clone(&shared.progress),
            pending: Arc::clone(&shared.pending),
            signals: Arc::clone(&shared.signals),
            stats: Arc::clone(&shared.stats),
            gate: Arc::clone(&shared.gate),
            ..flush_parts(outbox.clone())
        });
        shared.progress.begin(epoch.epoch, epoch.applied);
        let applier = Applier {
            store: store.clone(),
            engine: Arc::clone(&engine),
            clock,
            progress: Arc::clone(&shared.progress),
            pending: Arc::clone(&shared.pending),
            signals: Arc::clone(&shared.signals),
            stats: Arc::clone(&shared.stats),
            refusals: Arc::default(),
            outbox,
            owner: claim.owner,
            first: (engine.open_generation(), epoch.applied + 1),
            claim,
            lines: Seldom::default(),
        };
        let applier = tokio::spawn(applier.run());
        Self { parts: Arc::new(shared), flusher, applier, _directory: directory }
    }

    fn put(&self, key: u8, value: i64) {
        let put = |slot: &mut crate::engine::Slot<'_>| slot.put(Content::Integer(value), Expiry::NEVER);
        self.parts.engine.edit(0, &[key], NOON, put).expect("all keys are known");
    }

    fn delete(&self, key: u8) {
        self.parts.engine.edit(0, &[key], NOON, |slot| drop(slot.remove())).expect("all keys are known");
    }

    fn flush(&mut self) {
        self.flusher.flush(Asked { cut: true, ..Asked::default() });
        self.flusher.keep_house();
    }

    async fn until_applied(&self) {
        let seq = self.parts.progress.open() - 1;
        let applied = self.parts.progress.wait_applied(seq);
        tokio::time::timeout(Duration::from_secs(30), applied)
            .await
            .expect("the truth takes everything in the end");
    }

    /// As kill -9: nothing more is done.
    async fn crash(self) {
        self.applier.abort();
        let _aborted = self.applier.await;
    }
}

/// The directory, once what a crash has left running has ended.
async fn opened(path: &Path) -> DataDirectory {
    for _ in 0..10_000 {
        if let Ok(directory) = DataDirectory::open(path) {
            return directory;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the directory stays in use");
}

async fn start_parts(path: &Path, store: &Arc<FakeStore>, with_outbox: bool) -> StartParts {
    StartParts {
        store: store.clone(),
        directory: opened(path).await,
        clock: Arc::new(ManualClock::at(NOON)),
        holder: "a test".to_owned(),
        lease: LEASE,
        take_over: false,
        with_outbox,
        stats: Arc::default(),
        base: None,
    }
}

type State = BTreeMap<u8, i64>;

async fn truth(store: &FakeStore) -> State {
    let keys: Vec<MissingKey> = (0..KEYS).map(|key| MissingKey { database: 0, key: [key].into() }).collect();
    let found = fetched(store, &keys, NOON).await;
    let integer = |content: Content| match content {
        Content::Integer(integer) => integer,
        other => panic!("{other:?} is no integer"),
    };
    (0..KEYS).zip(found).filter_map(|(key, value)| Some((key, integer(value?.content)))).collect()
}

const KEYS: u8 = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u8),
    Delete(u8),
    FlushDatabase,
    Flush,
    Fault(Fault),
    /// The truth loses its last commits.
    Lose(usize),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop::sample::select(&[Fault::BeforeCommit, Fault::AfterCommit][..]);
    let step = prop_oneof![
        8 => (0..KEYS).prop_map(Step::Put),
        3 => (0..KEYS).prop_map(Step::Delete),
        1 => Just(Step::FlushDatabase),
        8 => Just(Step::Flush),
        3 => fault.prop_map(Step::Fault),
        1 => (1..4_usize).prop_map(Step::Lose),
        2 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..60)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_truth_has_what_was_on_disk_whatever_fails(steps in steps()) {
        runtime().block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = Arc::new(FakeStore::new());
            let mut half = Half::start(folder.path(), &store).await;
            // What memory holds, and what it held at the last cut that is on disk.
            let (mut memory, mut kept) = (State::new(), State::new());
            // Commits of this run that the truth may lose no more.
            let mut lost = 0;
            for (number, step) in steps.into_iter().enumerate() {
                let value = i64::try_from(number).unwrap();
                match step {
                    Step::Put(key) => {
                        half.put(key, value);
                        memory.insert(key, value);
                    }
                    Step::Delete(key) => {
                        half.delete(key);
                        memory.remove(&key);
                    }
                    Step::FlushDatabase => {
                        drop(half.parts.engine.flush(0));
                        memory.clear();
                    }
                    Step::Flush => {
                        half.flush();
                        kept = memory.clone();
                    }
                    Step::Fault(fault) => store.script(&[fault]),
                    Step::Lose(commits) => {
                        half.until_applied().await;
                        // Batches of this run only: those of the runs before are in no outbox any more.
                        let committed = usize::try_from(half.parts.stats.applies.value()).unwrap();
                        store.lose_commits(commits.min(committed.saturating_sub(lost)));
                        lost = committed;
                    }
                    Step::Crash => {
                        half.crash().await;
                        half = Half::start(folder.path(), &store).await;
                        prop_assert_eq!(&truth(&store).await, &kept);
                        for (&key, &value) in &kept {
                            half.put(key, value);
                        }
                        memory = kept.clone();
                        lost = 0;
                    }
                }
            }
            half.flush();
            // A loss is noticed with the next batch.
            half.put(0, -1);
            memory.insert(0, -1);
            half.flush();
            half.until_applied().await;
            prop_assert_eq!(truth(&store).await, memory);
            half.crash().await;
            Ok(())
        })?;
    }
}

#[test]
fn a_server_whose_truth_another_owns_is_fenced_and_changes_nothing() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(FakeStore::new());
        let mut half = Half::start(folder.path(), &store).await;
        half.put(0, 1);
        half.flush();
        half.until_applied().await;
        store.advance(LEASE * 2);
        let row = store.owner().await.unwrap();
        let claim = Claim {
            data_set: row.data_set,
            owner: OWNER,
            holder: "another".to_owned(),
            lease: LEASE,
            take_over: true,
            same_directory: false,
            behind: None,
        };
        assert!(matches!(store.begin_epoch(&claim).await, Ok(Claimed::Epoch(_))));
        half.put(0, 2);
        half.flush();
        let reason = tokio::time::timeout(Duration::from_secs(30), half.parts.progress.wait_fenced()).await;
        assert!(reason.expect("it is noticed").contains("another"));
        assert!(half.parts.progress.refuses());
        assert_eq!(truth(&store).await, State::from([(0, 1)]));
        half.crash().await;
        // Started again, its outbox does not continue what the truth holds now.
        let parts = start_parts(folder.path(), &store, true).await;
        let refused = start(parts).await.err().expect("another holds the lease");
        assert!(refused.0.contains("owned by another server (another)"), "{}", refused.0);
        assert_eq!(truth(&store).await, State::from([(0, 1)]));
    });
}

#[test]
fn a_refused_row_keeps_its_entry_and_blocks_nobody() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(FakeStore::new());
        store.refuse_key(&[3]);
        let mut half = Half::start(folder.path(), &store).await;
        half.put(2, 1);
        half.put(3, 1);
        half.flush();
        half.until_applied().await;
        assert_eq!(truth(&store).await, State::from([(2, 1)]));
        assert_eq!(half.parts.stats.rejected_rows.value(), 1);
        // It is tried again with its next change.
        half.put(3, 2);
        half.flush();
        half.until_applied().await;
        assert_eq!(half.parts.stats.rejected_rows.value(), 2);
        half.crash().await;
    });
}

#[test]
fn a_refused_row_keeps_its_entry_where_the_answer_to_the_commit_was_lost() {
    // The second batch goes by itself, or is merged with the first one, which is then a part of it.
    for batches in [1, 2] {
        runtime().block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = Arc::new(FakeStore::new());
            store.refuse_key(&[3]);
            let mut half = Half::start(folder.path(), &store).await;
            store.script(&[Fault::AfterCommit; 2]);
            half.put(3, 1);
            for value in 1..=batches {
                half.put(2, value);
                half.flush();
            }
            half.until_applied().await;
            let engine = &half.parts.engine;
            for random in 0..1_000 {
                let need = Need { bytes: usize::MAX, entries: usize::MAX };
                engine.evict(Eviction::AllKeysLru, need, random, NOON);
            }
            let is_there = |key: u8| engine.peek(0, &[key], NOON, |_| ()).is_ok_and(|found| found.is_some());
            assert!(!is_there(2), "what the truth has leaves memory");
            assert!(is_there(3), "what the truth refused is nowhere else");
            assert_eq!(half.parts.stats.rejected_rows.value(), 1);
            half.crash().await;
        });
    }
}

/// One epoch too many would fence the server, or set aside at its start the outbox that has what was lost.
#[test]
fn a_lost_epoch_is_taken_again_once_where_the_answer_is_lost_too() {
    for is_at_start in [false, true] {
        runtime().block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = Arc::new(FakeStore::new());
            Half::start(folder.path(), &store).await.crash().await;
            let mut half = Half::start(folder.path(), &store).await;
            if is_at_start {
                half.put(0, 1);
                half.flush();
                half.until_applied().await;
                half.crash().await;
                store.lose_commits(2);
                store.script(&[Fault::AfterCommit]);
                half = Half::start(folder.path(), &store).await;
            } else {
                store.lose_commits(1);
                // The batch is fenced, then the epoch is taken.
                store.script(&[Fault::None, Fault::AfterCommit]);
                half.put(0, 1);
                half.flush();
                half.until_applied().await;
            }
            assert_eq!(truth(&store).await, State::from([(0, 1)]));
            half.crash().await;
        });
    }
}

/// The disk took nothing, the end is near, and the last batch is small enough for it.
#[test]
fn nothing_is_kept_behind_what_is_not() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(FakeStore::new());
        let half = Half::start(folder.path(), &store).await;
        let outbox = half.parts.outbox.clone().unwrap();
        let batch =
            |seq| Batch { epoch: half.parts.progress.epoch(), first_seq: seq, seq, ..Batch::default() };
        let append = |seq| half.flusher.append_behind(&mut outbox.lock(), &batch(seq));
        let first = half.parts.progress.open();
        let error = append(first + 1).unwrap_err().to_string();
        assert!(error.ends_with(&format!("where batch {first} is next")), "{error}");
        // The truth took it instead.
        half.parts.progress.set_applied(first);
        append(first + 1).unwrap();
        half.parts.progress.set_kept(first + 1);
        append(first + 2).unwrap();
        half.crash().await;
    });
}

/// One value of many MiB, and then many keys, must not ask for the product of both.
#[test]
fn room_is_made_for_what_is_expected_within_a_limit() {
    assert_eq!(room_for(1_000, 80), 100_000);
    assert_eq!(room_for(0, 80), 0);
    assert_eq!(room_for(100_000, 256 * 1024 * 1024), MAX_COLLECTING_BYTES);
    assert_eq!(room_for(usize::MAX, usize::MAX), MAX_COLLECTING_BYTES);
}
