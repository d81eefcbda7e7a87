//! What is said of an outbox that is set aside.

use super::*;
use crate::clock::ManualClock;
use crate::persist::contract::{NOON, OWNER, batch, claimed, put};
use crate::persist::fake::FakeStore;
use crate::persist::store::Id;

#[tokio::test]
async fn an_outbox_whose_batches_the_truth_has_is_known() {
    let store = Arc::new(FakeStore::new());
    let epoch = claimed(&*store).await;
    for seq in 1..=2 {
        store.apply(OWNER, &batch(epoch, seq, vec![put("a", 1)])).await.unwrap();
    }
    claimed(&*store).await;
    let folder = tempfile::tempdir().unwrap();
    let parts = StartParts {
        store: store.clone(),
        directory: DataDirectory::open(folder.path()).unwrap(),
        clock: Arc::new(ManualClock::at(NOON)),
        holder: "a test".to_owned(),
        lease: Duration::from_secs(1),
        take_over: false,
        with_outbox: true,
        stats: Arc::default(),
        base: None,
    };
    let row = store.owner().await.unwrap();
    let data_set = row.data_set.unwrap();
    for (number, (data_set, epoch, batches, expected)) in [
        (data_set, epoch, 2, true),
        (data_set, epoch, 0, true),
        (data_set, epoch, 3, false),
        (data_set, epoch + 1, 2, false),
        (data_set, epoch + 7, 2, false),
        (Id([9; 16]), epoch, 2, false),
    ]
    .into_iter()
    .enumerate()
    {
        let name = Name { data_set, epoch, owner: Id([u8::try_from(number).unwrap(); 16]) };
        let mut outbox = Outbox::create(&parts.directory, name, Limits::default()).unwrap();
        for seq in 1..=batches {
            outbox.append(seq, &batch(epoch, seq, vec![put("a", 1)])).unwrap();
        }
        drop(outbox);
        assert_eq!(was_applied(&parts, &row, name).await, expected, "{number}");
    }
}
