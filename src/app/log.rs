//! Log lines on standard error, for people or for machines.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogLevel};

/// The level of the log lines of this process, once they are collected: there is one such place in a process.
static LEVEL: OnceLock<Handle<LevelFilter, Registry>> = OnceLock::new();

/// Sends log lines of `level` and above to standard error. Only the first call in a process has an effect.
pub fn start(level: LogLevel, format: LogFormat) {
    let (filter, handle) = reload::Layer::new(filter_of(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // What the pool of connections says of itself, the lines on the truth say in words that tell what it means.
    let is_own = filter_fn(|line| !line.target().starts_with("sqlx_core::pool"));
    let collected = tracing_subscriber::registry().with(filter).with(is_own);
    let started = match format {
        LogFormat::Text => collected.with(lines).try_init(),
        LogFormat::Json => collected.with(lines.json().flatten_event(true)).try_init(),
    };
    // An error says that lines are collected already, as in a test that starts several servers.
    if started.is_ok() {
        let _ = LEVEL.set(handle);
    }
}

/// Sends log lines of `level` and above from now on, if this process collects any.
pub fn set_level(level: LogLevel) {
    let Some(handle) = LEVEL.get() else { return };
    let wanted = filter_of(level);
    // A change makes every place that logs ask again.
    if handle.clone_current().is_some_and(|current| current != wanted)
        && let Err(error) = handle.reload(wanted)
    {
        tracing::warn!(%error, "the log level could not be changed");
    }
}

fn filter_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
