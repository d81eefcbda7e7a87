//! Who asks for a key that cannot be read is told so, and nobody else.

use std::task::{Context, Waker};

use super::*;
use crate::clock::ManualClock;
use crate::engine::Expiry;
use crate::engine::value::Content;
use crate::persist::contract::{NOON, OWNER, batch, claimed, put, record};
use crate::persist::fake::FakeStore;
use crate::persist::fetched::MAX_FETCHED_BYTES;
use crate::persist::record::StoredValue;

fn key(key: &str) -> MissingKey {
    MissingKey { database: 0, key: key.as_bytes().into() }
}

async fn begun() -> (Arc<FakeStore>, Arc<Engine>, Arc<FlushStats>, FetchDoor) {
    begun_with(Duration::from_secs(30)).await
}

async fn begun_with(timeout: Duration) -> (Arc<FakeStore>, Arc<Engine>, Arc<FlushStats>, FetchDoor) {
    let store = Arc::new(FakeStore::new());
    let epoch = claimed(&*store).await;
    let records = ["a", "b", "bad", "worse"].map(|key| put(key, 1)).to_vec();
    store.apply(OWNER, &batch(epoch, 1, records)).await.unwrap();
    let (engine, stats) = (Arc::new(Engine::in_front_of_truth()), Arc::<FlushStats>::default());
    let (door, requests) = FetchDoor::new(timeout);
    let parts = FetchParts {
        store: store.clone(),
        engine: Arc::clone(&engine),
        clock: Arc::new(ManualClock::at(NOON)),
        progress: Arc::default(),
        pending: Arc::default(),
        stats: Arc::clone(&stats),
        timeout,
    };
    tokio::spawn(Fetcher::new(requests, parts).run());
    (store, engine, stats, door)
}

#[tokio::test]
async fn a_damaged_key_is_an_error_for_who_needs_it() {
    let (store, engine, stats, door) = begun().await;
    store.damage_key(b"bad");
    store.damage_key(b"worse");
    let fetch =
        |keys: &[&str], needed| door.clone().fetch(keys.iter().map(|name| key(name)).collect(), needed);
    // All at once, so that they share queries.
    let (good, bad, ahead, both) = tokio::join!(
        fetch(&["a", "none"], 2),
        fetch(&["bad"], 1),
        fetch(&["b", "worse"], 1),
        fetch(&["a", "bad"], 2),
    );
    assert_eq!((good, ahead), (Ok(()), Ok(())));
    for told in [bad, both] {
        let Err(FetchError::Damaged(text)) = told else { panic!("{told:?}") };
        assert!(
            text.starts_with("ERR the truth's row of the key 'bad' cannot be read: the row is"),
            "{text}"
        );
    }
    assert!(!engine.is_unknown(0, b"a") && !engine.is_unknown(0, b"b") && !engine.is_unknown(0, b"none"));
    for damaged in ["bad", "worse"] {
        assert!(engine.is_unknown(0, damaged.as_bytes()) && !engine.is_fetching(&key(damaged)), "{damaged}");
    }
    assert_eq!((stats.damages.count(), stats.fetch_failures.value()), (2, 0));
    // Somebody repairs the one row and deletes the other.
    let epoch = store.owner().await.unwrap().epoch;
    let records = vec![put("bad", 2), record("worse", None)];
    store.apply(OWNER, &batch(epoch, 2, records)).await.unwrap();
    assert_eq!(fetch(&["bad", "worse"], 2).await, Ok(()));
    assert!(!engine.is_unknown(0, b"bad") && !engine.is_unknown(0, b"worse"));
    assert_eq!(stats.damages.count(), 0);
}

async fn put_large(store: &FakeStore) {
    let epoch = store.owner().await.unwrap().epoch;
    let large = |key: &str, bytes: usize| {
        let content = Content::string(&vec![b'x'; bytes]);
        record(key, Some(StoredValue { content, expiry: Expiry::NEVER }))
    };
    let huge = usize::try_from(HUGE_BYTES).unwrap();
    let records =
        vec![large("huge", huge), large("large", MAX_FETCHED_BYTES), large("more", MAX_FETCHED_BYTES)];
    store.apply(OWNER, &batch(epoch, 2, records)).await.unwrap();
}

/// Values of hundreds of MiB, on a truth that needs longer for them than a client waits.
#[tokio::test]
async fn a_large_value_that_comes_late_is_there_for_the_next() {
    let (store, engine, stats, door) = begun_with(Duration::from_millis(30)).await;
    put_large(&store).await;
    let permits = Arc::new(Semaphore::new(0));
    store.hold_large_fetches(Arc::clone(&permits));
    let fetch = |names: &[&str], needed| {
        let keys = names.iter().map(|name| key(name)).collect();
        door.clone().fetch(keys, needed)
    };
    let late = async |name| match fetch(&[name], 1).await {
        Err(FetchError::Away(text)) => text,
        other => panic!("{other:?}"),
    };
    // Who does not need it does not wait for it, also where it is on its way.
    assert_eq!(fetch(&["a", "large"], 1).await, Ok(()));
    assert_eq!(fetch(&["b", "large"], 1).await, Ok(()));
    assert!(!engine.is_unknown(0, b"a") && !engine.is_unknown(0, b"b"));
    assert!(!engine.is_fetching(&key("a")) && engine.is_fetching(&key("large")));
    // By the query itself, and by the door that waits for it.
    assert!(late("more").await.ends_with("other large values are being read"), "one is read at a time");
    assert!(!engine.is_fetching(&key("more")));
    assert!(late("large").await.contains("within 30 ms"));
    assert_eq!(
        late("huge").await,
        "TRYAGAIN the key is not in memory, and it cannot be fetched: it is large, and still being read"
    );
    let asked = stats.fetch_queries.value();
    permits.add_permits(2);
    while engine.is_unknown(0, b"large") || engine.is_unknown(0, b"huge") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((fetch(&["large", "huge"], 2).await, stats.fetch_queries.value()), (Ok(()), asked));
    permits.add_permits(1);
    assert_eq!(fetch(&["more"], 1).await, Ok(()));
    assert!(!engine.is_unknown(0, b"more"));
}

/// A query's large values come one after the other, the smaller ones first, and are told as they come.
#[tokio::test]
async fn a_large_value_does_not_wait_for_a_huge_one() {
    let (store, engine, _, door) = begun().await;
    put_large(&store).await;
    let permits = Arc::new(Semaphore::new(1));
    store.hold_large_fetches(Arc::clone(&permits));
    let fetch = |names: &[&str], needed| {
        let keys = names.iter().map(|name| key(name)).collect();
        door.clone().fetch(keys, needed)
    };
    let both = tokio::spawn(fetch(&["huge", "large", "a"], 3));
    while !engine.is_fetching(&key("huge")) {
        tokio::task::yield_now().await;
    }
    assert_eq!(fetch(&["large"], 1).await, Ok(()));
    assert!(!both.is_finished() && !engine.is_unknown(0, b"large") && engine.is_unknown(0, b"huge"));
    permits.add_permits(1);
    assert_eq!(both.await.unwrap(), Ok(()));
    assert!(!engine.is_unknown(0, b"huge"));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The thread that asks runs the query, and may end before the answer is there.
#[test]
fn a_query_that_is_given_up_leaves_nothing_behind() {
    let home = runtime();
    let (_store, engine, _, door) = home.block_on(begun());
    let asking = runtime();
    let mut fetch = Box::pin(door.clone().fetch(vec![key("a")], 1));
    {
        let _entered = asking.enter();
        let mut context = Context::from_waker(Waker::noop());
        assert!(fetch.as_mut().poll(&mut context).is_pending());
    }
    drop(asking);
    assert_eq!(home.block_on(fetch), Err(given_up()));
    assert!(!engine.is_fetching(&key("a")) && engine.is_unknown(0, b"a"));
    assert_eq!(home.block_on(door.fetch(vec![key("a")], 1)), Ok(()));
}

fn given_up() -> FetchError {
    let reason = "its query was given up";
    FetchError::Away(format!("TRYAGAIN the key is not in memory, and it cannot be fetched: {reason}"))
}
