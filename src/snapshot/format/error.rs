//! Why bytes are no part or manifest: where it was found, what is wrong, what is allowed.

use std::fmt;

use super::key::KeyId;
use crate::persist::DecodeError;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// Where it was found.
    pub place: Place,
    /// What is wrong there.
    pub problem: Problem,
}

/// A region of a part or of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What a part begins with.
    Header,
    /// A block of a part; the first one is 0.
    Block(u32),
    /// What a part ends with.
    Trailer,
    /// A manifest as a whole.
    Manifest,
    /// A field of a manifest.
    Field(&'static str),
    /// The file of a key.
    KeyFile,
    /// The name of a snapshot.
    SnapshotId,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There are no bytes.
    Empty,
    /// It does not begin as such a thing does.
    Foreign,
    /// It has a version that this program does not know yet.
    Newer {
        /// Its version.
        found: u32,
        /// The highest that is read.
        newest: u32,
    },
    /// The bytes end inside of it, or before it.
    Ends,
    /// So many bytes follow behind the end.
    Follows(usize),
    /// A checksum is another one: it was damaged, or belongs elsewhere.
    Checksum,
    /// It is sealed, and was changed or sealed with another key.
    Seal,
    /// The key that it is sealed with is not there.
    NoKey(KeyId),
    /// It is not sealed, where that is demanded.
    Unsealed,
    /// It is of something else.
    Other {
        /// What of it.
        what: &'static str,
        /// What was found.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// It is more than there may be.
    TooLarge {
        /// What of it.
        what: &'static str,
        /// How much was found.
        found: u64,
        /// How much there may be.
        most: u64,
    },
    /// Its content cannot be.
    Decode(DecodeError),
    /// It cannot be, for this reason.
    Refused(String),
}

impl FormatError {
    pub(super) const fn new(place: Place, problem: Problem) -> Self {
        Self { place, problem }
    }

    pub(super) fn refused(place: Place, reason: impl fmt::Display) -> Self {
        Self::new(place, Problem::Refused(reason.to_string()))
    }
}

impl Place {
    /// Refuses what is of something else than it should be.
    pub(super) fn expect<T: PartialEq + fmt::Display>(
        self,
        what: &'static str,
        found: &T,
        expected: &T,
    ) -> Result<(), FormatError> {
        if found == expected {
            return Ok(());
        }
        let (found, expected) = (found.to_string(), expected.to_string());
        Err(FormatError::new(self, Problem::Other { what, found, expected }))
    }

    /// Refuses what is more than there may be.
    pub(super) fn limit(self, what: &'static str, found: u64, most: u64) -> Result<(), FormatError> {
        if found <= most {
            return Ok(());
        }
        Err(FormatError::new(self, Problem::TooLarge { what, found, most }))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => formatter.write_str("header of the part"),
            Self::Block(number) => write!(formatter, "block {number} of the part"),
            Self::Trailer => formatter.write_str("trailer of the part"),
            Self::Manifest => formatter.write_str("manifest"),
            Self::Field(field) => write!(formatter, "field {field} of the manifest"),
            Self::KeyFile => formatter.write_str("key file"),
            Self::SnapshotId => formatter.write_str("name of a snapshot"),
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, problem } = self;
        write!(formatter, "{place}: ")?;
        match problem {
            Problem::Empty => formatter.write_str("there are no bytes"),
            Problem::Foreign => formatter.write_str("this was not written by a quotad: it begins otherwise"),
            Problem::Newer { found, newest } => write!(
                formatter,
                "written by a newer quotad in version {found} of the format; this one reads versions up to {newest}"
            ),
            Problem::Ends => formatter.write_str("the bytes end before its end"),
            Problem::Follows(bytes) => write!(formatter, "{bytes} bytes follow behind its end"),
            Problem::Checksum => {
                formatter.write_str("its checksum is another one; it was damaged or belongs elsewhere")
            }
            Problem::Seal => {
                formatter.write_str("its seal is broken; it was changed, or sealed with another key")
            }
            Problem::NoKey(id) => {
                write!(formatter, "it is sealed with the key {id}, which is none of the keys given")
            }
            Problem::Unsealed => formatter.write_str(
                "it is not encrypted although snapshot-key-file is set, so anybody who can write there may have made it; \
                 snapshot-accept-unencrypted yes takes it all the same",
            ),
            Problem::Other { what, found, expected } => {
                write!(formatter, "its {what} is {found}; expected was {expected}")
            }
            Problem::TooLarge { what, found, most } => {
                write!(formatter, "its {what} is {found}; at most {most} is allowed")
            }
            Problem::Decode(error) => write!(formatter, "{error}"),
            Problem::Refused(reason) => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for FormatError {}
