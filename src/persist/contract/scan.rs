//! Scans: every key once, in pages of few rows and bytes.

use super::{Harness, NOON, apply, batch, claimed, delete, put, record, value};
use crate::engine::MissingKey;
use crate::engine::value::{Content, Text};
use crate::persist::record::Record;
use crate::persist::store::{MAX_PAGE_BYTES, Page, Store, Written};

pub(super) async fn scan_all(store: &dyn Store, rows: u32) -> Vec<Record> {
    let mut records = Vec::new();
    let mut after: Option<MissingKey> = None;
    loop {
        let Page { records: more, next, .. } = store.scan(after.as_ref(), rows, NOON).await.unwrap();
        records.extend(more);
        match next {
            Some(_) => after = next,
            None => return records,
        }
    }
}

pub(in crate::persist) async fn a_scan_meets_every_key_once(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    assert_eq!(store.scan(None, 10, NOON).await, Ok(Page::default()));
    let keys: Vec<String> = (0..40).map(|at| format!("key:{at:02}")).collect();
    let in_database = |database: u8| keys.iter().map(move |key| Record { database, ..put(key, 1) });
    apply(store, &batch(epoch, 1, in_database(0).chain(in_database(15)).collect())).await;
    apply(store, &batch(epoch, 2, vec![delete("key:07")])).await;
    let (mut met, mut after, mut seq) = (Vec::new(), None, 3);
    loop {
        let page = store.scan(after.as_ref(), 7, NOON).await.unwrap();
        met.extend(page.records.iter().map(|record| (record.database, record.key.clone())));
        // Between the pages rows change that were met, that were not, and new ones come.
        let changes =
            vec![put("key:00", seq), put("key:39", seq), put(format!("new:{seq}"), 1), delete("key:38")];
        apply(store, &batch(epoch, u64::try_from(seq).unwrap(), changes)).await;
        seq += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let times = |database: u8, name: &str| {
        met.iter().filter(|(found, key)| (*found, &**key) == (database, name.as_bytes())).count()
    };
    for name in keys.iter().filter(|name| *name != "key:07" && *name != "key:38") {
        assert_eq!((times(0, name), times(15, name)), (1, 1), "{name}");
    }
    assert_eq!(times(0, "key:07") + times(0, "key:38"), 0);
}

/// A page of as many rows as are usual, of values that are not, would lie in memory whole.
pub(in crate::persist) async fn a_page_has_few_bytes(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let half = usize::try_from(MAX_PAGE_BYTES / 2 + 1).unwrap();
    let text =
        |key: &str, bytes: usize| record(key, Some(value(Content::Text(Text::new(&vec![b'x'; bytes])))));
    let records = vec![
        put("a", 1),
        text("b", half),
        text("c", 100_000),
        text("d", half),
        put("e", 1),
        text("f", 2 * half),
        put("g", 1),
    ];
    apply(store, &batch(epoch, 1, records.clone())).await;
    let pages: [&[&str]; 3] = [&["a", "b", "c", "d"], &["e", "f"], &["g"]];
    let written = Written { behind: 0, up_to: 1, with_gone: false };
    for is_of_written in [false, true] {
        let (mut all, mut after) = (Vec::new(), None);
        for keys in pages {
            let page = if is_of_written {
                store.scan_written(written, after.as_ref(), 100, NOON).await.unwrap()
            } else {
                store.scan(after.as_ref(), 100, NOON).await.unwrap()
            };
            let found: Vec<_> = page.records.iter().map(|record| std::str::from_utf8(&record.key)).collect();
            assert_eq!(found, keys.iter().copied().map(Ok).collect::<Vec<_>>());
            all.extend(page.records);
            after = page.next;
        }
        assert_eq!(after, None);
        assert!(all == records, "values come back as they were");
    }
}
