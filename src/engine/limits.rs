//! The limits in use, each numbered once, so that an entry names its limit in four bytes.

use std::sync::OnceLock;

use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::quota::Limit;

/// The most distinct limits that are numbered. Thousands of subjects share one limit, so real systems have hundreds;
/// a client that makes up a limit for every call fills at most this table (about 16 MiB), and its further subjects
/// carry their limits themselves, in more memory and on the exclusive path.
pub const MAX_NUMBERED_LIMITS: usize = 65_536;

/// Limits that are made room for at once.
const CHUNK_LIMITS: usize = 256;

/// Each is written once, when its number is given.
type Chunk = Box<[OnceLock<Limit>]>;

/// The number of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitId(u32);

/// A limit with its number, which is looked up once and kept with the parsed limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberedLimit {
    /// The limit.
    pub limit: Limit,
    /// Its number; `None` when all numbers are given: then every take on it is exclusive.
    pub(super) id: Option<LimitId>,
}

/// Numbers for limits; a number is never used again for another limit.
pub(super) struct LimitTable {
    by_limit: RwLock<HashMap<Limit, LimitId, foldhash::fast::RandomState>>,
    /// Read without a lock, whose own counter would cost each collected entry more than the limit.
    by_number: [OnceLock<Chunk>; MAX_NUMBERED_LIMITS / CHUNK_LIMITS],
}

impl Default for LimitTable {
    fn default() -> Self {
        Self { by_limit: RwLock::default(), by_number: [const { OnceLock::new() }; _] }
    }
}

impl LimitTable {
    /// The number of `limit`, given to it now if it is new; `None` when all numbers are given.
    pub(super) fn number(&self, limit: &Limit) -> Option<LimitId> {
        if let Some(&id) = self.by_limit.read().get(limit) {
            return Some(id);
        }
        let mut by_limit = self.by_limit.write();
        if let Some(&id) = by_limit.get(limit) {
            return Some(id);
        }
        let next = by_limit.len();
        if next >= MAX_NUMBERED_LIMITS {
            return None;
        }
        let id = LimitId(u32::try_from(next).expect("there are at most 65,536 numbers"));
        let chunk = self.by_number[next / CHUNK_LIMITS]
            .get_or_init(|| std::iter::repeat_with(OnceLock::new).take(CHUNK_LIMITS).collect());
        // Under the exclusive guard nobody else gives this number.
        chunk[next % CHUNK_LIMITS].get_or_init(|| *limit);
        by_limit.insert(*limit, id);
        Some(id)
    }

    /// The limit with this number.
    pub(super) fn limit(&self, id: LimitId) -> Limit {
        let number = usize::try_from(id.0).expect("32 bits fit a usize");
        let chunk = self.by_number[number / CHUNK_LIMITS].get();
        *chunk.and_then(|chunk| chunk[number % CHUNK_LIMITS].get()).expect("a number is given with its limit")
    }
}
