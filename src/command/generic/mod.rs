//! Commands on keys of any type.
//!
//! **Owns** what is done to a key whatever it holds: existence, expiry, names, walking. **Does not own** values.
//! **May use** `dispatch`, `engine`, `resp`.

mod copy;
mod del;
mod exists;
mod expire;
mod expireat;
mod expiretime;
mod keys;
mod object;
mod persist;
mod pexpire;
mod pexpireat;
mod pexpiretime;
mod pttl;
mod randomkey;
mod remaining;
mod rename;
mod renamenx;
mod scan;
mod set_expiry;
mod touch;
mod ttl;
mod type_of;
mod unlink;

use crate::dispatch::Spec;

pub(super) static COMMANDS: &[&Spec] = &[
    &del::SPEC,
    &unlink::SPEC,
    &exists::SPEC,
    &touch::SPEC,
    &type_of::SPEC,
    &expire::SPEC,
    &pexpire::SPEC,
    &expireat::SPEC,
    &pexpireat::SPEC,
    &ttl::SPEC,
    &pttl::SPEC,
    &expiretime::SPEC,
    &pexpiretime::SPEC,
    &persist::SPEC,
    &rename::SPEC,
    &renamenx::SPEC,
    &copy::SPEC,
    &randomkey::SPEC,
    &keys::SPEC,
    &scan::SPEC,
    &object::SPEC,
];
