//! A subject's limits with their states, where one packed word does not tell it all.

use thin_vec::{ThinVec, thin_vec};

use crate::clock::Timestamp;
use crate::engine::limits::{LimitId, NumberedLimit};
use crate::quota::{Limit, MAX_LIMITS, SpanCache, State};

/// One limit of a subject with what was used of it.
#[derive(Clone, Debug)]
pub struct QuotaSlot {
    /// The limit as it was last named.
    pub limit: Limit,
    /// The number of `limit`, where it has one and it is known: equal numbers are equal limits.
    pub(in crate::engine) id: Option<LimitId>,
    /// What was used.
    pub state: State,
}

impl QuotaSlot {
    /// A slot as it comes from elsewhere: its limit has no number yet.
    #[must_use]
    pub const fn new(limit: Limit, state: State) -> Self {
        Self { limit, id: None, state }
    }
}

/// The limits of one subject, in the order of their first use; each slot key is there once.
#[derive(Clone, Debug, Default)]
pub struct QuotaSlots {
    /// Behind one pointer, length and all: a take over several limits waits for one line less.
    slots: ThinVec<QuotaSlot>,
}

impl QuotaSlots {
    /// One slot whose state is a packed word.
    #[must_use]
    pub fn of_word(limit: Limit, word: u128) -> Self {
        Self { slots: thin_vec![QuotaSlot::new(limit, State::Word(word))] }
    }

    /// The slots.
    #[must_use]
    pub fn as_slice(&self) -> &[QuotaSlot] {
        &self.slots
    }

    /// The slots, to change their states.
    pub fn as_mut_slice(&mut self) -> &mut [QuotaSlot] {
        &mut self.slots
    }

    /// Where the slot of a numbered limit is; mostly it is the very limit, and numbers are compared faster than slot keys.
    pub(in crate::engine) fn position_of(&self, limit: &NumberedLimit) -> Option<usize> {
        let by_number = limit.id.and_then(|id| self.slots.iter().position(|slot| slot.id == Some(id)));
        by_number.or_else(|| self.position(&limit.limit))
    }

    /// Where the slot of `limit` is.
    #[must_use]
    pub fn position(&self, limit: &Limit) -> Option<usize> {
        let key = limit.slot_key();
        self.slots.iter().position(|slot| slot.limit.slot_key() == key)
    }

    /// Adds a slot whose limit has none yet; the caller keeps to [`MAX_LIMITS`].
    pub fn push(&mut self, slot: QuotaSlot) {
        debug_assert!(self.position(&slot.limit).is_none(), "a slot key is there once");
        debug_assert!(self.slots.len() < MAX_LIMITS, "the caller counts");
        self.slots.push(slot);
    }

    /// Drops all slots behind the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.slots.truncate(len);
    }

    /// Drops slots that equal fresh ones at `now`, each after `dropped` has seen it.
    pub(in crate::engine) fn drop_fresh(
        &mut self,
        now: Timestamp,
        cache: &mut SpanCache,
        mut dropped: impl FnMut(&QuotaSlot, &mut SpanCache),
    ) {
        self.slots.retain(|slot| {
            let stays = slot.limit.rule.fresh_at(&slot.state, cache).is_none_or(|fresh_at| fresh_at > now);
            if !stays {
                dropped(slot, cache);
            }
            stays
        });
    }

    /// When every slot equals a fresh one; `None`: never.
    #[must_use]
    pub fn fresh_at(&self, cache: &mut SpanCache) -> Option<Timestamp> {
        let mut latest = Timestamp::EPOCH;
        for slot in &self.slots {
            latest = latest.max(slot.limit.rule.fresh_at(&slot.state, cache)?);
        }
        Some(latest)
    }

    /// Bytes on the heap, without the allocator's own.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let states: usize = self.slots.iter().map(|slot| slot.state.heap_bytes()).sum();
        self.slots.capacity() * size_of::<QuotaSlot>() + states + size_of::<Self>()
    }
}
