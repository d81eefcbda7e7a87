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
        let parts = start_parts(directory.path(), &store, true).await;
        let refused = start(parts).await.map(|_| ()).unwrap_err().0;
        assert!(refused.contains("the truth has batches up to 1, but had 2 when"), "{refused}");
    });
}

/// Without an outbox the truth is the only place: what was changed while a batch was on its way waits for that.
#[test]
fn the_end_waits_for_a_truth_that_is_the_only_place() {
    for (patience, is_kept) in [(Duration::from_secs(30), true), (Duration::ZERO, false)] {
        let directory = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            let store = Arc::new(FakeStore::new());
            let mut half = Half::start_with(directory.path(), &store, false).await;
            // The first attempts fail, so that there is trouble when the end comes.
            store.script(&[Fault::BeforeCommit; 3]);
            half.put(1, 10);
            half.flush();
            while half.parts.stats.trouble.load().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            half.put(2, 20);
            half.parts.signals.end(patience);
            let Half { flusher, parts, applier, _directory } = half;
            let has_flushed = tokio::task::spawn_blocking(|| flusher.run()).await.unwrap();
            assert_eq!(has_flushed, is_kept);
            assert_eq!(parts.engine.queued(), usize::from(!is_kept));
            applier.await.unwrap();
            let kept = [(1, 10), (2, 20)].into_iter().take(if is_kept { 2 } else { 1 });
            assert_eq!(truth(&store).await, kept.collect());
        });
    }
}
