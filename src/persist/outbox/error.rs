//! Why an outbox did not do what it was asked, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use crate::persist::disk::DiskError;

/// Why an outbox did not do what it was asked.
#[derive(Debug)]
pub enum OutboxError {
    /// The system refused. What was there is still there; trying again may help.
    Disk(DiskError),
    /// What was written is not there as it was written.
    Damaged {
        /// The outbox.
        directory: PathBuf,
        /// The file of it.
        file: PathBuf,
        /// From which byte on.
        offset: u64,
        /// What is wrong.
        reason: String,
        /// The first number of the batches that cannot be relied on.
        since: u64,
    },
    /// It was written by a newer quotad.
    Newer {
        /// The file.
        file: PathBuf,
        /// The version of what was found.
        found: u32,
        /// The highest version that is read.
        newest: u32,
        /// Of which part.
        part: &'static str,
    },
    /// A batch that is not the next one, or of another epoch.
    NotNext {
        /// What it covers: the first number and the last.
        covers: (u64, u64),
        /// Its epoch.
        epoch: u64,
        /// The number that is next; `None`: any.
        next: Option<u64>,
        /// The outbox's epoch.
        own_epoch: u64,
    },
    /// A batch, or what several were merged into, has more bytes than a frame can hold.
    TooLarge {
        /// Its number.
        seq: u64,
        /// Its bytes.
        bytes: usize,
    },
    /// What is asked for was applied and is no longer kept.
    NotKept {
        /// The number of the batch that was asked for.
        asked: u64,
        /// The first number that is kept.
        first_kept: u64,
    },
    /// An outbox of that name is there.
    Exists {
        /// The outbox.
        directory: PathBuf,
    },
}

impl From<DiskError> for OutboxError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl fmt::Display for OutboxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(formatter),
            Self::Damaged { directory, file, offset, reason, since } => write!(
                formatter,
                "the outbox is damaged in {} at byte {offset}: {reason}; to start without it, move the directory {} away: \
                 what was not applied in it since batch {since} is lost",
                file.display(),
                directory.display()
            ),
            Self::Newer { file, found, newest, part } => write!(
                formatter,
                "the {part} in {} has version {found}, written by a newer quotad; this one reads versions up to {newest}: \
                 start the quotad that wrote it, or a newer one",
                file.display()
            ),
            Self::NotNext { covers: (first_seq, seq), epoch, next, own_epoch } => {
                write!(
                    formatter,
                    "batches {first_seq} to {seq} of epoch {epoch} do not go on from the outbox of epoch {own_epoch}"
                )?;
                match next {
                    Some(next) => write!(formatter, ", where batch {next} is next"),
                    None => write!(formatter, ", which is empty: numbers rise from 1 on"),
                }
            }
            Self::TooLarge { seq, bytes } => write!(
                formatter,
                "batch {seq} has {bytes} bytes; one may have up to {} in the outbox",
                u32::MAX
            ),
            Self::NotKept { asked, first_kept } => {
                write!(
                    formatter,
                    "batch {asked} was applied and is no longer kept; the first one that is has number {first_kept}"
                )
            }
            Self::Exists { directory } => write!(
                formatter,
                "the outbox {} is there and not empty, although its epoch has just begun: move it away",
                directory.display()
            ),
        }
    }
}

impl std::error::Error for OutboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Disk(error) => Some(error),
            _ => None,
        }
    }
}
