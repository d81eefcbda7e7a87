//! The fake keeps the stores' contract, and its faults do what they say.

use std::task::{Context, Poll, Waker};

use super::*;
use crate::persist::contract::{self, Harness, OWNER, batch, claimed, put};

impl Harness for FakeStore {
    fn store(&self) -> &dyn Store {
        self
    }

    async fn expire_lease(&self) {
        self.advance(Duration::from_secs(1_000_000));
    }

    async fn refuse_key(&self, key: &[u8]) {
        FakeStore::refuse_key(self, key);
    }

    async fn accept_key(&self, key: &[u8]) {
        self.inner.lock().refused_keys.retain(|refused| **refused != *key);
    }

    async fn damage_key(&self, key: &[u8]) {
        FakeStore::damage_key(self, key);
    }

    async fn make_newer(&self, key: &[u8]) {
        let mut inner = self.inner.lock();
        inner.data.rows.get_mut(&(0, key.into())).unwrap().written.1 = 1_000_000;
    }
}

contract::suite!(async { FakeStore::new() });

#[tokio::test]
async fn a_scripted_fault_happens_once() {
    let store = FakeStore::new();
    let epoch = claimed(&store).await;
    store.script(&[Fault::BeforeCommit, Fault::AfterCommit]);
    let first = batch(epoch, 1, vec![put("a", 1)]);
    assert!(matches!(store.apply(OWNER, &first).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.owner().await.unwrap().applied, 0);
    assert!(matches!(store.apply(OWNER, &first).await, Err(StoreError::Unclear(_))));
    assert_eq!(store.apply(OWNER, &first).await, Ok(Applied::Before { rejected: Vec::new() }));
}

#[tokio::test]
async fn a_call_that_hangs_changes_nothing() {
    let store = FakeStore::new();
    let epoch = claimed(&store).await;
    store.script(&[Fault::Hang]);
    let first = batch(epoch, 1, vec![put("a", 1)]);
    let mut apply = store.apply(OWNER, &first);
    assert!(matches!(apply.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    drop(apply);
    assert_eq!(store.owner().await.unwrap().applied, 0);
}

#[tokio::test]
async fn lost_commits_are_a_gap() {
    let store = FakeStore::new();
    let epoch = claimed(&store).await;
    for seq in 1..=3 {
        store.apply(OWNER, &batch(epoch, seq, vec![put("a", 1)])).await.unwrap();
    }
    store.lose_commits(2);
    assert_eq!(store.apply(OWNER, &batch(epoch, 4, Vec::new())).await, Ok(Applied::Gap { applied: 1 }));
    for seq in 2..=4 {
        let again = store.apply(OWNER, &batch(epoch, seq, vec![put("a", 1)])).await;
        assert_eq!(again, Ok(Applied::Whole { rejected: Vec::new() }));
    }
}
