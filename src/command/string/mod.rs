//! Commands on strings and counters.
//!
//! **Owns** what strings are read, written and counted with. **Does not own** expiry beyond their own options, nor keys of other
//! types. **May use** `dispatch`, `engine`, `resp`.

mod add;
mod append;
mod decr;
mod decrby;
mod extended;
mod get;
mod getdel;
mod getex;
mod getrange;
mod getset;
mod incr;
mod incrby;
mod incrbyfloat;
mod increx;
mod mget;
mod mset;
mod msetnx;
mod natural;
mod options;
mod psetex;
mod set;
mod setex;
mod setnx;
mod setrange;
mod shared;
mod strlen;
mod substr;

use crate::dispatch::Spec;

use shared::{MAX_STRING_BYTES, STRING_TOO_LONG, old_string, read_string, reply_old, reply_string};

pub(super) static COMMANDS: &[&Spec] = &[
    &get::SPEC,
    &set::SPEC,
    &setex::SPEC,
    &psetex::SPEC,
    &setnx::SPEC,
    &getset::SPEC,
    &getdel::SPEC,
    &getex::SPEC,
    &mget::SPEC,
    &mset::SPEC,
    &msetnx::SPEC,
    &incr::SPEC,
    &decr::SPEC,
    &incrby::SPEC,
    &decrby::SPEC,
    &incrbyfloat::SPEC,
    &increx::SPEC,
    &append::SPEC,
    &strlen::SPEC,
    &getrange::SPEC,
    &setrange::SPEC,
    &substr::SPEC,
];
