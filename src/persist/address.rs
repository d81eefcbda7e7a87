//! Where the truth is, and how it is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::outbox;
use super::postgres::{PostgresOptions, PostgresStore};
use super::sqlite::SqliteStore;
use super::start::wrong_data_set;
use super::store::{DataSetId, Store, StoreError};

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

    /// Refuses an SQLite file that is not the one of a data directory which knows its data: before it is opened, which would make a file that
    /// is missing, and write into another one what the log beside it has.
    ///
    /// # Errors
    /// A text that names both, and what to do.
    pub async fn check(&self, directory: &Path, known: Option<DataSetId>) -> Result<(), String> {
        let Self::Sqlite(path) = self else { return Ok(()) };
        let log = log_beside(path);
        let is_file = |path: &Path| path.metadata().is_ok_and(|found| found.len() > 0);
        if is_file(path) {
            let found = SqliteStore::data_set_in(path).await;
            return match known {
                Some(known) if found.is_some_and(|found| found != known) => {
                    Err(wrong_data_set(directory, known, found))
                }
                _ => Ok(()),
            };
        }
        let file = path.display();
        if let (Some(_), Some(outbox)) = (known, outbox_in(directory)) {
            return Err(format!(
                "the data directory {} belongs to a server on Postgres, whose {outbox} is in it, and the SQLite file {file} is not there: \
                 name that truth with --truth postgres://..., or another directory with --data-dir",
                directory.display()
            ));
        }
        if let Some(known) = known {
            return Err(format!(
                "the data directory {} belongs to the data set {known}, and the SQLite file {file} is not there, or empty: put it back, fill \
                 a new one from a snapshot (quotad snapshot restore), name the truth that holds it with --truth, or give a new truth, which begins \
                 with nothing, a data directory of its own with --data-dir",
                directory.display()
            ));
        }
        if is_file(&log) {
            return Err(format!(
                "the SQLite file {file} is not there, or empty, and its log {} is: put the file back, or move the log away; --truth or \
                 --data-dir name another file",
                log.display()
            ));
        }
        Ok(())
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

/// What SQLite has written beside the file, and not yet into it.
fn log_beside(file: &Path) -> PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// The name of an outbox in a data directory: only a server on Postgres keeps one, and from its first start on.
pub fn outbox_in(directory: &Path) -> Option<String> {
    let files = std::fs::read_dir(directory).ok()?;
    let mut names = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned());
    names.find(|name| outbox::Name::parse(name).is_some())
}
