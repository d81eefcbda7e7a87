//! What is told as different is different, and what is wrong with the truth is said once.

use super::*;
use crate::clock::ManualClock;
use crate::engine::Expiry;
use crate::engine::value::Content;
use crate::persist::contract::{NOON, OWNER, batch, claimed, put};
use crate::persist::fake::FakeStore;

/// A truth that has `a`, and a memory that takes it for absent.
async fn verifier() -> (Arc<FakeStore>, Verifier) {
    let store = Arc::new(FakeStore::new());
    let epoch = claimed(&*store).await;
    store.apply(OWNER, &batch(epoch, 1, vec![put("a", 1)])).await.unwrap();
    let engine = Arc::new(Engine::in_front_of_truth());
    engine.end_loading();
    let progress = Arc::new(Progress::default());
    progress.begin(epoch, 1);
    let verifier = Verifier {
        store: store.clone(),
        engine,
        clock: Arc::new(ManualClock::at(NOON)),
        progress,
        signals: Arc::default(),
        stats: Arc::default(),
    };
    (store, verifier)
}

#[tokio::test]
async fn an_outage_is_told_once() {
    let (_, verifier) = verifier().await;
    let change = |slot: &mut crate::engine::Slot<'_>| slot.put(Content::Integer(1), Expiry::NEVER);
    verifier.engine.edit(0, b"b", NOON, change).expect("all keys are known");
    let trouble = StoreError::Unavailable("Connection refused".to_owned());
    verifier.stats.note_trouble(trouble.to_string(), NOON);
    let error = verifier.verify_all().await.unwrap_err().to_string();
    assert_eq!(error, "the truth takes no changes: the truth is unavailable: Connection refused");
}

#[tokio::test]
async fn a_key_that_differs_whenever_it_is_looked_at_is_told_once() {
    let (_, verifier) = verifier().await;
    let report = verifier.verify_all().await.unwrap();
    assert_eq!((report.compared, report.unsettled, report.differing), (1, 0, 1));
    let told = &report.differences[0];
    assert_eq!((&*told.key, &*told.memory, &*told.truth), (&b"a"[..], "nothing", "integer 1"));
    assert_eq!(verifier.stats.differing_keys.value(), 1);
}

/// Memory has nothing of it, so that whoever needs it is refused.
#[tokio::test]
async fn a_row_that_cannot_be_read_differs() {
    let (store, known) = verifier().await;
    store.damage_key(b"a");
    let verifier = Verifier { engine: Arc::new(Engine::in_front_of_truth()), ..known };
    let report = verifier.verify_all().await.unwrap();
    assert_eq!((report.unsettled, report.differing), (0, 1));
    let told = &report.differences[0];
    let truth = "a row that cannot be read: the row is scripted to be damaged";
    assert_eq!((&*told.key, &*told.memory, &*told.truth), (&b"a"[..], "not there", truth));
}

/// Absent, present and absent again: memory is the same before and after, and the truth was asked between.
#[tokio::test]
async fn a_key_that_was_there_for_a_moment_is_no_difference() {
    let (store, verifier) = verifier().await;
    store.forget_after_fetch(b"a");
    let report = verifier.verify_all().await.unwrap();
    assert_eq!((report.compared, report.unsettled, report.differing), (1, 0, 0));
    assert_eq!(verifier.stats.differing_keys.value(), 0);
}
