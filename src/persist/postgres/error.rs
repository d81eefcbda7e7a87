//! What Postgres's errors mean for who asked.

use std::io;

use sqlx::Error;

use super::{ACQUIRE_TIMEOUT, CONNECTIONS};
use crate::persist::store::StoreError;

/// The state of a connection that is refused since there are too many, of the server, the database or the role.
const TOO_MANY_CONNECTIONS: &str = "53300";

/// The state of what a role may not do.
const NO_RIGHT: &str = "42501";

/// What to do where there is no schema that the role may make tables in.
const OWN_SCHEMA: &str = "the role needs a schema of its own: run CREATE SCHEMA quotad AUTHORIZATION <role> as an administrator, and \
                          write ?schema=quotad in the address";

/// The SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html).
fn state_of(error: &Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// What it says, without the line of Postgres's own source that sqlx adds to it.
fn reason_of(error: &Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// Whether the connection has ended, or the server has ended it since it is stopped or its sessions may not lie idle for so long.
pub(super) fn ended_connection(error: &Error) -> bool {
    state_of(error).is_none_or(|state| state.starts_with("57P") || state.starts_with("08"))
}

/// Why the database refuses these rows, and would refuse them again: data, constraints, limits of size, a trigger's own error;
/// `None` where the rows are not the reason.
pub(super) fn refusal_of_rows(error: &Error) -> Option<String> {
    let state = state_of(error)?;
    let refused = matches!(&state[..2], "22" | "23" | "44" | "54" | "P0");
    refused.then(|| format!("{} ({state})", reason_of(error)))
}

/// What the certificates of a server, or of its authority, are wrong in; `None` where they are not the reason. The library that checks
/// them tells by its words alone.
fn refusal_of_tls(error: &io::Error) -> Option<StoreError> {
    let reason = error.to_string();
    let wrong = reason.strip_prefix("invalid peer certificate: ")?;
    Some(StoreError::Denied(format!(
        "the server's certificate is not accepted ({wrong}): sslrootcert in the address has to name the file of the authority that signed \
         it, and the host has to be a name that it is for"
    )))
}

/// An error before the commit: nothing was changed.
pub(super) fn unavailable(error: Error) -> StoreError {
    let reason = reason_of(&error);
    let Some(state) = state_of(&error) else {
        return match error {
            Error::Configuration(_) | Error::Tls(_) => StoreError::Denied(reason),
            // That may be the socket of a server that is stopped just now.
            Error::Io(error) if error.kind() == io::ErrorKind::NotFound => StoreError::Unavailable(format!(
                "{reason}: the address names a socket, or a file as sslrootcert, sslcert or sslkey, that is not there"
            )),
            Error::Io(error) => refusal_of_tls(&error).unwrap_or(StoreError::Unavailable(reason)),
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
        (_, TOO_MANY_CONNECTIONS) => StoreError::Unavailable(format!(
            "Postgres has no connection left: {reason}; this server takes up to {CONNECTIONS}: raise max_connections, or the limit of the \
             role or database, or put PgBouncer before it"
        )),
        ("3F", _) => StoreError::Denied(format!("{reason}: {OWN_SCHEMA}")),
        ("42", NO_RIGHT) if reason.to_lowercase().contains("schema") => {
            StoreError::Denied(format!("{reason}: {OWN_SCHEMA}"))
        }
        // Credentials, databases, rights, tables that are not there, a server that only reads.
        ("28" | "3D" | "42" | "0A", _) => StoreError::Denied(reason),
        ("XX", _) => StoreError::Damaged(reason),
        // Connections, locks, timeouts, room, shutdowns, rolled back transactions; the read-only replica of a failover (25006) too.
        _ => StoreError::Unavailable(reason),
    }
}

/// An error of the commit. Postgres says when it rolled back; whatever ends the connection leaves it open.
pub(super) fn unclear(error: Error) -> StoreError {
    let rolled_back =
        state_of(&error).is_some_and(|state| matches!(&state[..2], "22" | "23" | "25" | "40" | "P0"));
    if rolled_back { unavailable(error) } else { StoreError::Unclear(reason_of(&error)) }
}
