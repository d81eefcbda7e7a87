//! How far long work is: a bar on a terminal, and plain lines otherwise.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Stopwatch;

/// Seconds between plain lines.
const LINE_SECS: u64 = 5;

/// How far some work is. Clones are the same bar.
#[derive(Clone)]
pub struct ProgressBar(Arc<Inner>);

struct Inner {
    name: String,
    total: u64,
    done: AtomicU64,
    lines: AtomicU64,
    began: Stopwatch,
    bar: Option<indicatif::ProgressBar>,
}

impl ProgressBar {
    /// A bar for work of `total` entries.
    pub fn new(name: &str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = indicatif::ProgressStyle::with_template(
                "{msg} [{bar:32}] {human_pos} of {human_len} entries, {eta} left",
            );
            let bar = indicatif::ProgressBar::new(total).with_message(name.to_owned());
            bar.with_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()))
        });
        let (done, lines) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { name: name.to_owned(), total, done, lines, began: Stopwatch::start(), bar }))
    }

    /// Notes that more entries are done.
    pub fn add(&self, entries: u64) {
        let Inner { name, total, done, lines, began, bar } = &*self.0;
        if let Some(bar) = bar {
            bar.inc(entries);
            return;
        }
        let done = done.fetch_add(entries, Ordering::Relaxed) + entries;
        // The clock is looked at now and then only.
        if done % 4_096 >= entries {
            return;
        }
        let line = began.micros() / (LINE_SECS * 1_000_000);
        if line > lines.load(Ordering::Relaxed) {
            lines.store(line, Ordering::Relaxed);
            // Whoever closed the pipe does not want to know.
            let _ = writeln!(std::io::stderr(), "{name}: {done} of {total} entries");
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.0.bar {
            bar.finish_and_clear();
        }
    }
}
