//! What survives faults: real processes under load, a ledger of every acknowledged change, and a reconciliation against SQL after each
//! round. The end is a table: fault, rounds, acknowledged, lost, doubled.
//!
//! The faults run a few at a time, since most of them wait for something; words on the command line choose those whose names hold one.
//! `QUOTAD_FAULT_SEED` repeats a run's choices, `QUOTAD_KILL_ROUNDS` and `QUOTAD_OUTAGE_SECONDS` make it longer.

mod client;
mod cluster;
mod driver;
mod faults;
mod ledger;
mod load;
mod proxy;
#[path = "../support/random.rs"]
mod random;
mod report;
mod server;
mod small_disk;
mod surroundings;
mod truth;
mod values;

#[path = "../support/pooler.rs"]
mod pooler;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/program.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod program;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod support;

fn main() -> std::process::ExitCode {
    driver::main(faults::FAULTS)
}
