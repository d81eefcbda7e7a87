//! The table: reads lines of `measure server figure`, prints medians, and says of every target whether it is met.
//!
//! Ratios are the median of each round's ratio, not the ratio of the medians: both figures of a round were taken within
//! seconds, so what else the machine does at that moment weighs on both.
#![expect(clippy::print_stdout, reason = "the table is the program's output")]

mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use targets::{Bound, TARGETS, Target};

/// The figures of each (measure, server), in the order of the rounds.
type Figures = BTreeMap<(String, String), Vec<f64>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut figures = Figures::new();
    for line in std::io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [measure, server, figure] = words.as_slice() else {
            return Err(format!("not a figure: {line}").into());
        };
        figures.entry(((*measure).to_owned(), (*server).to_owned())).or_default().push(figure.parse()?);
    }
    print_rates(&figures);
    print_round_trips(&figures);
    print_memory(&figures);
    print_targets(&figures);
    Ok(())
}

/// Rate and server CPU of each command, pipeline and server.
fn print_rates(figures: &Figures) {
    let mut rows = BTreeSet::new();
    for (measure, server) in figures.keys() {
        if let [command, pipeline, "cpu"] = measure.split('.').collect::<Vec<_>>()[..]
            && let Ok(pipeline) = pipeline.parse::<u32>()
        {
            rows.insert((command, pipeline, server.as_str()));
        }
    }
    if rows.is_empty() {
        return;
    }
    println!("{:<18} {:>8} {:<12} {:>12} {:>12}", "command", "pipeline", "server", "ops/s", "CPU us/op");
    for (command, pipeline, server) in rows {
        let value = |kind| median_of(figures, &format!("{command}.{pipeline}.{kind}"), server).unwrap_or(0.0);
        let (rate, cpu_micros) = (value("ops"), value("cpu") / 1_000.0);
        println!("{command:<18} {pipeline:>8} {server:<12} {rate:>12.0} {cpu_micros:>12.3}");
    }
    println!();
}

/// What one client waits for an answer.
fn print_round_trips(figures: &Figures) {
    let servers: Vec<&String> =
        figures.keys().filter(|(measure, _)| measure == "round_trip.p50").map(|(_, server)| server).collect();
    if servers.is_empty() {
        return;
    }
    println!("{:<40} {:>8} {:>8} {:>8}", "round trip, one connection (us)", "median", "p90", "p99");
    for server in servers {
        let micros = |measure| median_of(figures, measure, server).unwrap_or(0.0) / 1_000.0;
        let (p50, p90, p99) = (micros("round_trip.p50"), micros("round_trip.p90"), micros("round_trip.p99"));
        println!("{server:<40} {p50:>8.1} {p90:>8.1} {p99:>8.1}");
    }
    println!();
}

/// Bytes per entry and per idle connection.
fn print_memory(figures: &Figures) {
    let is_bytes = |measure: &str| measure.starts_with("memory.") || measure.starts_with("idle.");
    let rows: Vec<_> = figures.iter().filter(|((measure, _), _)| is_bytes(measure)).collect();
    if rows.is_empty() {
        return;
    }
    println!("{:<27} {:<12} {:>8}", "memory", "server", "bytes");
    for ((measure, server), bytes) in rows {
        println!("{measure:<27} {server:<12} {:>8.0}", median(bytes.clone()).unwrap_or(0.0));
    }
    println!();
}

fn print_targets(figures: &Figures) {
    println!("{:<72} {:>8} {:>10}  verdict", "target", "figure", "allowed");
    for target in TARGETS {
        let Some(figure) = figure_of(figures, target) else { continue };
        let (allowed, verdict) = match target.bound {
            Bound::Told => (String::new(), "told".to_owned()),
            Bound::AtMost(bound) => {
                (format!("<= {bound:.2}"), judge(figure <= bound, figure, bound, "allowed"))
            }
            Bound::AtLeast(bound) => {
                (format!(">= {bound:.2}"), judge(figure >= bound, figure, bound, "wanted"))
            }
        };
        println!("{:<72} {figure:>8.2} {allowed:>10}  {verdict}", target.text);
    }
    let absent = TARGETS.iter().filter(|target| figure_of(figures, target).is_none()).count();
    if absent > 0 {
        println!("{absent} of {} targets not measured in this run", TARGETS.len());
    }
}

fn judge(is_met: bool, figure: f64, bound: f64, word: &str) -> String {
    if is_met { "met".to_owned() } else { format!("{figure:.2} of {bound:.2} {word}") }
}

/// The target's figure, or its ratio round by round; `None` when it was not measured.
fn figure_of(figures: &Figures, target: &Target) -> Option<f64> {
    let series = |(measure, server): (&str, &str)| figures.get(&(measure.to_owned(), server.to_owned()));
    let figure = series(target.figure)?;
    let Some(against) = target.against else { return median(figure.clone()) };
    let against = series(against)?;
    median(figure.iter().zip(against).map(|(figure, against)| figure / against).collect())
}

fn median_of(figures: &Figures, measure: &str, server: &str) -> Option<f64> {
    median(figures.get(&(measure.to_owned(), server.to_owned()))?.clone())
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = figures.get(middle)?;
    if figures.len() % 2 == 1 { Some(*upper) } else { Some((figures[middle - 1] + upper) / 2.0) }
}
