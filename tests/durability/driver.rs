//! Runs the faults a few at a time, and prints what came of them.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use quotad::clock::Stopwatch;

use crate::report::{Row, table};
use crate::surroundings::seed;

/// Faults at a time: they wait more than they work, and two cores carry so many.
const AT_ONCE: usize = 3;

/// One fault.
pub struct Fault {
    /// What happens.
    pub name: &'static str,
    /// Lets it happen; panics where a promise is broken.
    pub run: fn() -> Row,
}

/// What the command line asks for. Flags of Rust's own test runner that mean nothing here are passed over.
struct Wishes {
    words: Vec<String>,
    at_once: usize,
    only_list: bool,
}

impl Wishes {
    fn read() -> Self {
        let mut wishes = Self { words: Vec::new(), at_once: AT_ONCE, only_list: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let threads = argument.strip_prefix("--test-threads");
            if let Some(rest) = threads {
                let number = rest.strip_prefix('=').map(str::to_owned).or_else(|| arguments.next());
                wishes.at_once = number.and_then(|number| number.parse().ok()).unwrap_or(AT_ONCE);
            } else if argument == "--list" {
                wishes.only_list = true;
            } else if !argument.starts_with('-') {
                wishes.words.push(argument);
            }
        }
        wishes
    }

    fn chooses(&self, fault: &Fault) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| fault.name.contains(word))
    }
}

fn say(text: &str) {
    // Whoever closed the pipe does not want to read the rest.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Runs those of the faults that the command line chooses.
pub fn main(faults: &[Fault]) -> ExitCode {
    let wishes = Wishes::read();
    let chosen: Vec<_> = faults.iter().filter(|fault| wishes.chooses(fault)).collect();
    if wishes.only_list {
        chosen.iter().for_each(|fault| say(&format!("{}: test", fault.name)));
        return ExitCode::SUCCESS;
    }
    say(&format!("running {} tests (QUOTAD_FAULT_SEED={})", chosen.len(), seed()));
    let stopwatch = Stopwatch::start();
    let results = run_all(&chosen, wishes.at_once);
    let rows: Vec<_> =
        results.iter().filter_map(|(name, row)| row.as_ref().map(|row| (*name, row.clone()))).collect();
    say(&format!("\n{}", table(&rows)));
    let failed: Vec<_> = results.iter().filter(|(_, row)| row.is_none()).map(|(name, _)| *name).collect();
    if !failed.is_empty() {
        say(&format!("failures:\n    {}\n", failed.join("\n    ")));
    }
    say(&format!(
        "test result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {}.{:02}s",
        if failed.is_empty() { "ok" } else { "FAILED" },
        rows.len(),
        failed.len(),
        faults.len() - chosen.len(),
        stopwatch.micros() / 1_000_000,
        stopwatch.micros() % 1_000_000 / 10_000,
    ));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The rows in the faults' order; none for one that failed.
fn run_all<'a>(chosen: &[&'a Fault], at_once: usize) -> Vec<(&'a str, Option<Row>)> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![None; chosen.len()]);
    std::thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, chosen.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(fault) = chosen.get(place) else { return };
                    let row = run(fault);
                    results.lock().expect("no fault ends while it is held")[place] = row;
                }
            });
        }
    });
    let results = results.into_inner().expect("no fault ends while it is held");
    chosen.iter().map(|fault| fault.name).zip(results).collect()
}

fn run(fault: &Fault) -> Option<Row> {
    let stopwatch = Stopwatch::start();
    // The panic was printed where it happened, and nothing of the fault is used again.
    let row = catch_unwind(AssertUnwindSafe(fault.run)).ok();
    let outcome = if row.is_some() { "ok" } else { "FAILED" };
    say(&format!("test {} ... {outcome} ({} s)", fault.name, stopwatch.micros() / 1_000_000));
    row
}
