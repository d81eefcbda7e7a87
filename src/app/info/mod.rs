//! What INFO tells, section by section.
//!
//! **Owns** the names and values of INFO's lines; names are Redis's where Redis has them, since clients and dashboards read them.
//! **Does not own** the reply's form nor which sections were asked for (`command/server/info`). **May use** everything in `app`.

mod commands;
mod keyspace;
mod memory;
mod persistence;
mod quota;
mod server;
mod stats;
#[cfg(test)]
mod tests;

use super::process::Process;

/// Name and value of each line of a section.
type Lines = Vec<(String, String)>;

/// All sections, in Redis's order.
pub(super) fn sections(process: &Process) -> Vec<(&'static str, Lines)> {
    vec![
        ("server", server::server(process)),
        ("clients", server::clients(process)),
        ("memory", memory::memory(process)),
        ("persistence", persistence::persistence(process)),
        ("stats", stats::stats(process)),
        ("quota", quota::quota(process)),
        ("replication", server::replication(process)),
        ("cpu", server::cpu()),
        ("commandstats", commands::calls(process)),
        ("errorstats", commands::errors(process)),
        ("latencystats", commands::latencies(process)),
        ("cluster", vec![line("cluster_enabled", 0)]),
        ("keyspace", keyspace::keyspace(process)),
    ]
}

#[expect(clippy::needless_pass_by_value, reason = "numbers and texts are given alike")]
fn line(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}
