//! Commands on the server.
//!
//! **Owns** what they read and answer, and the threads that free flushed memory. **Does not own** settings, the process,
//! what is measured: those are reached through `dispatch::ports`. **May use** `dispatch`, `engine`, `metrics`, `resp`.

mod acl;
mod cluster;
mod command;
mod config;
mod dbsize;
mod debug;
mod flush;
mod flushall;
mod flushdb;
mod info;
mod latency;
mod memory;
mod readonly;
mod readwrite;
mod role;
mod shutdown;
mod slowlog;
mod time;
mod wait;
mod waitaof;

use crate::dispatch::Spec;

pub(super) static COMMANDS: &[&Spec] = &[
    &acl::SPEC,
    &cluster::SPEC,
    &command::SPEC,
    &config::SPEC,
    &dbsize::SPEC,
    &debug::SPEC,
    &flushall::SPEC,
    &flushdb::SPEC,
    &info::SPEC,
    &latency::SPEC,
    &memory::SPEC,
    &readonly::SPEC,
    &readwrite::SPEC,
    &role::SPEC,
    &shutdown::SPEC,
    &slowlog::SPEC,
    &time::SPEC,
    &wait::SPEC,
    &waitaof::SPEC,
];
