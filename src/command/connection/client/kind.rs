//! The types of clients that CLIENT LIST and CLIENT KILL tell apart.

use crate::dispatch::CommandError;
use crate::dispatch::args::is_keyword;

/// Whether clients of the named type exist here: all are `normal`, there are no masters, replicas or subscribers.
///
/// # Errors
/// When Redis knows no such type either.
pub(super) fn is_normal(name: &[u8]) -> Result<bool, CommandError> {
    if is_keyword(name, "normal") {
        return Ok(true);
    }
    if ["master", "replica", "slave", "pubsub"].iter().any(|known| is_keyword(name, known)) {
        return Ok(false);
    }
    Err(CommandError::other(format!("Unknown client type '{}'", String::from_utf8_lossy(name))))
}
