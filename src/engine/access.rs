//! Reading keys under shared guards, and changing them under exclusive ones.

use std::sync::atomic::Ordering;

use super::Engine;
use super::closed::Closing;
use super::entry::{Expiry, Value};
use super::limits::LimitId;
use super::residency::{Lookup, Missing, MissingKey};
use super::shards::Place;
use super::sync::RwLockWriteGuard;
use super::table::{Table, content_of, copy_of, stored, take_string};
use super::value::{Content, Kind, QuotaSlots, Text, canonical_integer};
use super::view::View;
use crate::clock::Timestamp;
use crate::quota::SpanCache;

impl Engine {
    /// Runs `read` on the entry of `key` under its shard's shared guard.
    ///
    /// # Errors
    /// [`Missing`] when the key is unknown.
    #[inline]
    pub fn read<R>(
        &self,
        database: u8,
        key: &[u8],
        now: Timestamp,
        read: impl FnOnce(View<'_>) -> R,
    ) -> Lookup<R> {
        let hash = self.hasher.hash(key);
        let table = self.shards.read(Place::new(database, hash));
        let Some(slot) = table.find(hash, key) else {
            return if self.residency.is_absent(database, hash) {
                Ok(None)
            } else {
                Err(Missing::one(database, key))
            };
        };
        let entry = table.entry(slot);
        let Some(view) = View::of(entry, &self.limits, now) else { return Ok(None) };
        entry.touch(now);
        Ok(Some(read(view)))
    }

    /// As [`read`](Self::read), but the use is not noted: for looking at a key without keeping it from eviction.
    ///
    /// # Errors
    /// [`Missing`] when the key is unknown.
    pub fn peek<R>(
        &self,
        database: u8,
        key: &[u8],
        now: Timestamp,
        read: impl FnOnce(View<'_>) -> R,
    ) -> Lookup<R> {
        let hash = self.hasher.hash(key);
        let table = self.shards.read(Place::new(database, hash));
        match table.find(hash, key) {
            Some(slot) => Ok(View::of(table.entry(slot), &self.limits, now).map(read)),
            None if self.residency.is_absent(database, hash) => Ok(None),
            None => Err(Missing::one(database, key)),
        }
    }

    /// Runs `read` once per key, in their order, all at one point in time: every shard is guarded while any is read.
    ///
    /// # Errors
    /// [`Missing`] with all unknown keys; `read` was not run.
    pub fn read_many(
        &self,
        database: u8,
        keys: &[&[u8]],
        now: Timestamp,
        read: impl FnMut(usize, Option<View<'_>>),
    ) -> Result<(), Missing> {
        self.look_at_many(database, keys, now, true, read)
    }

    /// As [`read_many`](Self::read_many), but the use is not noted.
    ///
    /// # Errors
    /// [`Missing`] with all unknown keys; `read` was not run.
    pub fn peek_many(
        &self,
        database: u8,
        keys: &[&[u8]],
        now: Timestamp,
        read: impl FnMut(usize, Option<View<'_>>),
    ) -> Result<(), Missing> {
        self.look_at_many(database, keys, now, false, read)
    }

    fn look_at_many(
        &self,
        database: u8,
        keys: &[&[u8]],
        now: Timestamp,
        touch: bool,
        mut read: impl FnMut(usize, Option<View<'_>>),
    ) -> Result<(), Missing> {
        let hashes: Vec<u64> = keys.iter().map(|key| self.hasher.hash(key)).collect();
        let mut places: Vec<Place> = hashes.iter().map(|&hash| Place::new(database, hash)).collect();
        let guards = self.shards.read_all(&mut places);
        let table = |hash| {
            let place = places.binary_search(&Place::new(database, hash));
            &guards[place.expect("every key's place was guarded")]
        };
        if !self.residency.is_complete(database) {
            let unknown = keys.iter().zip(&hashes).filter(|&(key, &hash)| {
                table(hash).find(hash, key).is_none() && !self.residency.is_absent(database, hash)
            });
            let unknown: Vec<_> =
                unknown.map(|(key, _)| MissingKey { database, key: (*key).into() }).collect();
            if !unknown.is_empty() {
                return Err(Missing(unknown));
            }
        }
        for (position, (key, &hash)) in keys.iter().zip(&hashes).enumerate() {
            let table = table(hash);
            let entry = table.find(hash, key).map(|slot| table.entry(slot));
            let view = entry.and_then(|entry| View::of(entry, &self.limits, now));
            if let (Some(entry), true) = (entry, touch && view.is_some()) {
                entry.touch(now);
            }
            read(position, view);
        }
        Ok(())
    }

    /// Runs `edit` on `key` under its shard's exclusive guard.
    ///
    /// # Errors
    /// [`Missing`] when the key is unknown; `edit` was not run.
    pub fn edit<R>(
        &self,
        database: u8,
        key: &[u8],
        now: Timestamp,
        edit: impl FnOnce(&mut Slot<'_>) -> R,
    ) -> Result<R, Missing> {
        let hash = self.hasher.hash(key);
        let mut table = self.shards.write(Place::new(database, hash));
        let found = table.find(hash, key);
        if found.is_none() && !self.residency.is_absent(database, hash) {
            return Err(Missing::one(database, key));
        }
        Ok(edit(&mut Slot::open(self, &mut table, (database, key, hash), found, now)))
    }

    /// Runs `edit` on several keys, of one or more databases, under the exclusive guards of all their shards: others see
    /// all of the changes or none.
    ///
    /// # Errors
    /// [`Missing`] with all unknown keys; `edit` was not run.
    pub fn edit_many<R>(
        &self,
        keys: &[(u8, &[u8])],
        now: Timestamp,
        edit: impl FnOnce(&mut Slots<'_>) -> R,
    ) -> Result<R, Missing> {
        let keys: Vec<_> =
            keys.iter().map(|&(database, key)| (database, key, self.hasher.hash(key))).collect();
        let mut places: Vec<Place> =
            keys.iter().map(|&(database, _, hash)| Place::new(database, hash)).collect();
        let guards = self.shards.write_all(&mut places);
        let mut slots = Slots { engine: self, keys, places, guards, now };
        let unknown = slots.unknown();
        if !unknown.is_empty() {
            return Err(Missing(unknown));
        }
        Ok(edit(&mut slots))
    }

    /// Keys that ended by their expiry since the start.
    #[must_use]
    pub fn expired_keys(&self) -> u64 {
        self.expired_keys.load(Ordering::Relaxed)
    }

    pub(super) fn count_expired(&self, keys: u64) {
        self.expired_keys.fetch_add(keys, Ordering::Relaxed);
    }
}

/// Several keys under exclusive guards.
pub struct Slots<'e> {
    engine: &'e Engine,
    keys: Vec<(u8, &'e [u8], u64)>,
    /// Sorted, without duplicates; `guards` is in the same order.
    places: Vec<Place>,
    guards: Vec<RwLockWriteGuard<'e, Table>>,
    now: Timestamp,
}

impl Slots<'_> {
    /// The key at `position` of the keys that were asked for.
    pub fn slot(&mut self, position: usize) -> Slot<'_> {
        let (database, key, hash) = self.keys[position];
        let guard =
            self.places.binary_search(&Place::new(database, hash)).expect("every key's place is guarded");
        let table = &mut self.guards[guard];
        let found = table.find(hash, key);
        Slot::open(self.engine, table, (database, key, hash), found, self.now)
    }

    fn unknown(&self) -> Vec<MissingKey> {
        let mut unknown = Vec::new();
        let residency = &self.engine.residency;
        for &(database, key, hash) in self.keys.iter().filter(|key| !residency.is_complete(key.0)) {
            let guard = self.places.binary_search(&Place::new(database, hash));
            let table = &self.guards[guard.expect("every key's place is guarded")];
            if table.find(hash, key).is_none() && !residency.is_absent(database, hash) {
                unknown.push(MissingKey { database, key: key.into() });
            }
        }
        unknown
    }
}

/// One key under an exclusive guard: present or absent, never unknown.
pub struct Slot<'t> {
    engine: &'t Engine,
    table: &'t mut Table,
    database: u8,
    key: &'t [u8],
    hash: u64,
    /// Where the key lies; it may be a mark that the key is absent, never expired.
    found: Option<u32>,
    now: Timestamp,
}

impl<'t> Slot<'t> {
    /// Opens `key` at `found`, or removes what has expired there.
    pub(super) fn open(
        engine: &'t Engine,
        table: &'t mut Table,
        (database, key, hash): (u8, &'t [u8], u64),
        found: Option<u32>,
        now: Timestamp,
    ) -> Self {
        let mut slot = Self { engine, table, database, key, hash, found, now };
        if let Some(number) = slot.found {
            let entry = slot.table.entry(number);
            if entry.is_expired(now) {
                slot.clear();
                engine.count_expired(1);
            } else {
                entry.touch(now);
            }
        }
        slot
    }

    /// The value, if there is one.
    #[must_use]
    pub fn view(&self) -> Option<View<'_>> {
        self.found.and_then(|slot| View::of(self.table.entry(slot), &self.engine.limits, self.now))
    }

    /// Whether there is a value.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.view().is_some()
    }

    /// Takes away a quota state that equals an absent one, so that the key counts as absent in what follows.
    pub fn drop_ended(&mut self, cache: &mut SpanCache) {
        if self.view().is_some_and(|view| view.has_ended(self.now, cache)) {
            if let Some(slot) = self.found {
                let mut closing = Closing::new(self.engine, self.database);
                closing.note_dropped(self.engine, self.table.entry(slot), cache);
                self.leave_closed(closing);
            }
            self.clear();
        }
    }

    /// No period yet, for a change of this key to note those that it closes.
    pub(super) fn closing(&self) -> Closing {
        Closing::new(self.engine, self.database)
    }

    /// Leaves the periods that a change of this key closed.
    pub(super) fn leave_closed(&self, closing: Closing) {
        self.engine.leave_closed(self.database, self.key, closing);
    }

    /// Puts a value under the key, whatever was there.
    pub fn put(&mut self, content: Content, expiry: Expiry) {
        self.swap(content, expiry);
    }

    /// As [`put`](Self::put); answers a text that was there, for the caller to free after the guard is gone.
    pub fn swap(&mut self, content: Content, expiry: Expiry) -> Option<Text> {
        if expiry.has_passed(self.now) {
            return self.remove().and_then(|(content, _)| content.into_text());
        }
        let (value, word) = stored(content, expiry, &self.engine.limits);
        self.store(value, word)
    }

    /// As [`swap`](Self::swap), of what was under another key until now: a snapshot that has not read it there reads it here.
    pub fn swap_moved(&mut self, content: Content, expiry: Expiry) -> Option<Text> {
        let swapped = self.swap(content, expiry);
        if let Some(slot) = self.found {
            self.table.owe_moved(slot, self.engine.tracking(self.database));
        }
        swapped
    }

    /// Puts the state of one limit that is numbered already under the key.
    pub(super) fn put_quota(&mut self, limit: LimitId, word: u128) {
        self.store(Value::Quota(limit), word);
    }

    fn store(&mut self, value: Value, word: u128) -> Option<Text> {
        match self.found {
            Some(slot) => {
                self.note_change(slot);
                match self.table.replace(slot, value, word) {
                    Value::Text(text) => Some(*text),
                    _ => None,
                }
            }
            None => {
                let slot = self.table.insert(&self.engine.hasher, self.hash, self.key, value, word);
                self.table.entry(slot).touch(self.now);
                self.table.settle_for_snapshot(slot, self.engine.tracking(self.database));
                self.note_change(slot);
                self.found = Some(slot);
                None
            }
        }
    }

    /// Before the entry at `slot` is changed, or after it was made.
    fn note_change(&mut self, slot: u32) {
        self.table.keep_for_cut(slot, self.engine.tracking(self.database), &self.engine.limits);
        self.table.queue(slot, self.engine.tracking(self.database));
    }

    /// Takes the value out; answers it with its expiry.
    pub fn remove(&mut self) -> Option<(Content, Expiry)> {
        let slot = self.found?;
        self.view()?;
        let content = if self.engine.is_tracked(self.database) {
            copy_of(self.table.entry(slot), &self.engine.limits)
        } else {
            self.found = None;
            self.table.keep_for_snapshot(slot, self.engine.tracking(self.database), &self.engine.limits);
            return Some(content_of(self.table.remove(&self.engine.hasher, slot), &self.engine.limits));
        };
        self.clear();
        Some(content)
    }

    /// Changes the expiry of a string; `false` where there is none.
    pub fn set_expiry(&mut self, expiry: Expiry) -> bool {
        let Some((content, _)) = self.string_content() else { return false };
        self.put(content, expiry);
        true
    }

    /// Changes the bytes of a string value in place; an absent key is an empty string without expiry. The value becomes
    /// an integer again where its bytes are one. `None` for another type.
    pub fn change_bytes<R>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        let (content, expiry) = match self.string_content() {
            Some(content) => content,
            None if self.is_present() => return None,
            None => (Content::Text(Text::new(b"")), Expiry::NEVER),
        };
        let (result, content) = match content {
            Content::Text(mut text) => {
                let result = text.change(change);
                let content =
                    canonical_integer(text.as_bytes()).map_or(Content::Text(text), Content::Integer);
                (result, content)
            }
            Content::Integer(integer) => {
                let mut bytes = itoa::Buffer::new().format(integer).as_bytes().to_vec();
                let result = change(&mut bytes);
                (result, Content::string(&bytes))
            }
            _ => return None,
        };
        self.put(content, expiry);
        Some(result)
    }

    /// Changes the limits of a subject in place; `None` where the value is none or a single word.
    /// `is_change` tells of the result whether anything was changed that counts.
    pub(super) fn change_quotas<R>(
        &mut self,
        change: impl FnOnce(&mut QuotaSlots) -> R,
        is_change: impl FnOnce(&R) -> bool,
    ) -> Option<R> {
        let slot = self.found?;
        if !matches!(self.table.entry(slot).value, Value::Quotas(_)) {
            return None;
        }
        self.table.keep_for_cut(slot, self.engine.tracking(self.database), &self.engine.limits);
        let result = self.table.change(slot, |entry| match &mut entry.value {
            Value::Quotas(slots) => Some(change(slots)),
            _ => None,
        })?;
        if is_change(&result) {
            self.table.queue(slot, self.engine.tracking(self.database));
        }
        Some(result)
    }

    /// Takes the string out of its entry, to be put back changed.
    fn string_content(&mut self) -> Option<(Content, Expiry)> {
        let slot = self.found?;
        if self.table.entry(slot).kind() == Some(Kind::String) {
            self.note_change(slot);
        }
        self.table.change(slot, take_string)
    }

    /// Removes whatever is there without a look at it.
    fn clear(&mut self) {
        let Some(slot) = self.found else { return };
        if self.engine.is_tracked(self.database) {
            // The truth still has the key: its absence is news to keep.
            self.note_change(slot);
            self.table.replace(slot, Value::KnownAbsent, 0);
        } else {
            self.found = None;
            self.table.keep_for_snapshot(slot, self.engine.tracking(self.database), &self.engine.limits);
            self.table.remove(&self.engine.hasher, slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StringView;
    use crate::engine::value::SHARED_FROM_BYTES;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn string(engine: &Engine, key: &[u8]) -> Option<Vec<u8>> {
        let read = |view: View<'_>| view.string().map(|string| string.with_bytes(<[u8]>::to_vec));
        engine.peek(0, key, NOW, read).unwrap().flatten()
    }

    #[test]
    fn bytes_that_become_an_integer_are_counted_in_again() {
        let engine = Engine::new();
        for (before, after) in [(&b"a1"[..], &b"11"[..]), (b"7", b"71"), (b"", b"5")] {
            engine.edit(0, b"key", NOW, |slot| slot.put(Content::string(before), Expiry::NEVER)).unwrap();
            let change = |bytes: &mut Vec<u8>| after.clone_into(bytes);
            engine.edit(0, b"key", NOW, |slot| slot.change_bytes(change)).unwrap();
            let integer = |view: View<'_>| matches!(view.string(), Some(StringView::Integer(_)));
            assert_eq!(engine.peek(0, b"key", NOW, integer), Ok(Some(true)));
            assert_eq!(string(&engine, b"key").as_deref(), Some(after));
        }
    }

    #[test]
    fn a_swap_answers_the_text_that_was_there() {
        let engine = Engine::new();
        let large = vec![b'x'; SHARED_FROM_BYTES + 1];
        let swap = |content: Content, expiry: Expiry| {
            engine.edit(0, b"key", NOW, |slot| slot.swap(content, expiry)).unwrap()
        };
        assert_eq!(swap(Content::string(&large), Expiry::NEVER), None);
        assert_eq!(swap(Content::Integer(1), Expiry::NEVER), Some(Text::new(&large)));
        assert_eq!(swap(Content::string(b"text"), Expiry::NEVER), None);
        assert_eq!(swap(Content::Integer(1), Expiry::at_millis(1_000)), Some(Text::new(b"text")));
        assert_eq!(string(&engine, b"key"), None);
    }

    #[test]
    fn a_peek_at_many_keys_is_no_use_of_them() {
        let engine = Engine::new();
        engine.edit(0, b"key", NOW, |slot| slot.put(Content::Integer(1), Expiry::NEVER)).unwrap();
        let later = NOW.plus_micros(5_000_000);
        let idle = || engine.peek(0, b"key", later, |view| view.idle_secs(later)).unwrap();
        engine.peek_many(0, &[b"key", b"absent"], later, |_, _| ()).unwrap();
        assert_eq!(idle(), Some(5));
        engine.read_many(0, &[b"key", b"absent"], later, |_, _| ()).unwrap();
        assert_eq!(idle(), Some(0));
    }
}
