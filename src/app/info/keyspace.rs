//! INFO's section on the databases.

use super::Lines;
use crate::app::process::Process;

/// One line for each database that has keys. How many of them expire is not counted, so it is not told.
pub(super) fn keyspace(process: &Process) -> Lines {
    let keys = process.engine.memory().keys;
    let used = keys.iter().enumerate().filter(|(_, keys)| **keys > 0);
    used.map(|(database, keys)| (format!("db{database}"), format!("keys={keys}"))).collect()
}
