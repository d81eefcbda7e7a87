//! What snapshots there are, and who may add to them.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::SnapshotError;
use super::format::{
    Entry, FormatError, MAX_MANIFEST_BYTES, Manifest, ManifestPart, PartHeader, Place, Problem, SealingKeys,
    SnapshotId, read_closed_part, read_part,
};
use super::names;
use super::objects::{Created, Objects, ObjectsError};
use crate::clock::Timestamp;
use crate::persist::{ClosedPeriod, DataSetId, EpochRow, Id, OwnerId};

/// The most bytes of a writer's mark.
const MAX_MARK_BYTES: u64 = 4_096;

/// Epochs that are tried at most when others take them at the same moment.
const EPOCH_TRIES: u64 = 16;

/// How long an object without a manifest stays: an upload of another server may still be going on.
pub(super) const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3_600);

/// The snapshots in a store of objects.
#[derive(Clone)]
pub struct Catalog {
    /// Where they lie.
    pub objects: Objects,
    /// What they are sealed and opened with.
    pub keys: SealingKeys,
    /// Whether snapshots that are not sealed are read although there is a key.
    pub accepts_unsealed: bool,
}

/// A snapshot that is listed, with its manifest, or why that cannot be read.
#[derive(Debug)]
pub struct Listed {
    /// Which one.
    pub id: SnapshotId,
    /// The manifest.
    pub manifest: Result<Manifest, SnapshotError>,
}

impl Listed {
    /// Why nothing is known of it, though it may be good.
    pub(super) fn unread(&self) -> Option<&SnapshotError> {
        self.manifest.as_ref().err().filter(|error| !error.is_damage())
    }
}

/// Who writes in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    data_set: String,
    epoch: u64,
    /// Tells one start of one server from all others.
    start: String,
    /// The same for people.
    holder: String,
    since_us: u64,
    /// Who owns the truth that has given the epoch, or the data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// When the epoch began, as the truth tells it; none without a truth. Two truths that were one give the same numbers at other times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch_began_us: Option<u64>,
}

/// Who wants to write.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// Which data.
    pub data_set: DataSetId,
    /// An id of this start.
    pub start: Id,
    /// This server for people.
    pub holder: String,
    /// When.
    pub now: Timestamp,
    /// Who owns the truth, or the data directory.
    pub owner: OwnerId,
    /// The epochs of the truth; none where there is none, or they are not known.
    pub epochs: Vec<EpochRow>,
}

impl Claimant {
    /// When an epoch of the truth began.
    fn began_us(&self, epoch: u64) -> Option<u64> {
        self.epochs.iter().find(|row| row.epoch == epoch).map(|row| row.started_at.as_micros())
    }
}

impl Catalog {
    /// Every snapshot that has a manifest, the newest first.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn ids(&self) -> Result<Vec<SnapshotId>, ObjectsError> {
        let listed = self.objects.list(names::MANIFESTS).await?;
        let mut ids: Vec<_> =
            listed.iter().filter_map(|object| names::snapshot_of_manifest(&object.name)).collect();
        ids.sort_unstable_by(|one, other| other.cmp(one));
        Ok(ids)
    }

    /// Every snapshot with its manifest, the newest first; also those that are not sealed, which are told and kept but not read.
    ///
    /// # Errors
    /// When the store refuses the list.
    pub async fn list(&self) -> Result<Vec<Listed>, ObjectsError> {
        let mut listed = Vec::new();
        for id in self.ids().await? {
            listed.push(Listed { id, manifest: self.any_manifest(id).await });
        }
        Ok(listed)
    }

    /// Reads the manifest of a snapshot that is to be used.
    ///
    /// # Errors
    /// When it is not there, or not what it should be, or not sealed where that is demanded.
    pub async fn manifest(&self, id: SnapshotId) -> Result<Manifest, SnapshotError> {
        let manifest = self.any_manifest(id).await?;
        if manifest.key_id.is_none() && !self.takes_unsealed() {
            let error = FormatError { place: Place::Manifest, problem: Problem::Unsealed };
            return Err(SnapshotError::format(&names::manifest(id), error));
        }
        Ok(manifest)
    }

    /// Whether snapshots are read that anybody may have written.
    #[must_use]
    pub fn takes_unsealed(&self) -> bool {
        self.accepts_unsealed || self.keys.sealing().is_none()
    }

    /// Refuses to write what is not sealed behind a snapshot that is: more likely a key was forgotten.
    ///
    /// # Errors
    /// [`SnapshotError::OtherData`] where that is so; when the store refuses.
    pub(super) async fn refuse_plain_beside_sealed(&self) -> Result<(), SnapshotError> {
        if self.keys.sealing().is_some() || self.accepts_unsealed {
            return Ok(());
        }
        let Some(newest) = self.ids().await?.into_iter().next() else { return Ok(()) };
        match self.any_manifest(newest).await {
            Ok(Manifest { key_id: Some(key), .. }) => Err(SnapshotError::OtherData(format!(
                "the newest snapshot in {} is encrypted with the key {key}, and no snapshot-key-file is set: the next one would be readable for \
                 all; set the key, name another place by snapshots, or say snapshot-accept-unencrypted yes",
                self.objects.describe()
            ))),
            Err(error) if error.is_temporary() => Err(error),
            // One that cannot be read says nothing of keys.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn any_manifest(&self, id: SnapshotId) -> Result<Manifest, SnapshotError> {
        let name = names::manifest(id);
        let bytes = self.objects.read(&name, MAX_MANIFEST_BYTES as u64).await?;
        let manifest =
            Manifest::decode(&bytes, &self.keys).map_err(|error| SnapshotError::format(&name, error))?;
        if manifest.snapshot() != id {
            let reason = format!("{name} is the manifest of {}", manifest.snapshot());
            return Err(SnapshotError::OtherData(reason));
        }
        Ok(manifest)
    }

    /// The bytes of a part, as the manifest names them.
    ///
    /// # Errors
    /// When it is not there, or is not that part.
    pub async fn part(&self, part: &ManifestPart) -> Result<Bytes, SnapshotError> {
        Ok(self.objects.read(&part.name, part.bytes).await?)
    }

    /// Deletes the parts of a snapshot that has no manifest.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn discard(&self, id: SnapshotId) -> Result<(), ObjectsError> {
        let listed = self.objects.list(&names::parts_of(id)).await?;
        let names: Vec<_> = listed.into_iter().map(|object| object.name).collect();
        self.objects.delete(&names).await
    }

    /// Reads the entries in part `number`, and checks it against the manifest.
    ///
    /// # Errors
    /// When it is not what it should be, in any byte; what `visit` answers.
    pub fn read(
        &self,
        manifest: &Manifest,
        number: usize,
        bytes: &[u8],
        visit: impl FnMut(Entry<'_>) -> Result<(), FormatError>,
    ) -> Result<u64, SnapshotError> {
        self.checked(manifest, number, bytes, |header| read_part(bytes, header, &self.keys, visit))
    }

    /// As [`read`](Self::read), of a part that holds closed periods.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_closed(
        &self,
        manifest: &Manifest,
        number: usize,
        bytes: &[u8],
        visit: impl FnMut(ClosedPeriod) -> Result<(), FormatError>,
    ) -> Result<u64, SnapshotError> {
        self.checked(manifest, number, bytes, |header| read_closed_part(bytes, header, &self.keys, visit))
    }

    /// What `read` makes of part `number`, which is the one that the manifest names.
    fn checked(
        &self,
        manifest: &Manifest,
        number: usize,
        bytes: &[u8],
        read: impl FnOnce(&PartHeader) -> Result<u64, FormatError>,
    ) -> Result<u64, SnapshotError> {
        let part = &manifest.parts[number];
        let wrong = |error| SnapshotError::format(&part.name, error);
        // Only with its key was the manifest's seal looked at: without, it may name parts that anybody made.
        if let Some(id) = manifest.key_id {
            self.keys.opening(id, Place::Manifest).map_err(wrong)?;
        }
        part.check(bytes).map_err(wrong)?;
        let header = PartHeader {
            data_set: manifest.data_set,
            snapshot: manifest.snapshot(),
            number: u32::try_from(number).unwrap_or(u32::MAX),
            holds: part.holds,
        };
        let found = read(&header).map_err(wrong)?;
        if found != part.entries {
            let (name, holds, told) = (&part.name, part.holds, part.entries);
            let reason = format!("{name} has {found} {holds}, its manifest says {told}");
            return Err(SnapshotError::Objects(ObjectsError::Damaged(reason)));
        }
        Ok(found)
    }

    /// Takes an epoch for a server without a truth: above every one that ever wrote here.
    ///
    /// # Errors
    /// When other data lies here, or the store refuses.
    pub async fn take_epoch(&self, claimant: &Claimant) -> Result<u64, SnapshotError> {
        let first = self.highest_epoch(claimant.data_set).await? + 1;
        for epoch in first..first + EPOCH_TRIES {
            match self.mark(claimant, epoch).await {
                Err(SnapshotError::Fenced(_)) => {}
                marked => return marked.map(|()| epoch),
            }
        }
        Err(SnapshotError::failed("other servers take every epoch here: stop them first"))
    }

    /// Says that this server writes in `epoch`, which its truth has given it.
    ///
    /// # Errors
    /// When other data lies here, a server of a later epoch writes here, or the store refuses.
    pub async fn claim(&self, claimant: &Claimant, epoch: u64) -> Result<(), SnapshotError> {
        self.highest_epoch(claimant.data_set).await?;
        self.refuse_successor(epoch).await?;
        self.refuse_another_past(claimant, epoch).await?;
        self.mark(claimant, epoch).await
    }

    /// Refuses a truth that has had the epoch in which somebody else wrote here last, but as another one: each start raises its epoch, so
    /// that it would be the highest one day. One that was restored has not had it, or knows no beginning of it.
    async fn refuse_another_past(&self, claimant: &Claimant, epoch: u64) -> Result<(), SnapshotError> {
        let Some(last) = self.marked_epochs().await?.into_iter().filter(|&found| found < epoch).max() else {
            return Ok(());
        };
        let mark = self.read_mark(last).await?;
        let is_own = mark.owner == Some(claimant.owner.to_string());
        let (told, known) = (mark.epoch_began_us, claimant.began_us(last).filter(|&began| began > 0));
        let is_another = told.is_some() && known.is_some() && told != known;
        if is_own || !is_another { Ok(()) } else { Err(self.fenced(last).await) }
    }

    /// Refuses whoever is not the last that came to write here.
    ///
    /// # Errors
    /// [`SnapshotError::Fenced`] with who it is.
    pub async fn refuse_successor(&self, epoch: u64) -> Result<(), SnapshotError> {
        let Some(highest) = self.marked_epochs().await?.into_iter().max().filter(|&found| found > epoch)
        else {
            return Ok(());
        };
        Err(self.fenced(highest).await)
    }

    async fn fenced(&self, epoch: u64) -> SnapshotError {
        let holder = self.read_mark(epoch).await.map_or_else(|error| error.to_string(), |mark| mark.holder);
        SnapshotError::Fenced(format!(
            "another server ({holder}) writes snapshots of this data to {} since epoch {epoch}; \
             of two servers on one data set, as behind a restore beside the first, one needs a store of its own (--snapshots), also once the \
             other is stopped; so does a truth that was set back to an older backup",
            self.objects.describe()
        ))
    }

    async fn mark(&self, claimant: &Claimant, epoch: u64) -> Result<(), SnapshotError> {
        let mark = Mark {
            data_set: claimant.data_set.to_string(),
            epoch,
            start: claimant.start.to_string(),
            holder: claimant.holder.clone(),
            since_us: claimant.now.as_micros(),
            owner: Some(claimant.owner.to_string()),
            epoch_began_us: claimant.began_us(epoch),
        };
        let text = serde_json::to_vec_pretty(&mark).map_err(SnapshotError::failed)?;
        match self.objects.create(&names::writer(epoch), Bytes::from(text)).await? {
            Created::New => self.probe(epoch, &mark).await?,
            Created::Exists => {
                let found = self.read_mark(epoch).await?;
                // It was not listed yet when the epoch was chosen, so nobody has looked whose it is.
                self.refuse_other_data(claimant.data_set, &found.data_set)?;
                if found.start != mark.start {
                    return Err(self.fenced(epoch).await);
                }
            }
        }
        // Those before count no more; what cannot be deleted now goes with the next start.
        let before: Vec<_> = self.marked_epochs().await?.into_iter().filter(|&found| found < epoch).collect();
        let before: Vec<_> = before.into_iter().map(names::writer).collect();
        if let Err(error) = self.objects.delete(&before).await {
            tracing::debug!("marks of earlier starts stay for now: {error}");
        }
        Ok(())
    }

    /// Asks the store for what it must refuse: to create a mark that is there. Some do not know conditional writes, and do not say so.
    async fn probe(&self, epoch: u64, mark: &Mark) -> Result<(), SnapshotError> {
        // Of another start, or it would be taken for ours whose answer was lost.
        let other = Mark { start: format!("a probe of {}", mark.start), ..mark.clone() };
        let text = serde_json::to_vec_pretty(&other).map_err(SnapshotError::failed)?;
        let name = names::writer(epoch);
        if self.objects.create(&name, Bytes::from(text)).await? == Created::Exists {
            return Ok(());
        }
        // It has replaced the mark, which nobody needs: nothing is written here.
        if let Err(error) = self.objects.delete(&[name]).await {
            tracing::debug!("a mark stays: {error}");
        }
        Err(ObjectsError::Unsupported(format!(
            "{} overwrites an object that is only to be created: it ignores conditional writes (If-None-Match: *), without which two \
             servers could overwrite each other's snapshots: use a newer version of it, another store, or a folder (snapshots file:///path)",
            self.objects.describe()
        ))
        .into())
    }

    async fn marked_epochs(&self) -> Result<Vec<u64>, ObjectsError> {
        let listed = self.objects.list(names::WRITERS).await?;
        Ok(listed.iter().filter_map(|object| names::epoch_of_writer(&object.name)).collect())
    }

    async fn read_mark(&self, epoch: u64) -> Result<Mark, SnapshotError> {
        let name = names::writer(epoch);
        let bytes = self.objects.read(&name, MAX_MARK_BYTES).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| SnapshotError::OtherData(format!("{name} is no mark of a quotad: {error}")))
    }

    /// The highest epoch that ever wrote here; 0: none did.
    ///
    /// # Errors
    /// When what was written last is of other data.
    pub async fn highest_epoch(&self, data_set: DataSetId) -> Result<u64, SnapshotError> {
        let marked = self.marked_epochs().await?.into_iter().max();
        if let Some(epoch) = marked {
            self.refuse_other_data(data_set, &self.read_mark(epoch).await?.data_set)?;
        }
        let ids = self.ids().await?;
        for &id in &ids {
            // One that cannot be read says nothing of whose it is.
            if let Ok(manifest) = self.manifest(id).await {
                self.refuse_other_data(data_set, &manifest.data_set.to_string())?;
                break;
            }
        }
        Ok(marked.unwrap_or(0).max(ids.first().map_or(0, |id| id.epoch())))
    }

    fn refuse_other_data(&self, own: DataSetId, found: &str) -> Result<(), SnapshotError> {
        if found == own.to_string() {
            return Ok(());
        }
        Err(SnapshotError::OtherData(format!(
            "{} holds snapshots of the data set {found}, this server's data set is {own}: give it a store of its own with --snapshots, \
             or use the truth and data directory of that data set",
            self.objects.describe()
        )))
    }
}

#[cfg(test)]
mod tests;
