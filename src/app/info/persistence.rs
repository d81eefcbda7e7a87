//! INFO's section on what outlives the process.

use super::{Lines, line};
use crate::app::process::Process;
use crate::app::snapshot_ports::figures as snapshot_figures;
use crate::app::truth_figures::figures;
use crate::dispatch::ports::Lifecycle as _;
use crate::persist::Loading;

pub(super) fn persistence(process: &Process) -> Lines {
    let Some(truth) = &process.truth else {
        let is_loading = process.snapshots.as_ref().is_some_and(|snapshots| snapshots.stats.is_loading());
        let mut lines = vec![line("loading", u64::from(is_loading)), line("async_loading", 0)];
        lines.extend(as_redis_tells(process, 0));
        lines.push(line("truth", "none"));
        return lines;
    };
    let is_serving = truth.progress.serves();
    let is_streaming = is_serving && !truth.loading.is_over();
    let mut lines =
        vec![line("loading", u64::from(!is_serving)), line("async_loading", u64::from(is_streaming))];
    if let Some(stage) = process.loading_progress().filter(|_| !is_serving) {
        lines.push(line("loading_stage", stage));
    }
    if is_streaming {
        lines.extend(loading(&truth.loading));
    }
    lines.extend(as_redis_tells(process, u64::from(truth.outbox_size().is_some())));
    let config = process.settings.config();
    lines.push(line("truth", config.truth.to_string()));
    let ephemeral: Vec<String> = config.ephemeral_databases.iter().map(ToString::to_string).collect();
    lines.push(line("ephemeral_databases", ephemeral.join(",")));
    let figures = figures(truth, &process.engine, process.clock.now());
    lines.extend(figures.into_iter().map(|figure| line(figure.name, figure.value)));
    let trouble = truth.stats.outbox_trouble.load_full();
    lines.push(line(
        "outbox_trouble",
        trouble.as_ref().map_or("", |reason| reason.as_str()).replace(['\r', '\n'], " "),
    ));
    let trouble = truth.stats.told_trouble();
    lines.push(line(
        "truth_trouble",
        trouble.as_ref().map_or("", |reason| reason.as_str()).replace(['\r', '\n'], " "),
    ));
    lines
}

/// Redis's names of how far loading is.
fn loading(loading: &Loading) -> Lines {
    // What is written meanwhile may be met although it was not counted.
    let total = loading.total.value();
    let seen = loading.seen.value().min(total);
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

/// What Redis tells of its snapshots and its log, which is the outbox.
fn as_redis_tells(process: &Process, log: u64) -> Lines {
    let figures = process.snapshots.as_ref().map(|snapshots| snapshots.stats.figures());
    let is_on = figures.is_some();
    let figures = figures.unwrap_or_default();
    let now = process.clock.now();
    let counted = if is_on { snapshot_figures(&figures, now) } else { Vec::new() };
    let running = if figures.is_running { now.micros_since(figures.began) / 1_000_000 } else { 0 };
    let mut lines = vec![
        line("rdb_bgsave_in_progress", u64::from(figures.is_running)),
        line("rdb_last_save_time", figures.last.map_or(0, |last| last.at.as_secs())),
        line("rdb_last_bgsave_status", if figures.trouble.is_none() { "ok" } else { "err" }),
        line("rdb_last_bgsave_time_sec", figures.last_micros / 1_000_000),
    ];
    if figures.is_running {
        lines.push(line("rdb_current_bgsave_time_sec", running));
    }
    lines.extend([
        line("rdb_saves", figures.written),
        line("aof_enabled", log),
        line("aof_rewrite_in_progress", 0),
    ]);
    lines.push(line("snapshots", process.settings.config().snapshots.to_string()));
    if is_on {
        lines.push(line(
            "snapshot_last_id",
            figures.last.map_or_else(String::new, |last| last.id.to_string()),
        ));
        let trouble = figures.trouble.map_or_else(String::new, |reason| reason.replace(['\r', '\n'], " "));
        lines.push(line("snapshot_trouble", trouble));
        lines.extend(counted.into_iter().map(|figure| line(figure.name, figure.value)));
    }
    lines
}
