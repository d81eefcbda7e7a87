//! The newest snapshot as the copy from which a start in front of a truth loads.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::catalog::Catalog;
use super::error::SnapshotError;
use super::format::{Entry, Extent, Manifest, ManifestPart, SnapshotId, TruthKind};
use super::load::{load, load_entries};
use crate::engine::DatabaseSet;
use crate::persist::{Base, BaseEntry, BaseError, DataSetId, FoundBase, Past, Put};

/// How long a start looks for a snapshot: the truth has all of it too, so it is not worth waiting for.
const FIND_PATIENCE: Duration = Duration::from_secs(5);

/// Snapshots as copies of a truth.
pub struct SnapshotBase {
    catalog: Catalog,
    found: Mutex<Option<Arc<Manifest>>>,
}

fn told(error: &SnapshotError) -> BaseError {
    if error.is_temporary() {
        BaseError::Away(error.to_string())
    } else {
        BaseError::Refused(format!(
            "the newest snapshot of the ephemeral databases cannot be read as things are: {error}; to begin without it would grant again what was \
             used: see to it that it can be read, or begin with empty ones by --snapshots none"
        ))
    }
}

/// What a snapshot has of databases that no truth has.
enum EphemeralFound {
    /// It was loaded.
    Loaded,
    /// It has none of them.
    Nothing,
    /// It is none of this data.
    OtherData,
}

impl SnapshotBase {
    /// Those of this catalog.
    #[must_use]
    pub const fn new(catalog: Catalog) -> Self {
        Self { catalog, found: Mutex::new(None) }
    }

    async fn load_ephemeral_of(
        &self,
        id: SnapshotId,
        data_set: DataSetId,
        databases: DatabaseSet,
        begin: &(dyn Fn() -> Put + Sync),
    ) -> Result<EphemeralFound, SnapshotError> {
        let manifest = Arc::new(self.catalog.manifest(id).await?);
        if manifest.data_set != data_set || manifest.truth == TruthKind::None {
            return Ok(EphemeralFound::OtherData);
        }
        // What was not ephemeral then was emptied since, or the truth would hold it.
        let wanted = manifest.ephemeral.and(databases);
        if wanted.is_empty() {
            return Ok(EphemeralFound::Nothing);
        }
        let put = begin();
        let entry = move |Entry { database, key, content, expiry }: Entry<'_>| {
            if wanted.contains(database) {
                put(BaseEntry { database, key, content, expiry });
            }
        };
        let has_any = move |part: &ManifestPart| !part.databases.and(wanted).is_empty();
        load_entries(&self.catalog, &manifest, has_any, Arc::new(entry)).await?;
        Ok(EphemeralFound::Loaded)
    }

    async fn newest_of(&self, past: &Past) -> Result<Option<Manifest>, SnapshotError> {
        for id in self.catalog.ids().await? {
            // Names have whole seconds.
            let at = id.cut_at().plus_micros(999_999).min(past.now);
            if !past.has(id.epoch(), id.seq(), at) {
                continue;
            }
            match self.catalog.manifest(id).await {
                Ok(manifest) => {
                    let is_usable = manifest.confirmed
                        && manifest.complete
                        && manifest.data_set == past.data_set
                        && manifest.truth != TruthKind::None
                        && past.has(manifest.epoch, manifest.seq, manifest.cut_at)
                        && match manifest.extent {
                            Extent::Cut => true,
                            // Entries may be as late as its end, which the truth must still have.
                            Extent::Interval { until_seq } => {
                                past.has(manifest.epoch, until_seq, manifest.cut_at)
                            }
                        };
                    if is_usable {
                        return Ok(Some(manifest));
                    }
                }
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => tracing::error!(%id, "a snapshot is passed over: {error}"),
            }
        }
        Ok(None)
    }
}

impl Base for SnapshotBase {
    fn find<'a>(&'a self, past: &'a Past) -> Pin<Box<dyn Future<Output = Option<FoundBase>> + Send + 'a>> {
        Box::pin(async move {
            let manifest = match tokio::time::timeout(FIND_PATIENCE, self.newest_of(past)).await {
                Ok(Ok(manifest)) => manifest?,
                Ok(Err(error)) => {
                    tracing::warn!("the truth is read as a whole, since no snapshot can be: {error}");
                    return None;
                }
                Err(_) => {
                    tracing::warn!(
                        "the truth is read as a whole, since the store of snapshots does not answer"
                    );
                    return None;
                }
            };
            let found = FoundBase {
                id: manifest.snapshot().to_string(),
                seq: manifest.seq,
                entries: manifest.entries(),
            };
            *self.found.lock() = Some(Arc::new(manifest));
            Some(found)
        })
    }

    fn newest(&self) -> Pin<Box<dyn Future<Output = Result<Option<String>, BaseError>> + Send + '_>> {
        Box::pin(async move {
            let ids = self.catalog.ids().await.map_err(|error| match error.is_temporary() {
                true => BaseError::Away(error.to_string()),
                false => BaseError::Refused(error.to_string()),
            })?;
            let place = self.catalog.objects.describe();
            Ok(ids.first().map(|id| format!("{id} in {place}")))
        })
    }

    fn load(&self, put: Put) -> Pin<Box<dyn Future<Output = Result<u64, String>> + Send + '_>> {
        let found = self.found.lock().clone();
        Box::pin(async move {
            let manifest = found.ok_or("no snapshot was found")?;
            let ephemeral = manifest.ephemeral;
            let entry = move |Entry { database, key, content, expiry }: Entry<'_>| {
                if !ephemeral.contains(database) {
                    put(BaseEntry { database, key, content, expiry });
                }
            };
            load(&self.catalog, &manifest, Arc::new(entry)).await.map_err(|error| error.to_string())
        })
    }

    fn load_ephemeral<'a>(
        &'a self,
        data_set: DataSetId,
        databases: DatabaseSet,
        begin: &'a (dyn Fn() -> Put + Sync),
    ) -> Pin<Box<dyn Future<Output = Result<Option<String>, BaseError>> + Send + 'a>> {
        Box::pin(async move {
            let mut first_error = None;
            for id in self.catalog.ids().await.map_err(|error| told(&error.into()))? {
                match self.load_ephemeral_of(id, data_set, databases, begin).await {
                    Ok(EphemeralFound::Loaded) => return Ok(Some(id.to_string())),
                    Ok(EphemeralFound::Nothing) => return Ok(None),
                    Ok(EphemeralFound::OtherData) => {}
                    Err(error) if !error.is_damage() => return Err(told(&error)),
                    Err(error) => {
                        tracing::error!(%id, "a snapshot of ephemeral databases is passed over, the one before is tried: {error}");
                        first_error.get_or_insert(error);
                    }
                }
            }
            // To begin empty would grant everything again.
            first_error.map_or(Ok(None), |error| Err(told(&error)))
        })
    }
}
