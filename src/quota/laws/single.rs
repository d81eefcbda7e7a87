//! Laws of one limit: peeking, denial, time going back, retry, freshness, any word, and the two paths of a take.

use proptest::prelude::*;

use super::strategy::{START, amount, history, rule};
use crate::clock::Timestamp;
use crate::quota::{
    Look, MAX_AMOUNT, Mode, Retry, Rule, Slot, SpanCache, State, Status, Verdict, VerdictFlags, take,
    take_word,
};

/// A state of `rule` that this history of exact takes left, and the time of its last take.
fn lived(rule: &Rule, takes: &[(Timestamp, u64)], cache: &mut SpanCache) -> (State, Timestamp) {
    let mut state = rule.fresh();
    for &(now, amount) in takes {
        take_one(rule, &mut state, amount, Mode::Exact, now, cache);
    }
    (state, takes.last().unwrap().0)
}

fn take_one(
    rule: &Rule,
    state: &mut State,
    amount: u64,
    mode: Mode,
    now: Timestamp,
    cache: &mut SpanCache,
) -> Verdict {
    take(&mut [Slot { rule, amount, state }], mode, now, cache)
}

fn modes() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Exact, Mode::AtMost, Mode::Force, Mode::Peek])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn zero_and_peek_and_denial_change_nothing(rule in rule(), takes in history(30), amount in amount()) {
        let cache = &mut SpanCache::new();
        let (mut state, now) = lived(&rule, &takes, cache);
        let before = state.clone();
        let peeked = take_one(&rule, &mut state, amount, Mode::Peek, now, cache);
        prop_assert_eq!(&state, &before);
        let zero = take_one(&rule, &mut state, 0, Mode::Exact, now, cache);
        prop_assert_eq!(&state, &before);
        prop_assert_eq!((zero.status, zero.flags, zero.granted), (Status::Allowed, VerdictFlags::PEEK, 0));
        let taken = take_one(&rule, &mut state, amount, Mode::Exact, now, cache);
        prop_assert_eq!(peeked, Verdict { flags: VerdictFlags::PEEK, ..taken });
        if taken.status == Status::Denied {
            prop_assert_eq!(&state, &before);
        } else if amount > 0 {
            prop_assert_ne!(&state, &before);
        }
    }

    #[test]
    fn time_that_stands_or_goes_back_grants_no_more(
        rule in rule(), takes in history(30), back in prop_oneof![0_u64..100, 0..=START], amount in amount(),
    ) {
        let cache = &mut SpanCache::new();
        let (mut state, now) = lived(&rule, &takes, cache);
        let earlier = Timestamp::from_micros(now.as_micros().saturating_sub(back));
        let available = rule.look(&state, 0, now, cache).available;
        let then = rule.look(&state, 0, earlier, cache).available;
        prop_assert!(then <= available, "{} of {} at {:?} before {:?}", then, available, earlier, now);
        // What is taken meanwhile is missing when time has caught up.
        let verdict = take_one(&rule, &mut state, amount, Mode::Exact, earlier, cache);
        let after = rule.look(&state, 0, now, cache).available;
        prop_assert!(verdict.granted <= then);
        if back < 1_000 && matches!(rule, Rule::Rate(_) | Rule::LogWindow(_)) && verdict.status == Status::Allowed {
            prop_assert!(after <= available);
        }
    }

    #[test]
    fn a_state_far_ahead_is_used_up_now_and_frees_itself(rule in rule(), takes in history(30), back in 1..=START) {
        let cache = &mut SpanCache::new();
        let (mut state, now) = lived(&rule, &takes, cache);
        let earlier = Timestamp::from_micros(now.as_micros() - back);
        if rule.maximum() == 0 {
            return Ok(());
        }
        let before = rule.look(&state, 1, earlier, cache);
        take_one(&rule, &mut state, 1, Mode::Exact, earlier, cache);
        let Retry::AfterMicros(after) = before.retry else { return Ok(()) };
        // The denied take is what frees the limit: what it said of the retry is now true.
        prop_assert_eq!(rule.look(&state, 1, earlier.plus_micros(after), cache).retry, Retry::Now);
        prop_assert_eq!(rule.look(&state, 1, earlier, cache), before);
    }

    #[test]
    fn retry_is_exact(rule in rule(), takes in history(30), amount in amount()) {
        let cache = &mut SpanCache::new();
        let (state, now) = lived(&rule, &takes, cache);
        let Look { available, retry, .. } = rule.look(&state, amount, now, cache);
        prop_assert_eq!(amount <= available, retry == Retry::Now);
        match retry {
            Retry::Now => {}
            Retry::Never => prop_assert!(amount > rule.maximum() || rule.fresh_at(&state, cache).is_none()),
            Retry::AfterMicros(after) => {
                let at = now.plus_micros(after);
                prop_assert!(rule.look(&state, amount, at, cache).available >= amount);
                prop_assert!(rule.look(&state, amount, now.plus_micros(after - 1), cache).available < amount);
            }
        }
    }

    #[test]
    fn a_state_equals_a_fresh_one_from_then_on(rule in rule(), takes in history(30)) {
        let cache = &mut SpanCache::new();
        let (state, now) = lived(&rule, &takes, cache);
        let look = rule.look(&state, 0, now, cache);
        let Some(fresh_at) = rule.fresh_at(&state, cache) else {
            prop_assert_eq!(look.reset_micros, u64::MAX);
            return Ok(());
        };
        prop_assert_eq!(look.reset_micros, fresh_at.micros_since(now));
        let then = rule.look(&state, 0, fresh_at.max(now), cache);
        prop_assert_eq!((then.available, then.used, then.reset_micros), (rule.maximum(), 0, 0));
        if fresh_at > now {
            let before = Timestamp::from_micros(fresh_at.as_micros() - 1);
            prop_assert!(rule.look(&state, 0, before, cache).used > 0);
        }
    }

    #[test]
    fn the_word_path_decides_as_the_guarded_one(
        rule in rule(), takes in prop::collection::vec((-5_000_i64..20_000, amount(), modes()), 1..40),
    ) {
        if !rule.is_word() {
            return Ok(());
        }
        let cache = &mut SpanCache::new();
        let (mut word, mut state, mut now) = (0, rule.fresh(), START);
        for (step, amount, mode) in takes {
            now = now.saturating_add_signed(step);
            let at = Timestamp::from_micros(now);
            let (next, verdict) = take_word(&rule, word, amount, mode, at, cache);
            prop_assert_eq!(verdict, take_one(&rule, &mut state, amount, mode, at, cache));
            word = next.unwrap_or(word);
            prop_assert_eq!(&State::Word(word), &state);
        }
    }

    #[test]
    fn any_word_at_any_time_is_read(
        rule in rule(), word in any::<u128>(), amount in 0..=MAX_AMOUNT, now in any::<u64>(), mode in modes(),
    ) {
        let cache = &mut SpanCache::new();
        let now = Timestamp::from_micros(now);
        for word in [word, word >> 32, word >> 64, u128::MAX, u128::from(u64::MAX), 0] {
            let look = rule.look_word(word, amount, now, cache);
            prop_assert!(look.available <= rule.maximum());
            let _ = rule.word_fresh_at(word, cache);
            let (next, verdict) = take_word(&rule, word, amount, mode, now, cache);
            prop_assert!(verdict.remaining <= rule.maximum());
            let charged = next.unwrap_or(word);
            prop_assert!(rule.look_word(charged, amount, now, cache).available <= look.available);
        }
    }

    #[test]
    fn at_most_and_force_keep_their_word(rule in rule(), takes in history(20), amount in 1..=MAX_AMOUNT) {
        let cache = &mut SpanCache::new();
        let (state, now) = lived(&rule, &takes, cache);
        let available = rule.look(&state, 0, now, cache).available;
        let mut most = state.clone();
        let verdict = take_one(&rule, &mut most, amount, Mode::AtMost, now, cache);
        prop_assert_eq!(verdict.granted, amount.min(available));
        prop_assert_eq!(verdict.status == Status::Denied, available == 0);
        prop_assert_eq!(verdict.flags == VerdictFlags::PARTIAL, available > 0 && available < amount);
        let mut forced = state.clone();
        let verdict = take_one(&rule, &mut forced, amount, Mode::Force, now, cache);
        prop_assert_eq!((verdict.granted, verdict.retry), (amount, Retry::Now));
        prop_assert_eq!(verdict.flags == VerdictFlags::OVER, amount > available);
        prop_assert_eq!(rule.look(&forced, 0, now, cache).available, available.saturating_sub(amount));
    }
}
