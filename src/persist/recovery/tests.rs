//! A row that cannot be read does not hold up the others, and is never as if it were not there.

use super::*;
use crate::clock::ManualClock;
use crate::persist::Id;
use crate::persist::contract::{NOON, OWNER, batch, claimed, put};
use crate::persist::fake::FakeStore;

async fn recovered(store: &Arc<FakeStore>, has_room: bool) -> (Arc<Engine>, Arc<FlushStats>) {
    let engine = Arc::new(Engine::in_front_of_truth());
    let stats = Arc::<FlushStats>::default();
    let recovery = Recovery {
        store: store.clone(),
        engine: Arc::clone(&engine),
        clock: Arc::new(ManualClock::at(NOON)),
        loading: Arc::default(),
        stats: Arc::clone(&stats),
        has_room: Arc::new(move || has_room),
        base: None,
        data_set: Id([7; 16]),
    };
    tokio::time::timeout(Duration::from_secs(30), recovery.run()).await.expect("the stream ends");
    (engine, stats)
}

#[tokio::test]
async fn a_damaged_row_stays_unknown_and_the_stream_ends() {
    let store = Arc::new(FakeStore::new());
    let epoch = claimed(&*store).await;
    let records = ["a", "bad", "c"].map(|key| put(key, 1)).to_vec();
    store.apply(OWNER, &batch(epoch, 1, records)).await.unwrap();
    store.damage_key(b"bad");
    for has_room in [true, false] {
        let (engine, stats) = recovered(&store, has_room).await;
        assert!(!engine.is_loading());
        assert_eq!(stats.damages.count(), 1);
        assert!(engine.is_unknown(0, b"bad"), "neither absent nor a value");
        assert!(engine.edit(0, b"bad", NOON, |_| ()).is_err(), "no fresh quota");
        assert_eq!(engine.is_unknown(0, b"a"), !has_room);
        assert!(!engine.is_unknown(0, b"none") && !engine.is_unknown(1, b"bad"));
    }
}

#[tokio::test]
async fn the_next_filter_has_the_damaged_rows_too() {
    let store = Arc::new(FakeStore::new());
    let epoch = claimed(&*store).await;
    store.apply(OWNER, &batch(epoch, 1, vec![put("a", 1), put("bad", 1)])).await.unwrap();
    store.damage_key(b"bad");
    let (engine, stats) = recovered(&store, true).await;
    let progress = Arc::<crate::persist::Progress>::default();
    progress.begin(epoch, 1);
    let clock = Arc::new(ManualClock::at(NOON));
    let keeper = crate::persist::filter::FilterKeeper { store, engine, clock, progress, stats };
    keeper.renew().await.expect("the truth is there");
    assert!(keeper.engine.is_unknown(0, b"bad") && !keeper.engine.is_unknown(0, b"none"));
}
