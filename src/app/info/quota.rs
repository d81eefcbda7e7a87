//! INFO's section on takes and denials.

use super::{Lines, line};
use crate::app::process::Process;
use crate::metrics::TAKE_KINDS;

pub(super) fn quota(process: &Process) -> Lines {
    let metrics = &process.metrics;
    let takes = |kind: usize| metrics.sum(|worker| worker.takes[kind].value());
    let denials = |kind: usize| metrics.sum(|worker| worker.denials[kind].value());
    let kinds = 0..TAKE_KINDS.len();
    let mut lines = vec![
        line("takes", kinds.clone().map(takes).sum::<u64>()),
        line("denials", kinds.map(denials).sum::<u64>()),
    ];
    for (kind, name) in TAKE_KINDS.iter().enumerate() {
        lines.push(line(&format!("takes_{name}"), takes(kind)));
        lines.push(line(&format!("denials_{name}"), denials(kind)));
    }
    lines
}
