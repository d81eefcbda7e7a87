//! What the truth, or somebody with a hand on the disk, has lost.

use super::*;

/// A replica is promoted that lacks more than the outbox keeps: what that has is applied again, also a deletion, which nothing in memory
/// knows of.
#[test]
fn behind_a_gap_larger_than_the_window_the_outbox_is_replayed_as_far_as_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = Arc::new(FakeStore::new());
        let mut half = Half::start(directory.path(), &store).await;
        let step = async |half: &mut Half| {
            half.flush();
            half.until_applied().await;
        };
        half.put(1, 10);
        half.put(2, 20);
        step(&mut half).await;
        half.put(3, 30);
        step(&mut half).await;
        // As where the window has moved on.
        half.parts.outbox.as_ref().unwrap().lock().clear().unwrap();
        half.delete(2);
        step(&mut half).await;
        half.put(1, 11);
        step(&mut half).await;
        store.lose_commits(3);
        assert_eq!(store.owner().await.unwrap().applied, 1);
        half.put(4, 40);
        step(&mut half).await;
        assert_eq!(half.parts.stats.lost_windows.value(), 1);
        // All that is in memory is asked for, and is in the next cut.
        half.parts.engine.queue_everything();
        step(&mut half).await;
        let expected = State::from([(1, 11), (3, 30), (4, 40)]);
        assert_eq!(truth(&store).await, expected);
        half.crash().await;
    });
}

/// What they had is in memory, or lost; the truth takes what comes all the same.
#[test]
fn files_of_the_outbox_that_are_removed_stop_nothing() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = Arc::new(FakeStore::new());
        let mut half = Half::start(directory.path(), &store).await;
        half.put(1, 10);
        half.flush();
        half.until_applied().await;
        store.script(&[Fault::BeforeCommit; 3]);
        for key in 2..5 {
            half.put(key, 20);
            half.flush();
        }
        half.parts.pending.leave_to_outbox();
        let path = half.parts.outbox.as_ref().unwrap().lock().path().to_owned();
        for file in path.read_dir().unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        // The first attempt finds the file gone, and the next begins another.
        half.put(5, 50);
        half.flush();
        half.until_applied().await;
        half.parts.engine.queue_everything();
        half.flush();
        half.until_applied().await;
        let expected = State::from([(1, 10), (2, 20), (3, 20), (4, 20), (5, 50)]);
        assert_eq!(truth(&store).await, expected);
        half.crash().await;
    });
}

/// What was granted since would be granted again.
#[test]
fn a_truth_that_is_set_back_while_no_server_runs_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = Arc::new(FakeStore::new());
        let mut half = Half::start(directory.path(), &store).await;
        half.put(1, 10);
        half.flush();
        half.until_applied().await;
        half.put(1, 11);
        half.flush();
        half.until_applied().await;
        half.crash().await;
        // A run without a batch: its outbox is empty.
        Half::start(directory.path(), &store).await.crash().await;
        store.lose_commits(2);
        let parts = StartParts {
            store: store.clone(),
            directory: opened(directory.path()).await,
            clock: Arc::new(ManualClock::at(NOON)),
            holder: "a test".to_owned(),
            lease: LEASE,
            take_over: false,
            with_outbox: true,
            stats: Arc::default(),
            base: None,
        };
        let refused = start(parts).await.map(|_| ()).unwrap_err().0;
        assert!(refused.contains("the truth has batches up to 1, but had 2 when"), "{refused}");
    });
}
