//! The outbox of a process that has ended, whatever ended it: which batches it has, to be read until the truth has them and it is
//! removed whole.
//!
//! Nothing in it is changed. What is read may never have reached the disk: the process may have been killed before its sync, or a sync
//! may have failed, and behind a failure the next one tells nothing. Where two files have a batch, nobody knows which of them is there
//! after a crash, so each stays. For the same reason nothing is appended to it: the next epoch has an outbox of its own.
//!
//! A batch is in two files where the sync failed that should have brought it to the disk, as the next segment begins with it again; and
//! where segments were merged into one, as they are there until they are removed. The file that was made later has it then.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::catalog::Catalog;
use super::error::OutboxError;
use super::folder::Folder;
use super::name::{Name, SegmentName};
use super::read::Batches;
use super::scan::{Scan, Torn, scan};
use super::segment::Segment;
use crate::persist::directory::DataDirectory;
use crate::persist::disk::failed;

/// An outbox as a process has left it. See the module.
pub struct EndedOutbox {
    folder: Arc<Folder>,
    catalog: Arc<Mutex<Catalog>>,
    torn: Vec<TornTail>,
}

/// The end of a file that is no batch, but a write that a crash, or the disk, has cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub file: PathBuf,
    /// Where the last batch before it ends.
    pub offset: u64,
    /// How many bytes are behind that.
    pub bytes: u64,
}

impl EndedOutbox {
    /// Reads all of it, to find out which batches it has.
    ///
    /// # Errors
    /// [`OutboxError::Damaged`] with what to do about it where the bytes are not those that were written, other than by a write that was
    /// cut; [`OutboxError::Newer`] where another version wrote them; [`OutboxError::Disk`].
    pub fn open(directory: &DataDirectory, name: Name) -> Result<Self, OutboxError> {
        let folder = Folder::new(directory, name);
        let files = folder.disk.list(&folder.path).map_err(failed("listed", &folder.path))?;
        // Those that are not finished are not in place of any other.
        let is_finished = |(name, is_finished): (SegmentName, bool)| is_finished.then_some(name);
        let names = files.iter().filter_map(|file| SegmentName::parse(file)).filter_map(is_finished);
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        let since = names.first().map_or(0, |name| name.first_seq);
        let scans = names.into_iter().map(|name| scan(&folder, name, since));
        let (kept, dropped) = keep(scans.collect::<Result<_, _>>()?);
        check_chain(&folder, &kept, &dropped, since)?;
        let torn = torn(&folder, &kept, &dropped);
        let segments = kept.into_iter().map(|(_, segment)| segment).collect();
        let catalog = Arc::new(Mutex::new(Catalog::new(segments)));
        Ok(Self { folder: Arc::new(folder), catalog, torn })
    }

    /// What is not read, of batches that nobody was told are kept: the end of the last file, and more files where making them failed.
    #[must_use]
    pub fn torn(&self) -> &[TornTail] {
        &self.torn
    }

    /// The first number that it has; `None`: it has nothing.
    #[must_use]
    pub fn first_kept_seq(&self) -> Option<u64> {
        self.catalog.lock().first_seq()
    }

    /// The last number that it has; `None`: it has nothing.
    #[must_use]
    pub fn last_seq(&self) -> Option<u64> {
        self.catalog.lock().last_seq()
    }

    /// The batches behind `seq`, beginning with the one that covers the next number.
    #[must_use]
    pub fn read_after(&self, seq: u64) -> Batches {
        Batches::new(Arc::clone(&self.folder), Arc::clone(&self.catalog), seq)
    }
}

/// Which files have batches that no later file has, with those batches; and the other files.
fn keep(scans: Vec<Scan>) -> (Vec<(Scan, Segment)>, Vec<Scan>) {
    let begins: Vec<_> = scans.iter().filter(|scan| scan.segment.is_some()).map(|scan| scan.name).collect();
    let is_written_again = |segment: &Segment| {
        let is_later = |name: &SegmentName| name.number > segment.name.number;
        begins.iter().any(|name| is_later(name) && name.first_seq == segment.last.first_seq)
    };
    let own = |segment: Segment| {
        if is_written_again(&segment) { segment.without_last() } else { Some(segment) }
    };
    let mut judged: Vec<_> = scans
        .into_iter()
        .map(|mut scan| {
            let own = scan.segment.take().and_then(own);
            (scan, own)
        })
        .collect();
    let ranges: Vec<_> =
        judged.iter().filter_map(|(_, own)| own.as_ref().map(|own| (own.name, own.seq))).collect();
    let is_covered = |segment: &Segment| {
        let own = (segment.name, segment.seq);
        ranges.iter().any(|(name, seq)| {
            let covers = name.first_seq <= own.0.first_seq && *seq >= own.1;
            let is_same = (name.first_seq, *seq) == (own.0.first_seq, own.1);
            covers && (!is_same || name.number > own.0.number)
        })
    };
    for (_, own) in &mut judged {
        if own.as_ref().is_some_and(is_covered) {
            *own = None;
        }
    }
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for (scan, own) in judged {
        match own {
            Some(own) => kept.push((scan, own)),
            None => dropped.push(scan),
        }
    }
    (kept, dropped)
}

/// Each file goes on where the one before it ends: what is torn off of one was written again, or was never acknowledged.
fn check_chain(
    folder: &Folder,
    kept: &[(Scan, Segment)],
    dropped: &[Scan],
    since: u64,
) -> Result<(), OutboxError> {
    for ((scan, segment), (_, next)) in kept.iter().zip(kept.iter().skip(1)) {
        let expected = segment.seq + 1;
        if next.name.first_seq == expected {
            continue;
        }
        let lost = dropped.iter().find(|scan| scan.name.first_seq == expected).unwrap_or(scan);
        let (name, offset, reason) = match &lost.torn {
            Some(torn) => (lost.name, torn.offset, torn.reason),
            None => (next.name, 0, "it does not go on where the file before it ends"),
        };
        let reason =
            format!("{reason}, and batch {} follows where batch {expected} is next", next.name.first_seq);
        return Err(folder.damaged(name, offset, reason, since));
    }
    Ok(())
}

/// What is torn off behind everything else.
fn torn(folder: &Folder, kept: &[(Scan, Segment)], dropped: &[Scan]) -> Vec<TornTail> {
    let last = kept.last().map(|(scan, _)| scan);
    let last_seq = kept.last().map(|(_, segment)| segment.seq);
    let behind = dropped.iter().filter(|scan| last_seq.is_none_or(|last| scan.name.first_seq > last));
    let tail = |scan: &Scan| {
        let Torn { offset, bytes, .. } = scan.torn?;
        Some(TornTail { file: folder.path_of(scan.name), offset, bytes })
    };
    last.into_iter().chain(behind).filter_map(tail).collect()
}
