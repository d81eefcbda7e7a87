//! What INFO and the metrics tell of the truth: one table for both.

use crate::clock::Timestamp;
use crate::dispatch::ports::Figure;
use crate::engine::Engine;
use crate::persist::{Count, FlushStats, Truth};

/// All figures at `now`.
pub fn figures(truth: &Truth, engine: &Engine, now: Timestamp) -> Vec<Figure> {
    let mut figures = state(truth, engine, now);
    figures.extend(flushing(&truth.stats));
    figures.extend(reading(truth));
    figures
}

const fn gauge(name: &'static str, help: &'static str, value: u64) -> Figure {
    Figure { name, help, value, is_counter: false }
}

const fn counter(name: &'static str, help: &'static str, value: u64) -> Figure {
    Figure { name, help, value, is_counter: true }
}

/// How far changes have come, and what hangs on that.
fn state(truth: &Truth, engine: &Engine, now: Timestamp) -> Vec<Figure> {
    let (stats, progress) = (&truth.stats, &truth.progress);
    let queued = u64::try_from(engine.queued()).unwrap_or(u64::MAX);
    let dirty = queued + stats.waiting_rows.value();
    // A truth without an outbox before it is the only place that keeps anything.
    let outbox = truth.outbox_size();
    let (unkept, kept_cut) = match outbox {
        Some(_) => (queued + stats.unkept_rows.value(), stats.kept_cut()),
        None => (dirty, stats.applied_cut()),
    };
    // What the truth lacks was changed after the last cut that it has.
    let is_behind = progress.applied() < progress.open().saturating_sub(1);
    let millis_since =
        |cut: Timestamp| if cut == Timestamp::EPOCH { 0 } else { now.micros_since(cut) / 1_000 };
    let lag_ms = if is_behind { millis_since(stats.applied_cut()) } else { 0 };
    let oldest_ms = if is_behind || queued > 0 { millis_since(stats.applied_cut()) } else { 0 };
    let unkept_ms = if unkept > 0 { millis_since(kept_cut) } else { 0 };
    let is_reachable = u64::from(progress.serves() && stats.told_trouble().is_none());
    let outbox = outbox.unwrap_or_default();
    vec![
        gauge("truth_epoch", "The epoch of this start.", progress.epoch()),
        gauge(
            "truth_reachable",
            "1 unless the truth did not take the last batch, or renew the lease, or is not there yet.",
            is_reachable,
        ),
        gauge("flush_open_seq", "The batch that carries what is changed now.", progress.open()),
        gauge("flush_kept_seq", "The last batch that is on disk.", progress.kept()),
        gauge("flush_applied_seq", "The last batch that the truth has.", progress.applied()),
        gauge("flush_lag_ms", "Age of the cut that the truth has, while it lacks a later one.", lag_ms),
        gauge("dirty_keys", "Changes that the truth lacks; a key counts in each batch that has it.", dirty),
        gauge("oldest_dirty_age_ms", "How old the oldest of them is at most.", oldest_ms),
        gauge("crash_would_lose_keys", "Changed keys that are neither on disk nor in the truth.", unkept),
        gauge(
            "crash_would_lose_ms",
            "Milliseconds of changes that a crash would lose now, at most.",
            unkept_ms,
        ),
        gauge(
            "changes_refused",
            "1 while changes are refused: nothing can keep them.",
            u64::from(progress.refuses()),
        ),
        gauge("outbox_size_bytes", "Bytes of the outbox on disk.", outbox.bytes),
        gauge("outbox_waiting_bytes", "Those of them that wait for the truth.", outbox.waiting_bytes),
        gauge("outbox_segments", "Files of the outbox.", outbox.segments),
    ]
}

/// What flushing has done.
fn flushing(stats: &FlushStats) -> Vec<Figure> {
    let micros = |count: &Count| count.value();
    vec![
        counter("flush_batches", "Batches that were cut.", stats.batches.value()),
        counter("flush_rows", "Rows in them.", stats.rows.value()),
        counter("flush_busy_gates", "Cuts put off since a thread was in its turn.", stats.busy_gates.value()),
        counter(
            "flush_gate_micros",
            "Microseconds that threads were held for cuts.",
            micros(&stats.gate_micros),
        ),
        counter("flush_collect_micros", "Microseconds that collecting took.", micros(&stats.collect_micros)),
        counter(
            "outbox_append_micros",
            "Microseconds of the outbox, its fsyncs included.",
            micros(&stats.append_micros),
        ),
        gauge(
            "outbox_writable",
            "1 unless the outbox did not take the last batch.",
            u64::from(stats.outbox_trouble.load().is_none()),
        ),
        counter("outbox_append_failures", "Failed writes to the outbox.", stats.append_failures.value()),
        counter("apply_transactions", "Transactions committed in the truth.", stats.applies.value()),
        counter("apply_rows", "Rows in them.", stats.applied_rows.value()),
        counter("apply_micros", "Microseconds that they took.", micros(&stats.apply_micros)),
        counter(
            "apply_failures",
            "Transactions that failed and were tried again.",
            stats.apply_failures.value(),
        ),
        counter("rejected_rows", "Rows that the truth refused.", stats.rejected_rows.value()),
        counter("truth_chain_gaps", "Times that the truth had lost batches.", stats.chain_gaps.value()),
        counter(
            "truth_lost_windows",
            "Times that it had lost more than was kept.",
            stats.lost_windows.value(),
        ),
    ]
}

/// What is read of the truth.
fn reading(truth: &Truth) -> Vec<Figure> {
    let (stats, loading) = (&truth.stats, &truth.loading);
    vec![
        counter("fetched_keys", "Keys fetched from the truth.", stats.fetched_keys.value()),
        counter("fetch_queries", "Queries that fetched them.", stats.fetch_queries.value()),
        counter("fetch_failures", "Queries that failed.", stats.fetch_failures.value()),
        counter("pruned_rows", "Rows of dead keys deleted from the truth.", stats.pruned_rows.value()),
        counter("verified_keys", "Keys compared with the truth.", stats.verified_keys.value()),
        counter("differing_keys", "Those that differed.", stats.differing_keys.value()),
        gauge(
            "truth_damaged_rows",
            "Rows of the truth that could not be read when they were last looked at.",
            stats.damages.count(),
        ),
        gauge("truth_total_keys", "Keys in the truth at the start.", loading.total.value()),
        gauge("truth_seen_keys", "Those of them that were looked at since.", loading.seen.value()),
    ]
}
