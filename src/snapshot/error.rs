//! Why there is no snapshot, or none to read.

use std::fmt;

use super::format::{FormatError, Problem};
use super::objects::ObjectsError;

/// Why a snapshot could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// The store of objects refuses, or does not answer.
    Objects(ObjectsError),
    /// An object is not what it should be.
    Format {
        /// Which object.
        name: String,
        /// What is wrong with it.
        error: FormatError,
    },
    /// Another server writes snapshots of the same data here.
    Fenced(String),
    /// Objects of other data lie here.
    OtherData(String),
    /// It could not be taken, for this reason.
    Failed(String),
}

impl SnapshotError {
    pub(super) fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    pub(super) fn format(name: &str, error: FormatError) -> Self {
        Self::Format { name: name.to_owned(), error }
    }

    /// Whether the same may succeed later with nobody doing anything.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Objects(error) => error.is_temporary(),
            Self::Failed(_) => true,
            Self::Format { .. } | Self::Fenced(_) | Self::OtherData(_) => false,
        }
    }

    /// Whether what should be read is gone or not what it was. Else somebody can still have it: later, with a right, a key or a newer
    /// quotad; so nothing older is taken in its place, and nothing is deleted for it.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Objects(error) => error.is_damage(),
            Self::Format { error, .. } => {
                !matches!(error.problem, Problem::NoKey(_) | Problem::Unsealed | Problem::Newer { .. })
            }
            Self::OtherData(_) => true,
            Self::Fenced(_) | Self::Failed(_) => false,
        }
    }
}

impl From<ObjectsError> for SnapshotError {
    fn from(error: ObjectsError) -> Self {
        Self::Objects(error)
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Objects(error) => error.fmt(formatter),
            Self::Format { name, error } => write!(formatter, "{name}: {error}"),
            Self::Fenced(reason) | Self::OtherData(reason) | Self::Failed(reason) => {
                formatter.write_str(reason)
            }
        }
    }
}

impl std::error::Error for SnapshotError {}
