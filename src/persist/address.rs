//! Where the truth is, and how it is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::postgres::{PostgresOptions, PostgresStore};
use super::sqlite::SqliteStore;
use super::store::{Store, StoreError};

/// The share of a lease after which Postgres ends a transaction that stands idle: a stopped owner must not hold the owner row against
/// its successor.
const IDLE_SHARE: u32 = 3;

/// A truth's address.
#[derive(Clone, Debug)]
pub enum TruthAddress {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A Postgres database.
    Postgres(Box<PostgresOptions>),
}

impl TruthAddress {
    /// Whether the truth is on a disk of its own, so that changes are kept on this one until it has them.
    #[must_use]
    pub const fn wants_outbox(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Brings its schema up to date, or only says what would be done; answers the migrations. Within the Tokio runtime.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`Store::migrate`].
    pub async fn migrate(&self, lease: Duration, dry_run: bool) -> Result<Vec<String>, StoreError> {
        match self {
            // To open the file would make it.
            Self::Sqlite(path) if dry_run && matches!(path.try_exists(), Ok(false)) => {
                Ok(SqliteStore::all_migrations())
            }
            _ => self.open(lease).await?.migrate(dry_run).await,
        }
    }

    /// Opens it. Within the Tokio runtime that uses it.
    ///
    /// # Errors
    /// [`StoreError::Denied`] where an SQLite file cannot be made or is none.
    pub async fn open(&self, lease: Duration) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Arc::new(SqliteStore::open(path).await?)),
            Self::Postgres(options) => {
                let options = options.as_ref().clone().idle_in_transaction(lease / IDLE_SHARE);
                Ok(Arc::new(PostgresStore::new(&options)))
            }
        }
    }
}
