//! A history of takes on several limits, each compared with the naive model and held to the laws.

use quotad::clock::Timestamp;
use quotad::quota::{
    MAX_AMOUNT, Mode, Retry, Rule, Slot, SpanCache, State, Status, Verdict, VerdictFlags, take, take_word,
};

use crate::bytes::Bytes;
use crate::limits::{self, Drawn};
use crate::model::Model;

/// The time of the model: from the year 2005, so that the windows of every calendar have begun, ..
const EARLIEST: u64 = 1 << 50;

/// .. until 2112, up to where short sliding windows have numbers. In microseconds.
const LATEST: u64 = (1 << 52) - 1;

/// Where a history begins: 2023-11-14, some time inside every window.
const START: u64 = 1_700_000_123_456_789;

/// Takes of a history: enough to fill what small numbers make.
const MAX_STEPS: usize = 96;

/// Limits with what was taken from them.
pub struct History {
    rules: Vec<Rule>,
    models: Vec<Option<Model>>,
    states: Vec<State>,
    /// The state of a single limit that is a word, on the path without a guard.
    word: u128,
    now: u64,
    cache: SpanCache,
}

impl History {
    /// One to four fresh limits; `None` for numbers that make none.
    pub fn draw(bytes: &mut Bytes<'_>) -> Option<Self> {
        let count = 1 + bytes.byte() % 4;
        let drawn: Vec<Drawn> = (0..count).filter_map(|_| limits::limit(bytes)).collect();
        let states: Vec<State> = drawn.iter().map(|drawn| drawn.rule.fresh()).collect();
        let (rules, models): (Vec<Rule>, Vec<_>) =
            drawn.into_iter().map(|drawn| (drawn.rule, drawn.model)).unzip();
        let made = Self { rules, models, states, word: 0, now: START, cache: SpanCache::new() };
        (!made.rules.is_empty()).then_some(made)
    }

    /// Runs what the input tells, to its end.
    pub fn run(&mut self, bytes: &mut Bytes<'_>) {
        for _ in 0..MAX_STEPS {
            if bytes.is_empty() {
                return;
            }
            self.advance(bytes);
            let mode = [Mode::Exact, Mode::Exact, Mode::AtMost, Mode::Force, Mode::Peek]
                [usize::from(bytes.byte() % 5)];
            let mut amounts: Vec<u64> = self.rules.iter().map(|_| limits::amount(bytes)).collect();
            if mode == Mode::AtMost {
                // The mode is for amounts of one unit.
                let first = amounts[0];
                amounts.fill(first);
            }
            self.step(mode, &amounts);
        }
    }

    fn advance(&mut self, bytes: &mut Bytes<'_>) {
        let micros = match bytes.byte() {
            0..=79 => 0,
            80..=119 => u64::from(bytes.byte()),
            120..=159 => u64::from(bytes.byte()) * 1_000,
            160..=179 => u64::from(bytes.byte()) * 1_000_000,
            180..=199 => u64::from(bytes.byte()) * 3_600_000_000,
            200..=219 => bytes.number() >> (12 + bytes.byte() % 52),
            220..=239 => {
                let back = bytes.number() >> (12 + bytes.byte() % 52);
                self.now = self.now.saturating_sub(back).max(EARLIEST);
                0
            }
            _ => {
                // To just before, at or after the edge of a window.
                let period = limits::period(bytes).as_micros();
                let edge = (self.now / period + 1).saturating_mul(period);
                (edge + u64::from(bytes.byte() % 3)).saturating_sub(self.now + 1)
            }
        };
        self.now = self.now.saturating_add(micros).min(LATEST);
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.now)
    }

    /// One take: what the model expects, what it answered, what it left behind.
    fn step(&mut self, mode: Mode, amounts: &[u64]) {
        let now = self.time();
        let before = self.states.clone();
        let ahead: Vec<bool> = self.models.iter().map(|model| self.is_ahead(model.as_ref())).collect();
        let available = self.check_looks();
        let verdict = take_all(&self.rules, &mut self.states, amounts, mode, now, &mut self.cache);
        self.check_word(amounts[0], mode, &verdict);
        let denied = check_verdict(&verdict, &self.rules, &available, amounts, mode);
        let unchanged = denied || mode == Mode::Peek;
        for index in 0..self.rules.len() {
            let known = self.models[index].is_some();
            if unchanged && (mode == Mode::Peek || (known && !ahead[index])) {
                assert_eq!(self.states[index], before[index], "what charges nothing changes nothing");
            }
        }
        let most = available.iter().copied().min().unwrap_or(0);
        for (model, &amount) in self.models.iter_mut().zip(amounts) {
            let Some(model) = model else { continue };
            let at = i128::from(self.now);
            match mode {
                Mode::Peek => {}
                _ if denied => model.settle(at),
                Mode::AtMost => model.charge(i128::from(amount.min(most)), at),
                Mode::Exact | Mode::Force => model.charge(i128::from(amount), at),
            }
        }
        let after = self.check_looks();
        if unchanged {
            assert_eq!(after, available, "what charges nothing takes nothing away");
        }
        self.check_retry(&verdict, amounts, mode, ahead.contains(&true));
    }

    fn is_ahead(&self, model: Option<&Model>) -> bool {
        model.is_some_and(|model| model.is_ahead(i128::from(self.now)))
    }

    /// Every limit looks as its model, and frees itself when it says. Answers what is available of each.
    fn check_looks(&mut self) -> Vec<u64> {
        let now = self.time();
        let mut available = Vec::new();
        for ((rule, state), model) in self.rules.iter().zip(&self.states).zip(&self.models) {
            let look = rule.look(state, 0, now, &mut self.cache);
            assert!(look.available <= rule.maximum(), "more is available than the maximum: {rule:?}");
            assert_eq!(look.retry, Retry::Now, "nothing is always to be had");
            if let Some(model) = model {
                let at = i128::from(self.now);
                assert_eq!(i128::from(look.available), model.available(at), "available of {rule:?}");
                assert_eq!(i128::from(look.used), model.used(at), "used of {rule:?}");
                if !model.is_ahead(at) {
                    check_reset(rule, state, look.reset_micros, now, &mut self.cache);
                }
            }
            available.push(look.available);
        }
        available
    }

    /// The path without a guard answers the same and leaves the same.
    fn check_word(&mut self, amount: u64, mode: Mode, verdict: &Verdict) {
        let [rule] = self.rules[..] else { return };
        if rule.is_word() {
            let now = self.time();
            let (next, told) = take_word(&rule, self.word, amount, mode, now, &mut self.cache);
            assert_eq!(told, *verdict, "with and without a guard: {rule:?}");
            self.word = next.unwrap_or(self.word);
            assert_eq!(State::Word(self.word), self.states[0], "what a take leaves: {rule:?}");
        }
    }

    /// At the time that a denial names the same take is allowed, a microsecond earlier it is not.
    fn check_retry(&mut self, verdict: &Verdict, amounts: &[u64], mode: Mode, ahead: bool) {
        if verdict.status != Status::Denied {
            assert_eq!(verdict.retry, Retry::Now);
            return;
        }
        // A peek leaves a state that is too far ahead where it is: it is the denied take that frees it.
        if mode == Mode::Peek && (ahead || self.models.iter().any(Option::is_none)) {
            return;
        }
        let probe: Vec<u64> =
            amounts.iter().map(|&amount| if mode == Mode::AtMost { amount.min(1) } else { amount }).collect();
        match verdict.retry {
            Retry::Now => panic!("a denial that could be retried at once"),
            Retry::Never => assert!(self.rules.iter().zip(&probe).any(|(rule, &amount)| {
                amount > rule.maximum() || rule.fresh_at(&State::Word(u128::MAX), &mut self.cache).is_none()
            })),
            Retry::AfterMicros(after) => {
                assert!(after > 0);
                if after > LATEST - self.now {
                    return;
                }
                for (at, status) in [(after - 1, Status::Denied), (after, Status::Allowed)] {
                    let now = self.time().plus_micros(at);
                    let states = &mut self.states.clone();
                    let then = take_all(&self.rules, states, &probe, Mode::Peek, now, &mut self.cache);
                    assert_eq!(then.status, status, "retry after {after}, at {at}: {:?}", self.rules);
                }
            }
        }
    }
}

fn take_all(
    rules: &[Rule],
    states: &mut [State],
    amounts: &[u64],
    mode: Mode,
    now: Timestamp,
    cache: &mut SpanCache,
) -> Verdict {
    let parts = rules.iter().zip(states).zip(amounts);
    let mut slots: Vec<Slot<'_>> =
        parts.map(|((rule, state), &amount)| Slot { rule, amount, state }).collect();
    take(&mut slots, mode, now, cache)
}

/// A state equals a fresh one when it says, and not a microsecond earlier.
fn check_reset(rule: &Rule, state: &State, reset_micros: u64, now: Timestamp, cache: &mut SpanCache) {
    if reset_micros == u64::MAX || reset_micros > LATEST - now.as_micros() {
        return;
    }
    let then = rule.look(state, 0, now.plus_micros(reset_micros), cache);
    assert_eq!((then.available, then.used), (rule.maximum(), 0), "reset of {rule:?}");
    if reset_micros > 0 {
        let earlier = rule.look(state, 0, now.plus_micros(reset_micros - 1), cache);
        assert!(earlier.used > 0, "{rule:?} was reset before {reset_micros}");
    }
}

/// Checks a verdict against what was available; answers whether the take must be denied.
fn check_verdict(verdict: &Verdict, rules: &[Rule], available: &[u64], amounts: &[u64], mode: Mode) -> bool {
    let fits = |(&amount, &available): (&u64, &u64)| {
        let probe = if mode == Mode::AtMost { amount.min(1) } else { amount };
        probe <= available
    };
    let denied = mode != Mode::Force && !amounts.iter().zip(available).all(fits);
    assert_eq!(verdict.status == Status::Denied, denied, "{mode:?} {amounts:?} of {available:?}: {rules:?}");
    let decided = verdict.decided_by;
    if denied {
        assert_eq!((verdict.granted, verdict.remaining), (0, available[decided]));
        assert!(!fits((&amounts[decided], &available[decided])), "a limit denied what fits it");
        return true;
    }
    let most = available.iter().copied().min().unwrap_or(MAX_AMOUNT);
    let granted = |amount: u64| if mode == Mode::AtMost { amount.min(most) } else { amount };
    assert_eq!(verdict.granted, granted(amounts[decided]));
    assert_eq!(verdict.remaining, available[decided].saturating_sub(verdict.granted));
    let partial = amounts.iter().any(|&amount| granted(amount) < amount);
    let over = amounts.iter().zip(available).any(|(&amount, &available)| granted(amount) > available);
    let nothing = mode == Mode::Peek || amounts.iter().all(|&amount| amount == 0);
    let mut flags = if nothing { VerdictFlags::PEEK } else { VerdictFlags::NONE };
    for (holds, flag) in [(partial, VerdictFlags::PARTIAL), (over, VerdictFlags::OVER)] {
        flags = if holds { flags.with(flag) } else { flags };
    }
    assert_eq!(verdict.flags, flags);
    assert_eq!(verdict.status == Status::Otherwise, partial || over);
    // The smallest share left decides, by exact fractions; of those that were exceeded first.
    let share = |index: usize| {
        let left = available[index].saturating_sub(granted(amounts[index]));
        (granted(amounts[index]) <= available[index], left, rules[index].maximum().max(1))
    };
    let (fitted, left, maximum) = share(decided);
    for index in 0..rules.len() {
        let (other_fitted, other_left, other_maximum) = share(index);
        assert!(fitted <= other_fitted, "a limit that was exceeded did not decide");
        if fitted == other_fitted {
            let (own, other) =
                (u128::from(left) * u128::from(other_maximum), u128::from(other_left) * u128::from(maximum));
            assert!(own < other || (own == other && decided <= index), "a smaller share did not decide");
        }
    }
    false
}

/// Any word at any time is read as some state: it grants no more than the maximum, and a take leaves no more than there was.
pub fn check_any_word(bytes: &mut Bytes<'_>) {
    let Some(Drawn { rule, .. }) = limits::limit(bytes) else { return };
    let cache = &mut SpanCache::new();
    while !bytes.is_empty() {
        let word = u128::from(bytes.number()) << 64 | u128::from(bytes.number());
        let word = word >> (bytes.byte() % 128);
        let now = Timestamp::from_micros(bytes.number() >> (bytes.byte() % 64));
        let amount = limits::amount(bytes);
        let mode = [Mode::Exact, Mode::AtMost, Mode::Force, Mode::Peek][usize::from(bytes.byte() % 4)];
        let look = rule.look_word(word, amount, now, cache);
        assert!(look.available <= rule.maximum(), "{rule:?} reads {word:#x}");
        let _ = rule.word_fresh_at(word, cache);
        let (next, verdict) = take_word(&rule, word, amount, mode, now, cache);
        assert!(verdict.remaining <= rule.maximum());
        let after = rule.look_word(next.unwrap_or(word), amount, now, cache);
        assert!(after.available <= look.available, "{rule:?} grew from {word:#x}");
        let mut state = State::Word(word);
        let guarded = take(&mut [Slot { rule: &rule, amount, state: &mut state }], mode, now, cache);
        if rule.is_word() {
            assert_eq!(guarded, verdict, "with and without a guard: {rule:?} {word:#x} {now:?}");
        }
    }
}
