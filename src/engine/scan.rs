//! Walking the keys of a database in pieces.

use super::Engine;
use super::shards::{Place, SHARDS};
use super::view::View;
use crate::clock::Timestamp;

/// Where a scan goes on: a shard and a slot in it. Slots never move, so a key that is present from the first page to the
/// last is met at least once; here even exactly once, unless it is removed and comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    shard: u16,
    slot: u32,
}

impl Cursor {
    /// A beginning chosen by `random`: that of some shard.
    #[must_use]
    pub fn at_random(random: u64) -> Self {
        Self { shard: u16::try_from(random % SHARDS as u64).unwrap_or(0), slot: 0 }
    }

    /// Reads the number a client hands back; `None` for one that no scan has answered.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        let shard = u16::try_from(number >> 32).ok().filter(|&shard| usize::from(shard) < SHARDS)?;
        Some(Self { shard, slot: u32::try_from(number & u64::from(u32::MAX)).ok()? })
    }

    /// The number for the client; 0 stands for the beginning.
    #[must_use]
    pub fn to_number(self) -> u64 {
        (u64::from(self.shard) << 32) | u64::from(self.slot)
    }
}

/// What one piece of a scan came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanPage {
    /// Where to go on; `None` when every key was met.
    pub next: Option<Cursor>,
    /// Entries that were looked at.
    pub visited: usize,
}

impl Engine {
    /// Runs `visit` on the keys from `cursor` on until at least `count` were met or the database ends. A shard is guarded
    /// for at most `count` entries at a time.
    pub fn scan(
        &self,
        database: u8,
        cursor: Cursor,
        count: usize,
        now: Timestamp,
        mut visit: impl FnMut(&[u8], View<'_>),
    ) -> ScanPage {
        let mut visited = 0;
        if !self.shards.is_used(database) {
            return ScanPage { next: None, visited };
        }
        let Cursor { mut shard, mut slot } = cursor;
        while usize::from(shard) < SHARDS {
            let table = self.shards.read(Place::at(database, shard));
            while let Some(used) = table.next_used(slot) {
                if visited >= count {
                    return ScanPage { next: Some(Cursor { shard, slot: used }), visited };
                }
                visited += 1;
                slot = used + 1;
                let entry = table.entry(used);
                if let Some(view) = View::of(entry, &self.limits, now) {
                    visit(entry.key.as_bytes(), view);
                }
            }
            shard += 1;
            slot = 0;
        }
        ScanPage { next: None, visited }
    }

    /// A live key of the database, chosen by `random`: a shard and a slot in it at random, then the next that is used.
    /// Keys after long gaps come somewhat more often, as in Redis. `None` when there is no live key.
    #[must_use]
    pub fn random_key(&self, database: u8, random: u64, now: Timestamp) -> Option<Box<[u8]>> {
        if !self.shards.is_used(database) {
            return None;
        }
        let first = usize::try_from(random % SHARDS as u64).ok()?;
        for offset in 0..SHARDS {
            let shard = u16::try_from((first + offset) % SHARDS).ok()?;
            let table = self.shards.read(Place::at(database, shard));
            let slots = u64::from(table.slots().max(1));
            let start = u32::try_from((random >> 32) % slots).ok()?;
            if let Some(key) = self.first_live(&table, start, now).or_else(|| self.first_live(&table, 0, now))
            {
                return Some(key);
            }
        }
        None
    }

    fn first_live(&self, table: &super::table::Table, from: u32, now: Timestamp) -> Option<Box<[u8]>> {
        let mut slot = table.next_used(from)?;
        loop {
            let entry = table.entry(slot);
            if entry.is_live(now) {
                return Some(entry.key.as_bytes().into());
            }
            slot = table.next_used(slot + 1)?;
        }
    }
}
