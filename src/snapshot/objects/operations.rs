//! The operations on objects.

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};

use super::failure::{Failure, Meaning};
use super::name::{is_folder, is_name, shown};
use super::tries::Tries;
use super::{ObjectsError, ObjectsSettings, create, leftovers, stores};
use crate::clock::Timestamp;

/// The largest object that is written: a part of a snapshot, which has some MiB unless it is of one value of 512 MiB under a key as long.
pub const MOST_OBJECT_BYTES: usize = 1_100 << 20;

/// Objects in a list at most: some hundred pages of S3, and a hundred times what is kept of snapshots by default.
pub const MOST_LISTED: usize = 100_000;

/// Deletions at once.
const MOST_DELETIONS: usize = 8;

/// A list of many pages may take this many times the time of a request.
const LIST_REQUESTS: u32 = 4;

/// A store of objects; clones share it. Its operations need a Tokio runtime with time and I/O.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    folder: Option<Arc<FilePath>>,
    /// The address for people.
    address: Arc<str>,
    tries: Tries,
}

/// What came of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object was written.
    New,
    /// Another one has this name, and nothing was changed.
    Exists,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written, by the store's clock.
    pub modified: Timestamp,
}

impl Objects {
    /// Opens a store. Of a bucket nothing is asked yet; a folder is made if it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made, or settings that are none.
    pub fn open(settings: &ObjectsSettings) -> Result<Self, ObjectsError> {
        let opened = stores::open(settings)?;
        Ok(Self {
            store: opened.store,
            prefix: opened.prefix,
            folder: opened.folder.map(Arc::from),
            address: opened.address.into(),
            tries: Tries { within: settings.request_timeout },
        })
    }

    /// The address for people; no secret is in it.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.address
    }

    /// Writes an object unless there is one of this name, as a whole and durably. Of two that do so at once one is told
    /// [`Created::New`]. A try whose answer was lost is told from somebody else's object by the content, so writers that must
    /// not take each other's object for theirs write different content. Behind an error the object may be there.
    ///
    /// # Errors
    /// What the store says, or content over [`MOST_OBJECT_BYTES`].
    pub async fn create(&self, name: &str, content: Bytes) -> Result<Created, ObjectsError> {
        let path = self.path(name)?;
        self.check_length(name, &content)?;
        let tries = self.tries.run(|number| create::attempt(&*self.store, &path, content.clone(), number));
        tries.await.map_err(|failure| self.told("cannot be written", name, &failure))
    }

    /// Writes an object, in place of one of this name, as a whole and durably.
    ///
    /// # Errors
    /// What the store says, or content over [`MOST_OBJECT_BYTES`].
    pub async fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectsError> {
        let path = self.path(name)?;
        self.check_length(name, &content)?;
        let attempt = async |content: Bytes| {
            self.store.put(&path, content.into()).await.map(drop).map_err(|error| Failure::of(&error))
        };
        let tries = self.tries.run(|_| attempt(content.clone()));
        tries.await.map_err(|failure| self.told("cannot be written", name, &failure))
    }

    /// Reads an object. One that is larger than `most_bytes` is refused before it is read.
    ///
    /// # Errors
    /// What the store says, [`ObjectsError::NotFound`], or [`ObjectsError::TooLarge`].
    pub async fn read(&self, name: &str, most_bytes: u64) -> Result<Bytes, ObjectsError> {
        let path = self.path(name)?;
        let tries = self.tries.run(|_| read(&*self.store, &path, most_bytes));
        tries.await.map_err(|failure| self.told("cannot be read", name, &failure))
    }

    /// The objects below a folder, by name; an empty one is the folder of all. What is listed may be gone already, and what was
    /// just written may be missing: what counts is what [`read`](Self::read) and [`create`](Self::create) say. Names that are
    /// not ours are left out.
    ///
    /// # Errors
    /// What the store says, or more than [`MOST_LISTED`] objects.
    pub async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, ObjectsError> {
        if !is_folder(folder) {
            return Err(self.misnamed(folder));
        }
        let path = if folder.is_empty() { self.prefix.clone() } else { self.path(folder)? };
        let tries = Tries { within: self.tries.within * LIST_REQUESTS };
        let listed = tries.run(|_| list(&*self.store, &path)).await;
        let listed = listed.map_err(|failure| self.told("cannot be listed", folder, &failure))?;
        let mut objects: Vec<_> = listed.iter().filter_map(|meta| self.info(meta)).collect();
        objects.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(objects)
    }

    /// Deletes objects; those that are missing are fine. An error may leave some of them.
    ///
    /// # Errors
    /// What the store says.
    pub async fn delete(&self, names: &[String]) -> Result<(), ObjectsError> {
        let paths = names.iter().map(|name| Ok((name, self.path(name)?)));
        let paths = paths.collect::<Result<Vec<_>, ObjectsError>>()?;
        let deletions = paths.into_iter().map(|(name, path)| async move {
            let deleted = self.tries.run(|_| delete(&*self.store, &path)).await;
            deleted.map_err(|failure| self.told("cannot be deleted", name, &failure))
        });
        futures_util::stream::iter(deletions).buffer_unordered(MOST_DELETIONS).try_collect().await
    }

    /// Deletes, or with `dry_run` only counts, what writes and deletions that were cut short before `before` have left below a folder and no
    /// list shows. Answers how many files and folders.
    ///
    /// # Errors
    /// What the system says of the folder.
    pub async fn clean_up(
        &self,
        folder: &str,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, ObjectsError> {
        let Some(root) = &self.folder else { return Ok(0) };
        if !is_folder(folder) {
            return Err(self.misnamed(folder));
        }
        let below = root.join(folder);
        let cleaned = tokio::task::spawn_blocking(move || leftovers::clean_up(&below, before, dry_run)).await;
        let cleaned = cleaned.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        cleaned.map_err(|error| {
            self.told("cannot be cleaned up", folder, &Failure::new(Meaning::Denied, error.to_string()))
        })
    }

    fn path(&self, name: &str) -> Result<Path, ObjectsError> {
        if !is_name(name) {
            return Err(self.misnamed(name));
        }
        Ok(self.prefix.parts().chain(Path::from(name).parts()).collect())
    }

    fn misnamed(&self, name: &str) -> ObjectsError {
        let (name, address) = (shown(name), &self.address);
        ObjectsError::Damaged(format!(
            "\"{name}\" in {address} is no name: letters, digits, -, _, . and / are"
        ))
    }

    fn check_length(&self, name: &str, content: &Bytes) -> Result<(), ObjectsError> {
        if content.len() <= MOST_OBJECT_BYTES {
            return Ok(());
        }
        let reason = format!("it has {} bytes, at most {MOST_OBJECT_BYTES} are sent as one", content.len());
        Err(self.told("cannot be written", name, &Failure::new(Meaning::TooLarge, reason)))
    }

    fn info(&self, meta: &ObjectMeta) -> Option<ObjectInfo> {
        let rest = meta.location.prefix_match(&self.prefix)?;
        let name = rest.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
        let modified = u64::try_from(meta.last_modified.timestamp_micros()).unwrap_or_default();
        is_name(&name).then(|| ObjectInfo {
            name,
            bytes: meta.size,
            modified: Timestamp::from_micros(modified),
        })
    }

    fn told(&self, what: &str, name: &str, failure: &Failure) -> ObjectsError {
        let what_of = if name.is_empty() { String::new() } else { format!("{name} in ") };
        let text = format!("{what_of}{} {what}: {}", self.address, failure.reason);
        match failure.meaning {
            Meaning::Unavailable => ObjectsError::Unavailable(text),
            Meaning::Denied => ObjectsError::Denied(text),
            Meaning::Unsupported => ObjectsError::Unsupported(text),
            Meaning::NotFound => ObjectsError::NotFound(text),
            // Only a conditional write is told so, and that is no error of it.
            Meaning::Exists => ObjectsError::Damaged(text),
            Meaning::TooLarge => ObjectsError::TooLarge(text),
        }
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Objects({})", self.address)
    }
}

async fn read(store: &dyn ObjectStore, path: &Path, most_bytes: u64) -> Result<Bytes, Failure> {
    let found = store.get(path).await.map_err(|error| Failure::of(&error))?;
    let bytes = found.meta.size;
    if bytes > most_bytes {
        let reason = format!("it has {bytes} bytes, at most {most_bytes} are expected");
        return Err(Failure::new(Meaning::TooLarge, reason));
    }
    let content = found.bytes().await.map_err(|error| Failure::of(&error))?;
    if content.len() as u64 != bytes {
        let reason = format!("only {} of its {bytes} bytes came", content.len());
        return Err(Failure::new(Meaning::Unavailable, reason));
    }
    Ok(content)
}

async fn list(store: &dyn ObjectStore, path: &Path) -> Result<Vec<ObjectMeta>, Failure> {
    let mut stream = store.list(Some(path));
    let mut listed = Vec::new();
    while let Some(object) = stream.next().await {
        let object = match object {
            Ok(object) => object,
            // A file that was deleted while the folder was read.
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(Failure::of(&error)),
        };
        listed.push(object);
        if listed.len() > MOST_LISTED {
            let reason = format!("there are more than {MOST_LISTED} objects");
            return Err(Failure::new(Meaning::TooLarge, reason));
        }
    }
    Ok(listed)
}

async fn delete(store: &dyn ObjectStore, path: &Path) -> Result<(), Failure> {
    match store.delete(path).await.map_err(|error| Failure::of(&error)) {
        Err(failure) if failure.meaning == Meaning::NotFound => Ok(()),
        deleted => deleted,
    }
}
