//! INFO's section on the databases.

use super::Lines;
use crate::app::process::Process;

/// One line for each database that has keys.
pub(super) fn keyspace(process: &Process) -> Lines {
    let report = process.engine.memory();
    let line = |(database, keys): (usize, &usize)| {
        let (expires, average) = (report.expiring[database], report.average_ttl_ms[database]);
        (format!("db{database}"), format!("keys={keys},expires={expires},avg_ttl={average}"))
    };
    report.keys.iter().enumerate().filter(|(_, keys)| **keys > 0).map(line).collect()
}
