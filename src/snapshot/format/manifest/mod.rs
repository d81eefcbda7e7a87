//! The manifest: what a snapshot is of, how it was made, and the parts it consists of.
//!
//! **Owns** the facts of a snapshot and the rules that they keep to. **Does not own** the bytes of parts. **May use** `persist`, `clock`.
//! It is JSON that people read (`wire`), and has one form, which is sealed (`sealed`).

mod sealed;
mod wire;

use std::collections::BTreeMap;

#[cfg(any(test, fuzzing))]
pub use sealed::seal_text;

use super::error::{FormatError, Place, Problem};
use super::header::Holds;
use super::identity::SnapshotId;
use super::key::{KeyId, SealingKeys};
use crate::clock::Timestamp;
use crate::engine::{DATABASES, DatabaseSet};
use crate::persist::Id;

/// The most parts of a snapshot: with parts of 16 MiB, 1 TiB.
pub const MAX_PARTS: usize = 65_536;

/// The most bytes of a manifest: [`MAX_PARTS`] of about 250 bytes, twice.
pub const MAX_MANIFEST_BYTES: usize = 32 * 1024 * 1024;

/// The most bytes of the name of a part.
const MAX_NAME_BYTES: usize = 128;

/// The most bytes of a text that tells who wrote a snapshot.
const MAX_TEXT_BYTES: usize = 512;

/// What a snapshot is of, and the parts it consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The data that it is of.
    pub data_set: Id,
    /// The epoch of its cut.
    pub epoch: u64,
    /// The number of the batch of its cut.
    pub seq: u64,
    /// When the cut was.
    pub cut_at: Timestamp,
    /// Whether its entries are of one time.
    pub extent: Extent,
    /// Whether the truth was known to have the cut's batch.
    pub confirmed: bool,
    /// Whether it holds all that the truth had, and not only what was in memory.
    pub complete: bool,
    /// What the truth was.
    pub truth: TruthKind,
    /// The databases that no truth has although there is one.
    pub ephemeral: DatabaseSet,
    /// The entries of each database that has any.
    pub databases: BTreeMap<u8, u64>,
    /// The closed periods that its parts hold, which are those of the truth as of the cut; `None`: it tells nothing of them, since the truth could
    /// not be asked, or a quotad wrote it that did not ask.
    pub closed_periods: Option<u64>,
    /// The parts, each with its place in the list as its number.
    pub parts: Vec<ManifestPart>,
    /// The key that it and its parts are sealed with.
    pub key_id: Option<KeyId>,
    /// The version of quotad that wrote it.
    pub quotad_version: String,
    /// The process that wrote it: host and number.
    pub holder: String,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}

/// Whether the entries of a snapshot are of one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Each is as it was at the cut.
    Cut,
    /// Each is as it was at some time between the cut and a later one.
    Interval {
        /// The number of the later cut; not below that of the cut.
        until_seq: u64,
    },
}

/// What a snapshot's server had as its truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruthKind {
    /// None: memory alone.
    None,
    /// `SQLite`.
    Sqlite,
    /// Postgres.
    Postgres,
}

/// A part, as its manifest tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestPart {
    /// The object it lies in: segments of `A-Z a-z 0-9 . _ -` between slashes, none empty or with a dot at its beginning.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its entries, or closed periods.
    pub entries: u64,
    /// The databases that it has entries of, where some are [ephemeral](Manifest::ephemeral); else none is told.
    pub databases: DatabaseSet,
    /// Which of the two.
    pub holds: Holds,
}

impl Manifest {
    /// The name of the snapshot.
    #[must_use]
    pub fn snapshot(&self) -> SnapshotId {
        SnapshotId::new(self.cut_at, self.epoch, self.seq)
    }

    /// The entries of all databases; saturates.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.databases.values().fold(0, |sum, entries| sum.saturating_add(*entries))
    }

    /// Its bytes, sealed with the key that [`key_id`](Self::key_id) names.
    ///
    /// # Errors
    /// [`FormatError`] if the key is none of `keys`, or a field cannot be.
    pub fn encode(&self, keys: &SealingKeys) -> Result<Vec<u8>, FormatError> {
        self.check()?;
        let key = self.key_id.map(|id| keys.opening(id, Place::Manifest)).transpose()?;
        let bytes = sealed::seal(&wire::write(self), key);
        Place::Manifest.limit("size", length(bytes.len()), length(MAX_MANIFEST_BYTES))?;
        Ok(bytes)
    }

    /// Reads a manifest, and checks its digest; and its seal, where its key is one of `keys`.
    ///
    /// Without that key it can still be listed, but its parts cannot be read. One without [`key_id`](Self::key_id) may be from anybody:
    /// who wants a sealed one has to look.
    ///
    /// # Errors
    /// [`FormatError`] for whatever [`encode`](Self::encode) does not write.
    pub fn decode(bytes: &[u8], keys: &SealingKeys) -> Result<Self, FormatError> {
        let wrong = |problem| FormatError::new(Place::Manifest, problem);
        Place::Manifest.limit("size", length(bytes.len()), length(MAX_MANIFEST_BYTES))?;
        if bytes.is_empty() {
            return Err(wrong(Problem::Empty));
        }
        let opened = sealed::open(bytes)?;
        let manifest = wire::read(&opened.body)?;
        manifest.check()?;
        if wire::write(&manifest) != opened.body {
            return Err(FormatError::refused(
                Place::Manifest,
                "it is not in the form in which it is written",
            ));
        }
        if opened.seal.is_some() != manifest.key_id.is_some() {
            return Err(FormatError::refused(
                Place::Field("key_id"),
                "there is a seal or an id, but not both",
            ));
        }
        if let (Some(seal), Some(key)) = (&opened.seal, manifest.key_id.and_then(|id| keys.find(id))) {
            sealed::verify(&opened.body, seal, key)?;
        }
        Ok(manifest)
    }

    /// Checks what no field says alone.
    fn check(&self) -> Result<(), FormatError> {
        if let Extent::Interval { until_seq } = self.extent
            && until_seq < self.seq
        {
            return Err(FormatError::refused(Place::Field("kind"), "the later cut has the lower number"));
        }
        let databases = Place::Field("databases");
        for (&database, &entries) in &self.databases {
            if usize::from(database) >= DATABASES || entries == 0 {
                let reason = format_args!("database {database} is none of {DATABASES}, or has no entries");
                return Err(FormatError::refused(databases, reason));
            }
        }
        let parts = Place::Field("parts");
        parts.limit("number", length(self.parts.len()), length(MAX_PARTS))?;
        let told = |part: &ManifestPart| {
            !self.ephemeral.is_empty() && part.holds == Holds::Entries && part.entries > 0
        };
        if self.parts.iter().any(|part| part.databases.is_empty() == told(part)) {
            let reason = "they tell their databases where some are ephemeral, and only there";
            return Err(FormatError::refused(parts, reason));
        }
        self.parts.iter().try_for_each(ManifestPart::check_name)?;
        let in_databases = self.databases.values().try_fold(0, |sum: u64, entries| sum.checked_add(*entries));
        let in_parts = self.in_parts(Holds::Entries);
        if in_parts.is_none() || in_parts != in_databases {
            return Err(FormatError::refused(parts, "they have not as many entries as the databases"));
        }
        if self.in_parts(Holds::ClosedPeriods) != Some(self.closed_periods.unwrap_or(0)) {
            return Err(FormatError::refused(parts, "they have not as many closed periods as it says"));
        }
        for (field, text) in [("quotad_version", &self.quotad_version), ("holder", &self.holder)] {
            Place::Field(field).limit("length", length(text.len()), length(MAX_TEXT_BYTES))?;
        }
        Ok(())
    }

    /// How much of a kind all parts hold; `None`: more than there can be.
    fn in_parts(&self, holds: Holds) -> Option<u64> {
        let parts = self.parts.iter().filter(|part| part.holds == holds);
        parts.map(|part| part.entries).try_fold(0, u64::checked_add)
    }
}

impl ManifestPart {
    /// Checks that `bytes` are those of the part.
    ///
    /// # Errors
    /// [`FormatError`] if there are more or fewer, or their digest is another one.
    pub fn check(&self, bytes: &[u8]) -> Result<(), FormatError> {
        let place = Place::Field("parts");
        place.expect("size of a part", &length(bytes.len()), &self.bytes)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        let (found, expected) = (super::text::hex(digest.as_ref()), super::text::hex(&self.sha256));
        place.expect("digest of a part", &found, &expected)
    }

    /// A name leads nowhere but into its snapshot.
    fn check_name(&self) -> Result<(), FormatError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let segment = |text: &str| !text.is_empty() && !text.starts_with('.') && text.bytes().all(allowed);
        if self.name.len() <= MAX_NAME_BYTES && self.name.split('/').all(segment) {
            return Ok(());
        }
        let reason = format_args!(
            "a part's name has at most {MAX_NAME_BYTES} bytes: A-Z, a-z, 0-9, '.', '_' and '-' between slashes"
        );
        Err(FormatError::refused(Place::Field("parts"), reason))
    }
}

fn length(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}

#[cfg(test)]
mod tests;
