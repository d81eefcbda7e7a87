//! A take over one or several limits: look at all, then charge all or none.

use super::algorithm::OneWord;
use super::rule::Rule;
use super::span::SpanCache;
use super::state::State;
use super::verdict::{Retry, Status, Verdict, VerdictFlags};
use crate::clock::Timestamp;

/// How a take treats what does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All of the amount or nothing.
    Exact,
    /// As much as fits every limit, if that is anything. Only for amounts of one unit.
    AtMost,
    /// All of it, whatever the limits say.
    Force,
    /// Nothing; the verdict tells what [`Mode::Exact`] would do.
    Peek,
}

/// One limit of a take.
#[derive(Debug)]
pub struct Slot<'a> {
    /// The limit's rule.
    pub rule: &'a Rule,
    /// How much to spend, in the limit's unit.
    pub amount: u64,
    /// What was used before.
    pub state: &'a mut State,
}

/// What the limits say of one set of amounts.
struct Survey {
    /// Which limit takes longest until the amounts fit, and how long.
    longest: (usize, Retry),
    /// The most that fits every limit.
    available: u64,
    /// Which limit has the smallest share left.
    tightest: Share,
}

/// What a limit has left after a take.
#[derive(Clone, Copy)]
struct Share {
    index: usize,
    /// Whether the amount is more than what was available.
    exceeded: bool,
    remaining: u64,
    maximum: u64,
}

impl Share {
    /// Whether this share decides before `other`. Fractions are compared by cross-multiplication.
    fn is_tighter_than(&self, other: &Self) -> bool {
        if self.exceeded != other.exceeded {
            return self.exceeded;
        }
        let scaled = |remaining: u64, maximum: u64| u128::from(remaining) * u128::from(maximum.max(1));
        scaled(self.remaining, other.maximum) < scaled(other.remaining, self.maximum)
    }
}

/// Takes from all limits or from none; the caller guards the states, which are of distinct slots.
///
/// Without limits everything is allowed and `remaining` is `MAX_AMOUNT`.
pub fn take(slots: &mut [Slot<'_>], mode: Mode, now: Timestamp, cache: &mut SpanCache) -> Verdict {
    let probe = |amount: u64| if mode == Mode::AtMost { amount.min(1) } else { amount };
    let mut survey = survey(slots, probe, now, cache);
    if mode != Mode::Force && survey.longest.1 != Retry::Now {
        return deny(slots, &survey, mode, now, cache);
    }
    let most = survey.available;
    let granted = |amount: u64| if mode == Mode::AtMost { amount.min(most) } else { amount };
    if mode == Mode::AtMost {
        survey = self::survey(slots, granted, now, cache);
    }
    let tightest = survey.tightest;
    let mut flags = flags_of(mode, slots.iter().all(|slot| slot.amount == 0));
    if slots.iter().any(|slot| granted(slot.amount) < slot.amount) {
        flags = flags.with(VerdictFlags::PARTIAL);
    }
    if tightest.exceeded {
        flags = flags.with(VerdictFlags::OVER);
    }
    let (decided, reset_micros) = match slots.get(tightest.index) {
        None => (0, 0),
        Some(slot) => {
            let amount = granted(slot.amount);
            (amount, slot.rule.reset_after(slot.state, amount, now, cache))
        }
    };
    if mode != Mode::Peek {
        for slot in &mut *slots {
            slot.rule.charge(slot.state, granted(slot.amount), now, cache);
        }
    }
    Verdict {
        status: status_of(flags),
        granted: decided,
        remaining: tightest.remaining,
        retry: Retry::Now,
        reset_micros,
        decided_by: tightest.index,
        flags,
    }
}

fn survey(
    slots: &[Slot<'_>],
    amount_of: impl Fn(u64) -> u64,
    now: Timestamp,
    cache: &mut SpanCache,
) -> Survey {
    let none = Share { index: 0, exceeded: false, remaining: super::MAX_AMOUNT, maximum: super::MAX_AMOUNT };
    let mut survey = Survey { longest: (0, Retry::Now), available: u64::MAX, tightest: none };
    for (index, slot) in slots.iter().enumerate() {
        let amount = amount_of(slot.amount);
        let room = slot.rule.room(slot.state, amount, now, cache);
        if room.retry > survey.longest.1 {
            survey.longest = (index, room.retry);
        }
        survey.available = survey.available.min(room.available);
        let share = Share {
            index,
            exceeded: amount > room.available,
            remaining: room.available.saturating_sub(amount),
            maximum: slot.rule.maximum(),
        };
        if index == 0 || share.is_tighter_than(&survey.tightest) {
            survey.tightest = share;
        }
    }
    survey
}

fn deny(
    slots: &mut [Slot<'_>],
    survey: &Survey,
    mode: Mode,
    now: Timestamp,
    cache: &mut SpanCache,
) -> Verdict {
    let (index, retry) = survey.longest;
    if mode != Mode::Peek {
        for slot in &mut *slots {
            slot.rule.settle(slot.state, now, cache);
        }
    }
    let slot = &slots[index];
    let look = slot.rule.look(slot.state, 0, now, cache);
    Verdict {
        status: Status::Denied,
        granted: 0,
        remaining: look.available,
        retry,
        reset_micros: look.reset_micros,
        decided_by: index,
        flags: flags_of(mode, false),
    }
}

/// [`take`] over one limit whose state is a word: the same decisions, without a guard. Gives the new word where it
/// changes; the caller swaps it in, or asks again when another was faster. A denied take gives a word only where the
/// state lay too far ahead of now and becomes one that is used up now, which a look cannot tell apart.
#[inline]
#[must_use]
pub fn take_word(
    rule: &Rule,
    word: u128,
    amount: u64,
    mode: Mode,
    now: Timestamp,
    cache: &mut SpanCache,
) -> (Option<u128>, Verdict) {
    match rule {
        Rule::Rate(rate) => take_one(rate, word, amount, mode, now, cache),
        Rule::FixedWindow(window) => take_one(window, word, amount, mode, now, cache),
        Rule::SlidingWindow(window) => take_one(window, word, amount, mode, now, cache),
        Rule::Budget(budget) => take_one(budget, word, amount, mode, now, cache),
        Rule::LogWindow(_) => {
            // A log has no word: the verdict is that of a fresh one, and there is nothing to store.
            let slot = Slot { rule, amount, state: &mut rule.fresh() };
            (None, take(&mut [slot], mode, now, cache))
        }
    }
}

/// [`take_word`] for one kind, whose arithmetic is then compiled into the decision.
#[inline]
fn take_one(
    rule: &impl OneWord,
    word: u128,
    amount: u64,
    mode: Mode,
    now: Timestamp,
    cache: &mut SpanCache,
) -> (Option<u128>, Verdict) {
    let probe = if mode == Mode::AtMost { amount.min(1) } else { amount };
    let room = rule.room(word, probe, now, cache);
    let mut flags = flags_of(mode, amount == 0);
    let reset_of = |word: u128, cache: &mut SpanCache| {
        rule.fresh_at(word, cache).map_or(u64::MAX, |fresh_at| fresh_at.micros_since(now))
    };
    if mode != Mode::Force && room.retry != Retry::Now {
        let settled = rule.settle(word, now, cache);
        let verdict = Verdict {
            status: Status::Denied,
            granted: 0,
            remaining: room.available,
            retry: room.retry,
            reset_micros: reset_of(settled, cache),
            decided_by: 0,
            flags,
        };
        return (if mode == Mode::Peek || settled == word { None } else { Some(settled) }, verdict);
    }
    let granted = if mode == Mode::AtMost { amount.min(room.available) } else { amount };
    if granted < amount {
        flags = flags.with(VerdictFlags::PARTIAL);
    }
    if granted > room.available {
        flags = flags.with(VerdictFlags::OVER);
    }
    // A word that was charged now is not ahead of now; one that is not charged may be.
    let charged =
        if granted == 0 { rule.settle(word, now, cache) } else { rule.charge(word, granted, now, cache) };
    let verdict = Verdict {
        status: status_of(flags),
        granted,
        remaining: room.available.saturating_sub(granted),
        retry: Retry::Now,
        reset_micros: reset_of(charged, cache),
        decided_by: 0,
        flags,
    };
    (if mode == Mode::Peek || granted == 0 { None } else { Some(charged) }, verdict)
}

#[inline]
fn flags_of(mode: Mode, nothing_asked: bool) -> VerdictFlags {
    if mode == Mode::Peek || nothing_asked { VerdictFlags::PEEK } else { VerdictFlags::NONE }
}

#[inline]
fn status_of(flags: VerdictFlags) -> Status {
    let otherwise = flags.has(VerdictFlags::PARTIAL) || flags.has(VerdictFlags::OVER);
    if otherwise { Status::Otherwise } else { Status::Allowed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Period;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_500_000);

    fn rules() -> [Rule; 3] {
        let period = |seconds| Period::from_secs(seconds).unwrap();
        [
            Rule::rate(10, period(10), None).unwrap(),
            Rule::fixed_window(100, period(1)).unwrap(),
            Rule::log_window(8, period(60)).unwrap(),
        ]
    }

    fn run(rules: &[Rule], states: &mut [State], amounts: &[u64], mode: Mode) -> Verdict {
        let parts = rules.iter().zip(states).zip(amounts);
        let mut slots: Vec<Slot<'_>> =
            parts.map(|((rule, state), &amount)| Slot { rule, amount, state }).collect();
        take(&mut slots, mode, NOW, &mut SpanCache::new())
    }

    #[test]
    fn all_are_charged_or_none() {
        let rules = rules();
        let mut states = rules.map(|rule| rule.fresh());
        let verdict = run(&rules, &mut states, &[5, 5, 5], Mode::Exact);
        assert_eq!((verdict.status, verdict.decided_by, verdict.remaining), (Status::Allowed, 2, 3));
        let before = states.clone();
        let verdict = run(&rules, &mut states, &[6, 1, 4], Mode::Exact);
        assert_eq!((verdict.status, verdict.decided_by), (Status::Denied, 2));
        assert_eq!(verdict.retry, Retry::AfterMicros(60_000_000));
        assert_eq!(states, before);
        let verdict = run(&rules, &mut states, &[11, 1, 4], Mode::Exact);
        assert_eq!((verdict.retry, verdict.decided_by, verdict.remaining), (Retry::Never, 0, 5));
    }

    #[test]
    fn at_most_grants_what_fits_every_limit() {
        let rules = rules();
        let mut states = rules.map(|rule| rule.fresh());
        let verdict = run(&rules, &mut states, &[50; 3], Mode::AtMost);
        assert_eq!((verdict.status, verdict.granted, verdict.decided_by), (Status::Otherwise, 8, 2));
        assert_eq!((verdict.flags, verdict.remaining), (VerdictFlags::PARTIAL, 0));
        let before = states.clone();
        let verdict = run(&rules, &mut states, &[1; 3], Mode::AtMost);
        assert_eq!((verdict.status, verdict.granted, verdict.decided_by), (Status::Denied, 0, 2));
        assert_eq!(states, before);
    }

    #[test]
    fn force_goes_over_and_says_which() {
        let rules = rules();
        let mut states = rules.map(|rule| rule.fresh());
        let verdict = run(&rules, &mut states, &[10, 10, 9], Mode::Force);
        assert_eq!((verdict.status, verdict.decided_by, verdict.granted), (Status::Otherwise, 2, 9));
        assert_eq!(verdict.flags, VerdictFlags::OVER);
        assert_eq!(run(&rules, &mut states, &[0, 0, 1], Mode::Peek).status, Status::Denied);
    }

    #[test]
    fn ties_go_to_the_first_and_no_limit_allows_all() {
        let rule = rules()[1];
        let mut states = [rule.fresh(), rule.fresh()];
        assert_eq!(run(&[rule; 2], &mut states, &[1, 1], Mode::Exact).decided_by, 0);
        assert_eq!(run(&[rule; 2], &mut states, &[100, 100], Mode::Exact).decided_by, 0);
        let verdict = run(&[], &mut [], &[], Mode::Exact);
        assert_eq!((verdict.status, verdict.remaining), (Status::Allowed, crate::quota::MAX_AMOUNT));
    }
}
