//! INFO's section on what outlives the process.

use super::{Lines, line};
use crate::app::process::Process;
use crate::app::truth_figures::figures;
use crate::persist::Loading;

pub(super) fn persistence(process: &Process) -> Lines {
    let Some(truth) = &process.truth else {
        let mut lines = vec![line("loading", 0), line("async_loading", 0)];
        lines.extend(without_snapshots(0));
        lines.push(line("truth", "none"));
        return lines;
    };
    let is_serving = truth.progress.serves();
    let is_streaming = is_serving && !truth.loading.is_over();
    let mut lines =
        vec![line("loading", u64::from(!is_serving)), line("async_loading", u64::from(is_streaming))];
    if is_streaming {
        lines.extend(loading(&truth.loading));
    }
    lines.extend(without_snapshots(u64::from(truth.outbox_size().is_some())));
    lines.push(line("truth", process.settings.config().truth.to_string()));
    let figures = figures(truth, &process.engine, process.clock.now());
    lines.extend(figures.into_iter().map(|figure| line(figure.name, figure.value)));
    let trouble = truth.stats.trouble.load();
    lines.push(line(
        "truth_trouble",
        trouble.as_ref().map_or("", |reason| reason.as_str()).replace(['\r', '\n'], " "),
    ));
    lines
}

/// Redis's names of how far loading is.
fn loading(loading: &Loading) -> Lines {
    let (total, seen) = (loading.total.value(), loading.seen.value());
    let percent = (u128::from(seen) * 10_000).checked_div(u128::from(total)).unwrap_or(0);
    let micros = u128::from(loading.micros.value());
    let left = u128::from(total.saturating_sub(seen));
    let eta_seconds = (micros * left).checked_div(u128::from(seen)).unwrap_or(0) / 1_000_000;
    vec![
        line("loading_start_time", loading.began_secs()),
        line("loading_total_keys", total),
        line("loading_loaded_keys", seen),
        line("loading_loaded_perc", format!("{}.{:02}", percent / 100, percent % 100)),
        line("loading_eta_seconds", eta_seconds),
    ]
}

/// What Redis tells of its snapshots and log: there is no snapshot, and the outbox is the log.
fn without_snapshots(log: u64) -> Lines {
    vec![line("rdb_bgsave_in_progress", 0), line("aof_enabled", log), line("aof_rewrite_in_progress", 0)]
}
