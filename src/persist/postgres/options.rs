//! How to reach Postgres, and what every transaction sets for itself.

use std::fmt::Write;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::persist::store::StoreError;

/// How long a transaction may stand idle before Postgres ends it: below any lease, so that an owner that was stopped in the middle of a
/// flush does not hold the owner row against its successor.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);

/// How long a statement waits for a lock; then the flush is tried again.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a statement may run: a chunk of a flush takes a tenth of a second, pruning and counting millions of rows some.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// The parameter of the address that names the schema.
const SCHEMA_PARAMETER: &str = "schema=";

/// What is wrong mostly where host and port cannot be read.
const ENCODING: &str = "in a password '/' is written %2F, '#' %23, '@' %40 and ':' %3A";

/// An address of Postgres.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    connection: PgConnectOptions,
    schema: Option<String>,
    idle_in_transaction: Duration,
}

impl PostgresOptions {
    /// Reads `postgres://user:password@host:port/database?sslmode=verify-full&schema=quotad`: libpq's parameters, and the `schema`
    /// to use; without it the role's own search path decides.
    ///
    /// # Errors
    /// [`StoreError::Denied`] for what is no such address; the text does not repeat it, since a password may be in it.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let (url, schema) = split_schema(url);
        let refused = |error| {
            let reason = match error {
                sqlx::Error::Configuration(reason) => reason.to_string(),
                error => error.to_string(),
            };
            StoreError::Denied(format!("the address of Postgres: {reason}; {ENCODING}"))
        };
        let connection: PgConnectOptions = url.parse().map_err(refused)?;
        // In a search path `$user` and `pg_temp` stand for other schemas, before the name of a table they do not.
        let is_none = |schema: &str| {
            schema.is_empty() || schema.starts_with("pg_") || schema.contains(['"', '\0', '%', '$'])
        };
        if schema.as_deref().is_some_and(is_none) {
            let reason = "the address of Postgres: a schema's name has letters, digits and '_', and does not begin with 'pg_'";
            return Err(StoreError::Denied(reason.to_owned()));
        }
        Ok(Self { connection, schema, idle_in_transaction: IDLE_IN_TRANSACTION })
    }

    /// Ends transactions that stand idle after `duration`, which is to be below the lease.
    #[must_use]
    pub fn idle_in_transaction(mut self, duration: Duration) -> Self {
        self.idle_in_transaction = duration;
        self
    }

    /// Nothing stays prepared: behind PgBouncer the next transaction may meet another server process. And nothing is asked for at the
    /// start that PgBouncer does not know.
    pub(super) fn connection(&self) -> PgConnectOptions {
        let connection = self.connection.clone().statement_cache_capacity(0).extra_float_digits(None);
        // What a slow statement means for quotad is told by it, in its own words.
        connection.application_name("quotad").disable_statement_logging()
    }

    /// What every transaction begins with, in one round trip. A commit that does not wait for the disk would be acknowledged and
    /// lost, so `synchronous_commit` is raised where somebody has turned it off.
    pub(super) fn begin(&self) -> String {
        self.begin_as("BEGIN")
    }

    /// What a transaction begins with whose statements are to find the same rows.
    pub(super) fn begin_repeatable(&self) -> String {
        self.begin_as("BEGIN ISOLATION LEVEL REPEATABLE READ")
    }

    fn begin_as(&self, begin: &str) -> String {
        let mut sql = begin.to_owned();
        let mut set = |name: &str, value: &str| {
            write!(sql, "; SET LOCAL {name} = {value}").expect("a string takes all that is written");
        };
        set("idle_in_transaction_session_timeout", &self.idle_in_transaction.as_millis().to_string());
        set("lock_timeout", &LOCK_TIMEOUT.as_millis().to_string());
        set("statement_timeout", &STATEMENT_TIMEOUT.as_millis().to_string());
        if let Some(schema) = &self.schema {
            set("search_path", &format!("\"{schema}\""));
        }
        sql.push_str(
            "; SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'",
        );
        sql
    }

    /// What stands before statements that only read and are sent with it as one text. How bytes are written in a text is set, since a role
    /// or a database may have another habit; a lock ends the wait, or what nobody waits for any more would hold connections.
    pub(super) fn begin_read() -> String {
        format!("SET LOCAL lock_timeout = {}; SET LOCAL bytea_output = hex; ", LOCK_TIMEOUT.as_millis())
    }

    /// What stands before the names of tables in a text that sets no search path, which would be a statement more.
    pub(super) fn schema(&self) -> String {
        self.schema.as_ref().map_or_else(String::new, |schema| format!("\"{schema}\"."))
    }
}

/// Takes the schema out of the parameters, which sqlx does not know.
fn split_schema(url: &str) -> (String, Option<String>) {
    let Some((address, parameters)) = url.split_once('?') else { return (url.to_owned(), None) };
    let (mut others, mut schema) = (Vec::new(), None);
    for parameter in parameters.split('&') {
        match parameter.strip_prefix(SCHEMA_PARAMETER) {
            Some(name) => schema = Some(name.to_owned()),
            None => others.push(parameter),
        }
    }
    (format!("{address}?{}", others.join("&")), schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_taken_out_of_the_address() {
        let options =
            PostgresOptions::parse("postgres://user@host/base?sslmode=disable&schema=my_quota").unwrap();
        assert!(options.begin().contains("; SET LOCAL search_path = \"my_quota\""), "{}", options.begin());
        assert_eq!(options.connection.get_database(), Some("base"));
        let without = PostgresOptions::parse("postgres://user@host/base").unwrap();
        assert!(!without.begin().contains("search_path"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for url in [
            "postgres://user:secret@host:port/base",
            "postgres://u:secret@h/b?schema=",
            "postgres://u:secret@h/b?schema=a\"b",
            "postgres://u:secret@h/b?schema=$user",
            "postgres://u:secret@h/b?schema=pg_temp",
        ] {
            let error = PostgresOptions::parse(url).unwrap_err().to_string();
            assert!(error.contains("the address of Postgres") && !error.contains("secret"), "{error}");
        }
    }
}
