//! The faults, a file for each kind.

mod damaged;
mod disk;
mod failover;
mod kill;
mod memory;
mod network;
mod outage;
mod outbox;
mod ownership;
mod refused;
mod removed;
mod rollover;
mod scene;
mod start;

use crate::driver::Fault;

/// All of them, those that take longest first.
pub const FAULTS: &[Fault] = &[
    Fault { name: "kill -9 of quotad, keys beyond memory", run: kill::with_small_memory },
    Fault { name: "kill -9 of quotad on SQLite", run: kill::on_sqlite },
    Fault { name: "kill -9 of quotad on Postgres", run: kill::on_postgres },
    Fault { name: "kill -9 of quotad at each step of a flush", run: kill::at_each_step },
    Fault { name: "kill -9 of Postgres mid-commit", run: outage::killed_mid_commit },
    Fault { name: "Postgres stopped and back", run: outage::stopped },
    Fault { name: "Postgres stands still (SIGSTOP)", run: outage::frozen },
    Fault { name: "LOCK TABLE entries held", run: outage::locked },
    Fault { name: "max_connections reached", run: outage::crowded },
    Fault { name: "network: cuts and resets", run: network::cuts },
    Fault { name: "network: refuses", run: network::refuses },
    Fault { name: "network: delays and drips", run: network::slow },
    Fault { name: "network: holds everything", run: network::holds },
    Fault { name: "network: forgets connections", run: network::forgets },
    Fault { name: "PgBouncer restarts", run: failover::pooler_restarts },
    Fault { name: "a replica promoted", run: failover::promoted },
    Fault { name: "a replica promoted, the epoch lost", run: failover::promoted_without_epoch },
    Fault { name: "a replica promoted, keys beyond memory", run: failover::promoted_and_read },
    Fault { name: "a replica promoted, a snapshot behind it", run: failover::promoted_and_saved },
    Fault { name: "a replica promoted, quotad killed", run: failover::promoted_and_killed },
    Fault { name: "the outbox's disk full", run: disk::full },
    Fault { name: "the outbox's disk full, Postgres down", run: disk::full_without_truth },
    Fault { name: "the outbox's disk full behind large values", run: disk::full_behind_large_values },
    Fault { name: "the outbox's disk full at the end", run: disk::full_at_the_end },
    Fault { name: "the SQLite file's disk full", run: disk::full_under_sqlite },
    Fault { name: "the SQLite file moved away", run: removed::sqlite_file },
    Fault { name: "the outbox removed", run: removed::outbox },
    Fault { name: "memory full, Postgres down", run: memory::full_without_truth },
    Fault { name: "memory full, Postgres stands still", run: memory::full_with_frozen_truth },
    Fault { name: "a flipped byte amid the outbox", run: outbox::flipped },
    Fault { name: "a torn end of the outbox", run: outbox::torn },
    Fault { name: "a row that Postgres refuses", run: refused::constrained },
    Fault { name: "rows that cannot be read", run: damaged::edited },
    Fault { name: "a second server", run: ownership::second_server },
    Fault { name: "an expired lease", run: ownership::take_over },
    Fault { name: "SIGSTOP past the lease", run: ownership::stopped_past_lease },
    Fault { name: "SIGSTOP past the lease, mid-flush", run: ownership::stopped_mid_flush },
    Fault { name: "the database emptied", run: start::emptied },
    Fault { name: "a truth that is not the directory's", run: start::misplaced },
    Fault { name: "SIGTERM while Postgres is down", run: start::terminated_without_truth },
    Fault { name: "the clock an hour back, then a year ahead", run: start::clock_set },
    Fault { name: "kill -9 of quotad around a rollover", run: rollover::killed_around },
];
