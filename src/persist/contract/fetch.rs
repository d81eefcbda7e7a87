//! Fetches: what is large is told by its size, and read by itself.

use super::{Harness, NOON, apply, batch, claimed, delete, key, put, record, value};
use crate::engine::value::Content;
use crate::persist::fetched::{LeftOut, MAX_FETCHED_BYTES};

pub(in crate::persist) async fn a_large_value_is_left_out_of_a_fetch(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    // Its durable form has two bytes more.
    let text = |name: &str, bytes: usize| record(name, Some(value(Content::string(&vec![b'x'; bytes]))));
    let (large, small) = (text("large", MAX_FETCHED_BYTES - 1), text("small", MAX_FETCHED_BYTES - 2));
    let records = vec![large.clone(), text("larger", 1024 * 1024), text("lost", 1024 * 1024), small.clone()];
    apply(store, &batch(epoch, 1, records)).await;
    apply(store, &batch(epoch, 2, vec![put("a", 1), delete("lost")])).await;
    let keys = ["none", "larger", "a", "lost", "small", "large"].map(key);
    let fetched = store.fetch(&keys, NOON).await.unwrap();
    let left_out = [(1, 1024 * 1024 + 2), (5, MAX_FETCHED_BYTES + 1)]
        .map(|(at, bytes)| LeftOut { at, bytes: u64::try_from(bytes).unwrap() });
    assert_eq!((fetched.epoch, fetched.applied, &fetched.left_out[..]), (epoch, 2, &left_out[..]));
    assert!(fetched.values[1].is_err() && fetched.values[5].is_err(), "never as if there were none");
    assert_eq!((&fetched.values[0], &fetched.values[3]), (&Ok(None), &Ok(None)));
    assert_eq!(fetched.values[4], Ok(small.value));
    // Meanwhile one of them has gone.
    apply(store, &batch(epoch, 3, vec![delete("larger")])).await;
    let fetched = store.fetch_large(&[key("larger"), key("large")], left_out[0].bytes, NOON).await.unwrap();
    assert_eq!((fetched.epoch, fetched.applied, fetched.left_out), (epoch, 3, Vec::new()));
    assert_eq!(fetched.values, [Ok(None), Ok(large.value)]);
}
