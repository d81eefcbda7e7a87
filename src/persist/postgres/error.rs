//! What Postgres's errors mean for who asked.

use sqlx::Error;

use super::ACQUIRE_TIMEOUT;
use crate::persist::store::StoreError;

/// The SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html).
fn state_of(error: &Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Why the database refuses these rows, and would refuse them again: data, constraints, limits of size, a trigger's own error;
/// `None` where the rows are not the reason.
pub(super) fn refusal_of_rows(error: &Error) -> Option<String> {
    let state = state_of(error)?;
    let refused = matches!(&state[..2], "22" | "23" | "44" | "54" | "P0");
    refused.then(|| format!("{error} ({state})"))
}

/// An error before the commit: nothing was changed.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
pub(super) fn unavailable(error: Error) -> StoreError {
    let reason = error.to_string();
    let Some(state) = state_of(&error) else {
        return match error {
            Error::Configuration(_) | Error::Tls(_) => StoreError::Denied(reason),
            Error::Decode(_) | Error::ColumnDecode { .. } => StoreError::Damaged(reason),
            Error::PoolTimedOut => StoreError::Unavailable(format!(
                "no connection within {} s: the server cannot be reached, or all connections are in use",
                ACQUIRE_TIMEOUT.as_secs()
            )),
            _ => StoreError::Unavailable(reason),
        };
    };
    let reason = format!("{reason} ({state})");
    match (&state[..2], state.as_str()) {
        // Credentials, databases, schemas, rights, tables that are not there, a server that only reads.
        ("28" | "3D" | "3F" | "42" | "0A", _) => StoreError::Denied(reason),
        ("XX", _) => StoreError::Damaged(reason),
        // Connections, locks, timeouts, room, shutdowns, rolled back transactions; the read-only replica of a failover (25006) too.
        _ => StoreError::Unavailable(reason),
    }
}

/// An error of the commit. Postgres says when it rolled back; whatever ends the connection leaves it open.
pub(super) fn unclear(error: Error) -> StoreError {
    let rolled_back =
        state_of(&error).is_some_and(|state| matches!(&state[..2], "22" | "23" | "25" | "40" | "P0"));
    if rolled_back { unavailable(error) } else { StoreError::Unclear(error.to_string()) }
}
