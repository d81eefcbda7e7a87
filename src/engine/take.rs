//! Takes on a subject: one limit by compare-and-swap, several under the exclusive guard.

use smallvec::SmallVec;

use super::closed::Closing;
use super::dirty::Tracking;
use super::entry::{Entry, Expiry, Value};
use super::generation::Mark;
use super::limits::NumberedLimit;
use super::residency::Missing;
use super::shards::Place;
use super::value::{Content, QuotaSlot, QuotaSlots};
use super::{Engine, Slot};
use crate::clock::Timestamp;
use crate::quota;
use crate::quota::{Kind, Limit, MAX_LIMITS, Mode, Rule, SpanCache, State, Status, Verdict, take, take_word};

/// A limit and how much is taken of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The limit.
    pub limit: NumberedLimit,
    /// The amount of the limit's unit.
    pub amount: u64,
}

/// Why there is no verdict; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeError {
    /// The key holds a value of another type.
    WrongType,
    /// The subject would hold more than [`MAX_LIMITS`] limits.
    TooManyLimits,
    /// The key is unknown.
    Missing(Missing),
}

impl Engine {
    /// Numbers a limit, for takes on it.
    #[must_use]
    pub fn number(&self, limit: &Limit) -> NumberedLimit {
        NumberedLimit { limit: *limit, id: self.limits.number(limit) }
    }

    /// Takes every charge of a subject or none: decides over all limits and writes all of them, in one step.
    ///
    /// # Errors
    /// [`TakeError`]; nothing was changed.
    #[inline]
    pub fn take(
        &self,
        database: u8,
        subject: &[u8],
        charges: &[Charge],
        mode: Mode,
        now: Timestamp,
        cache: &mut SpanCache,
    ) -> Result<Verdict, TakeError> {
        self.latest.advance(now);
        if let [charge] = charges
            && let Some(id) = charge.limit.id
        {
            let hash = self.hasher.hash(subject);
            let table = self.shards.read(Place::new(database, hash));
            if let Some(slot) = table.find(hash, subject) {
                let entry = table.entry(slot);
                if matches!(entry.value, Value::Quota(known) if known == id) {
                    entry.touch(now);
                    if let Some(verdict) =
                        self.take_by_swapping(self.tracking(database), entry, charge, mode, now, cache)
                    {
                        return Ok(verdict);
                    }
                }
            }
        }
        self.take_exclusively(database, subject, charges, mode, now, cache)
    }

    /// Decides on the word as it is and swaps it, again if another thread was faster. `None`: the entry must be queued
    /// first, or a period is closed, whose figure is left under the exclusive guard.
    #[inline]
    fn take_by_swapping(
        &self,
        tracking: &Tracking,
        entry: &Entry,
        charge: &Charge,
        mode: Mode,
        now: Timestamp,
        cache: &mut SpanCache,
    ) -> Option<Verdict> {
        let mut word = entry.word.load();
        loop {
            let now = self.latest.not_before(now);
            let (next, verdict) = take_word(&charge.limit.limit.rule, word, charge.amount, mode, now, cache);
            let Some(next) = next else { return Some(verdict) };
            let open = tracking.open();
            let closes_period = tracking.has_truth() && charge.limit.limit.rule.rolls_over(word, next);
            if entry.mark() != Mark::queued(open) || closes_period {
                return None;
            }
            match entry.word.compare_exchange(word, next) {
                Ok(()) => return Some(verdict),
                Err(changed) => word = changed,
            }
        }
    }

    /// First use of a subject, several limits, a limit that does not fit a word, a changed maximum.
    #[inline(never)]
    fn take_exclusively(
        &self,
        database: u8,
        subject: &[u8],
        charges: &[Charge],
        mode: Mode,
        now: Timestamp,
        cache: &mut SpanCache,
    ) -> Result<Verdict, TakeError> {
        let taken = self.edit(database, subject, now, |slot| {
            let now = self.latest.not_before(now);
            take_in(slot, charges, mode, now, cache)
        });
        taken.unwrap_or_else(|missing| Err(TakeError::Missing(missing)))
    }
}

/// Takes from the subject in `slot`, under its exclusive guard.
fn take_in(
    slot: &mut Slot<'_>,
    charges: &[Charge],
    mode: Mode,
    now: Timestamp,
    cache: &mut SpanCache,
) -> Result<Verdict, TakeError> {
    let mut closing = slot.closing();
    let take = |slots: &mut QuotaSlots| {
        let before = slots.as_slice().len();
        let taken = take_among(slots, charges, mode, now, cache, &mut closing);
        // What made room is gone whatever the verdict: then there may be fewer slots, but as many only after a charge.
        (slots.as_slice().len() < before, taken)
    };
    let is_change = |(has_dropped, taken): &(bool, Result<Verdict, TakeError>)| {
        *has_dropped || taken.as_ref().is_ok_and(|verdict| changes_state(mode, verdict))
    };
    if let Some((_, taken)) = slot.change_quotas(take, is_change) {
        slot.leave_closed(closing);
        return taken;
    }
    let known = match slot.view().map(|view| view.copy().0) {
        None => None,
        Some(Content::Quota(limit, word)) => Some((limit, word)),
        Some(_) => return Err(TakeError::WrongType),
    };
    if let [charge] = charges
        && let Some(id) = charge.limit.id
        && charge.limit.limit.rule.is_word()
        && known.is_none_or(|(limit, _)| limit.slot_key() == charge.limit.limit.slot_key())
    {
        let rule = &charge.limit.limit.rule;
        let (writer, word) = known.map_or((None, 0), |(limit, word)| (Some(limit), word));
        let asked = writer.map_or(*rule, |writer| rule.after(&writer.rule));
        let (next, verdict) = take_word(&asked, word, charge.amount, mode, now, cache);
        if let (Some(next), Some(writer)) = (next, &writer) {
            closing.note(writer, &State::Word(word), Some(&State::Word(next)), cache);
            slot.leave_closed(closing);
        }
        match (next, writer) {
            (Some(next), Some(writer)) if !rule.explains(&State::Word(next), now) => {
                slot.put(Content::Quota(writer, next), Expiry::NEVER);
            }
            (Some(next), _) => slot.put_quota(id, next),
            (None, _) => {}
        }
        return Ok(verdict);
    }
    let mut slots = known.map_or_else(QuotaSlots::default, |(limit, word)| QuotaSlots::of_word(limit, word));
    let verdict = take_among(&mut slots, charges, mode, now, cache, &mut closing)?;
    if !slots.as_slice().is_empty() && changes_state(mode, &verdict) {
        slot.put(Content::Quotas(slots), Expiry::NEVER);
        slot.leave_closed(closing);
    }
    Ok(verdict)
}

/// Whether a take with this verdict left anything to keep.
fn changes_state(mode: Mode, verdict: &Verdict) -> bool {
    mode != Mode::Peek && verdict.status != Status::Denied
}

/// Takes from several slots of a subject: looks at all, then writes all. Slots of limits that were not used before are
/// added first and taken away again unless they were charged.
fn take_among(
    slots: &mut QuotaSlots,
    charges: &[Charge],
    mode: Mode,
    now: Timestamp,
    cache: &mut SpanCache,
    closing: &mut Closing,
) -> Result<Verdict, TakeError> {
    let before = slots.as_slice().len();
    let mut positions = [0; MAX_LIMITS];
    if charges.len() > MAX_LIMITS {
        return Err(TakeError::TooManyLimits);
    }
    for (charge, position) in charges.iter().zip(&mut positions) {
        let limit = &charge.limit.limit;
        if let Some(known) = slots.position_of(&charge.limit) {
            *position = known;
            continue;
        }
        if slots.as_slice().len() == MAX_LIMITS {
            slots.truncate(before);
            return make_room(slots, charges, mode, now, cache, closing);
        }
        *position = slots.as_slice().len();
        slots.push(QuotaSlot { limit: *limit, id: charge.limit.id, state: limit.rule.fresh() });
    }
    let budgets =
        if closing.is_wanted() { budgets_at(slots, &positions[..charges.len()]) } else { SmallVec::new() };
    let verdict = decide(slots, charges, &positions, mode, now, cache);
    if changes_state(mode, &verdict) {
        for (position, before) in budgets {
            let slot = &slots.as_slice()[position];
            if matches!(slot.state, State::Word(after) if slot.limit.rule.rolls_over(before, after)) {
                closing.note(&slot.limit, &State::Word(before), Some(&slot.state), cache);
            }
        }
        for (charge, &position) in charges.iter().zip(&positions) {
            let slot = &mut slots.as_mut_slice()[position];
            let is_another = slot.id.is_none() || slot.id != charge.limit.id;
            if is_another && charge.limit.limit.rule.explains(&slot.state, now) {
                slot.limit = charge.limit.limit;
                slot.id = charge.limit.id;
            }
        }
    } else {
        slots.truncate(before);
    }
    Ok(verdict)
}

/// The words of the budgets at `positions`, before they are charged.
fn budgets_at(slots: &QuotaSlots, positions: &[usize]) -> SmallVec<[(usize, u128); 4]> {
    let word = |&position: &usize| {
        let slot = &slots.as_slice()[position];
        match slot.state {
            State::Word(word) if slot.limit.rule.kind() == Kind::Budget => Some((position, word)),
            _ => None,
        }
    };
    positions.iter().filter_map(word).collect()
}

/// Takes again after dropping the slots that equal fresh ones, if there are any.
fn make_room(
    slots: &mut QuotaSlots,
    charges: &[Charge],
    mode: Mode,
    now: Timestamp,
    cache: &mut SpanCache,
    closing: &mut Closing,
) -> Result<Verdict, TakeError> {
    let before = slots.as_slice().len();
    slots.drop_fresh(now, cache, |slot, cache| closing.note(&slot.limit, &slot.state, None, cache));
    if slots.as_slice().len() == before {
        return Err(TakeError::TooManyLimits);
    }
    take_among(slots, charges, mode, now, cache, closing)
}

/// The verdict over the slots at `positions`, which are distinct; charges them where it allows.
fn decide(
    slots: &mut QuotaSlots,
    charges: &[Charge],
    positions: &[usize; MAX_LIMITS],
    mode: Mode,
    now: Timestamp,
    cache: &mut SpanCache,
) -> Verdict {
    // Rules that meet a state of another one with their slot key; nearly always there is none.
    let mut asked: SmallVec<[(usize, Rule); 1]> = SmallVec::new();
    for (number, (charge, &position)) in charges.iter().zip(positions).enumerate() {
        let slot = &slots.as_slice()[position];
        if slot.id.is_none() || slot.id != charge.limit.id {
            asked.push((number, charge.limit.limit.rule.after(&slot.limit.rule)));
        }
    }
    let mut states: [Option<&mut State>; MAX_LIMITS] = std::array::from_fn(|_| None);
    let positions = &positions[..charges.len()];
    for (at, slot) in slots.as_mut_slice().iter_mut().enumerate() {
        if let Some(charge) = positions.iter().position(|&position| position == at) {
            states[charge] = Some(&mut slot.state);
        }
    }
    let mut picked: SmallVec<[quota::Slot<'_>; 4]> = charges
        .iter()
        .zip(states)
        .enumerate()
        .filter_map(|(number, (charge, state))| {
            let after = asked.iter().find(|(asked, _)| *asked == number);
            let rule = after.map_or(&charge.limit.limit.rule, |(_, rule)| rule);
            Some(quota::Slot { rule, amount: charge.amount, state: state? })
        })
        .collect();
    debug_assert_eq!(picked.len(), charges.len(), "every charge has a slot of its own");
    take(&mut picked, mode, now, cache)
}
