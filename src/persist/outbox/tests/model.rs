//! Random appends, faults, crashes and compactions against the model; and every step of one history crashed.

use proptest::prelude::*;

use super::world::{Step, World};
use crate::persist::disk::faulty::Fault;

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::Before), Just(Fault::After), (0_usize..150).prop_map(Fault::Short)]
}

fn append() -> impl Strategy<Value = Step> {
    let keys = prop::collection::btree_set(0_u8..6, 0..4).prop_map(|keys| keys.into_iter().collect());
    let flushes = prop::bool::weighted(0.1);
    (keys, flushes, 1_u64..4, prop::bool::weighted(0.8))
        .prop_map(|(keys, flushes, numbers, is_retry)| Step::Append { keys, flushes, numbers, is_retry })
}

fn step() -> impl Strategy<Value = Step> {
    let crash = prop::option::of((0_u64..12, any::<bool>()));
    prop_oneof![
        20 => append(),
        4 => (0_usize..8, 0_u64..8).prop_map(|(batches, seconds)| Step::Applied { batches, seconds }),
        1 => (0_u64..8).prop_map(|batches| Step::SetBack { batches }),
        3 => Just(Step::Compaction),
        3 => Just(Step::Run),
        3 => Just(Step::Replace),
        3 => (0_u64..8, fault()).prop_map(|(ahead, fault)| Step::Fail { ahead, fault }),
        1 => (0_usize..600).prop_map(|room| Step::Fill { room }),
        2 => Just(Step::Heal),
        2 => (0_u64..12, any::<bool>()).prop_map(|(ahead, is_done)| Step::CrashIn { ahead, is_done }),
        1 => Just(Step::Kill),
        2 => (0_u64..12, any::<bool>(), crash).prop_map(|(ahead, is_done, crash)| Step::KillIn { ahead, is_done, crash }),
    ]
}

proptest! {
    // More with PROPTEST_CASES.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(512), ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_every_batch_is_there(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(seed);
        for step in &steps {
            world.run(step);
        }
    }
}

fn history() -> Vec<Step> {
    let append =
        |keys: &[u8]| Step::Append { keys: keys.to_vec(), flushes: false, numbers: 1, is_retry: true };
    let appends = |count: u8| (0..count).map(move |key| append(&[key % 3, 3 + key % 2]));
    let mut steps: Vec<_> = appends(12).collect();
    steps.extend([Step::Compaction, Step::Run]);
    steps.extend(appends(2));
    steps.push(Step::Replace);
    steps.extend(appends(8));
    steps.push(Step::Applied { batches: 16, seconds: 1 });
    steps.extend(appends(6));
    steps.push(Step::Applied { batches: 100, seconds: 20 });
    steps.push(Step::Applied { batches: 0, seconds: 20 });
    steps.extend(appends(2));
    steps
}

/// Runs the history with something happening at one of the disk's steps; answers how many steps the disk made.
fn run(seed: u64, happens: &[Step]) -> u64 {
    let mut world = World::new(seed);
    let before = world.disk.steps();
    for step in happens.iter().chain(&history()) {
        world.run(step);
    }
    world.disk.steps() - before
}

#[test]
fn a_crash_at_any_step_is_harmless() {
    let steps = run(0, &[]);
    assert!(steps > 60, "{steps}");
    for ahead in 0..steps {
        for seed in 0..12 {
            run(seed, &[Step::CrashIn { ahead, is_done: seed % 2 == 0 }]);
        }
    }
}

/// What a process left to the system when it was killed is not on the disk: the one after it may not build on that.
#[test]
fn a_crash_after_a_kill_at_any_step_is_harmless() {
    let steps = run(0, &[]);
    for ahead in 0..steps {
        for behind in 0..20 {
            for seed in 0..6 {
                let crash = Some((behind, seed % 2 == 0));
                run(seed, &[Step::KillIn { ahead, is_done: seed % 3 == 0, crash }]);
            }
        }
    }
}

#[test]
fn an_error_at_any_step_is_harmless() {
    for ahead in 0..run(0, &[]) {
        for fault in [Fault::Before, Fault::After, Fault::Short(40)] {
            run(0, &[Step::Fail { ahead, fault }]);
        }
    }
}
