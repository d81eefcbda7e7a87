//! The limits in use, each numbered once, so that an entry names its limit in four bytes.

use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::quota::Limit;

/// The most distinct limits that are numbered. Thousands of subjects share one limit, so real systems have hundreds;
/// a client that makes up a limit for every call fills at most this table (about 16 MiB), and its further subjects
/// carry their limits themselves, in more memory and on the exclusive path.
pub const MAX_NUMBERED_LIMITS: usize = 65_536;

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
#[derive(Default)]
pub(super) struct LimitTable {
    numbered: RwLock<Numbered>,
}

#[derive(Default)]
struct Numbered {
    by_limit: HashMap<Limit, LimitId, foldhash::fast::RandomState>,
    by_number: Vec<Limit>,
}

impl LimitTable {
    /// The number of `limit`, given to it now if it is new; `None` when all numbers are given.
    pub(super) fn number(&self, limit: &Limit) -> Option<LimitId> {
        if let Some(&id) = self.numbered.read().by_limit.get(limit) {
            return Some(id);
        }
        let mut numbered = self.numbered.write();
        if let Some(&id) = numbered.by_limit.get(limit) {
            return Some(id);
        }
        let next = numbered.by_number.len();
        if next >= MAX_NUMBERED_LIMITS {
            return None;
        }
        let id = LimitId(u32::try_from(next).expect("there are at most 65,536 numbers"));
        numbered.by_number.push(*limit);
        numbered.by_limit.insert(*limit, id);
        Some(id)
    }

    /// The limit with this number.
    pub(super) fn limit(&self, id: LimitId) -> Limit {
        let numbered = self.numbered.read();
        numbered.by_number[usize::try_from(id.0).expect("32 bits fit a usize")]
    }
}
