//! INFO's section on memory.

use super::{Lines, line};
use crate::app::machine;
use crate::app::process::Process;

pub(super) fn memory(process: &Process) -> Lines {
    let report = process.engine.memory();
    let used = report.used_bytes();
    process.metrics.server.data_bytes_peak.raise(used);
    let peak = process.metrics.server.data_bytes_peak.value();
    let resident = machine::resident_bytes();
    let total = machine::total_memory_bytes();
    let config = process.settings.config();
    vec![
        line("used_memory", used),
        line("used_memory_human", human(used)),
        line("used_memory_rss", resident),
        line("used_memory_rss_human", human(resident)),
        line("used_memory_peak", peak),
        line("used_memory_peak_human", human(peak)),
        line("used_memory_dataset", used),
        line("used_memory_vacant", report.vacant_bytes),
        line("used_memory_filter", report.filter_bytes),
        line("total_system_memory", total),
        line("total_system_memory_human", human(total)),
        line("maxmemory", config.maxmemory_bytes),
        line("maxmemory_human", human(config.maxmemory_bytes)),
        line("maxmemory_policy", config.maxmemory_policy),
        line("mem_fragmentation_ratio", ratio(resident, used)),
        line("mem_fragmentation_bytes", resident.saturating_sub(used)),
        line("mem_allocator", "mimalloc"),
    ]
}

/// `one / other` with two digits, 0 where `other` is 0.
fn ratio(one: u64, other: u64) -> String {
    let hundredths = (u128::from(one) * 100).checked_div(u128::from(other)).unwrap_or(0);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Bytes as Redis writes them for people: `1.50M`, and `17B` below a kilobyte.
fn human(bytes: u64) -> String {
    const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];
    match UNITS.iter().find(|(_, bits)| bytes >> bits > 0) {
        Some((unit, bits)) => format!("{}{unit}", ratio(bytes, 1 << bits)),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        for (bytes, expected) in [
            (0, "0B"),
            (1_023, "1023B"),
            (1_024, "1.00K"),
            (1_572_864, "1.50M"),
            (5 << 30, "5.00G"),
            (3 << 40, "3.00T"),
        ] {
            assert_eq!(human(bytes), expected);
        }
        assert_eq!(ratio(5, 0), "0.00");
        assert_eq!(ratio(u64::MAX, 1), format!("{}.00", u64::MAX));
    }
}
