//! Commands on the server.
//!
//! **Owns** what they read and answer, and the threads that free flushed memory. **Does not own** settings, the process,
//! what is measured: those are reached through `dispatch::ports`. **May use** `dispatch`, `engine`, `metrics`, `resp`.

mod acl;
mod bgsave;
mod cluster;
mod command;
mod config;
mod dbsize;
mod debug;
mod flush;
mod flushall;
mod flushdb;
mod info;
mod lastsave;
mod latency;
mod memory;
mod readonly;
mod readwrite;
mod role;
mod save;
mod shutdown;
mod slowlog;
mod time;
mod wait;
mod waitaof;

use crate::dispatch::Spec;

pub(super) static COMMANDS: &[&Spec] = &[
    &acl::SPEC,
    &bgsave::SPEC,
    &cluster::SPEC,
    &command::SPEC,
    &config::SPEC,
    &dbsize::SPEC,
    &debug::SPEC,
    &flushall::SPEC,
    &flushdb::SPEC,
    &info::SPEC,
    &lastsave::SPEC,
    &latency::SPEC,
    &memory::SPEC,
    &readonly::SPEC,
    &readwrite::SPEC,
    &role::SPEC,
    &save::SPEC,
    &shutdown::SPEC,
    &slowlog::SPEC,
    &time::SPEC,
    &wait::SPEC,
    &waitaof::SPEC,
];
