//! Finding out, after whatever ended the process before, which batches an outbox has.
//!
//! A frame may be in two files: where the sync failed that should have brought it to the disk, the next segment begins with it again;
//! and where segments were merged into one, they are there until they are removed. The file that was made later has it then.

use std::path::PathBuf;

use super::error::OutboxError;
use super::folder::Folder;
use super::name::SegmentName;
use super::scan::{Scan, Torn, scan};
use super::segment::Segment;
use crate::persist::disk::{failed, remove_if_there};

/// What was found when an outbox was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// What was cut, of batches that nobody was told are kept: the end of the last file, and more files where making them failed.
    pub torn: Vec<TornTail>,
    /// Files that were removed, since all that is in them is in others.
    pub removed: usize,
}

/// The end of a file that is no batch: a write that a crash, or the disk, has cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub file: PathBuf,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

/// An outbox, as it was found.
pub(super) struct Found {
    /// Its segments, in their order.
    pub(super) segments: Vec<Segment>,
    /// A number that no file of it has, nor any higher one.
    pub(super) next_number: u64,
    /// What there is to be told of it.
    pub(super) opening: Opening,
}

/// Reads all of an outbox, and removes what is none of it.
pub(super) fn open(folder: &Folder) -> Result<Found, OutboxError> {
    let names = folder.disk.list(&folder.path).map_err(failed("listed", &folder.path))?;
    // What a process before made, renamed and removed here is on the disk in any part. Of its removals a crash could undo one, and not
    // a later one of its own or of this process; and what it removed last, and this one does not see, could come back.
    folder.sync()?;
    let names: Vec<_> = names.iter().filter_map(|name| SegmentName::parse(name)).collect();
    let next_number = names.iter().map(|(name, _)| name.number + 1).max().unwrap_or(0);
    let is_finished = |(_, is_finished): &(SegmentName, bool)| *is_finished;
    let (mut finished, unfinished): (Vec<_>, Vec<_>) = names.into_iter().partition(is_finished);
    finished.sort_unstable();
    let since = finished.first().map_or(0, |(name, _)| name.first_seq);
    let scans = finished.into_iter().map(|(name, _)| scan(folder, name, since));
    let (kept, dropped) = keep(scans.collect::<Result<_, _>>()?);
    check_chain(folder, &kept, &dropped, since)?;

    let mut gone: Vec<_> =
        unfinished.iter().map(|(name, _)| folder.path.join(name.unfinished_file())).collect();
    gone.extend(dropped.iter().map(|scan| folder.path_of(scan.name)));
    let last_seq = kept.last().map(|(_, segment)| segment.seq);
    let opening = Opening { torn: torn(folder, &kept, &dropped, last_seq), removed: gone.len() };
    if let Some((scan, _)) = kept.last() {
        settle(folder, scan)?;
    }
    remove(folder, &gone)?;
    Ok(Found { segments: kept.into_iter().map(|(_, segment)| segment).collect(), next_number, opening })
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
fn torn(folder: &Folder, kept: &[(Scan, Segment)], dropped: &[Scan], last_seq: Option<u64>) -> Vec<TornTail> {
    let last = kept.last().map(|(scan, _)| scan);
    let behind = dropped.iter().filter(|scan| last_seq.is_none_or(|last| scan.name.first_seq > last));
    let tail = |scan: &Scan| {
        let Torn { offset, bytes, .. } = scan.torn?;
        Some(TornTail { file: folder.path_of(scan.name), offset, bytes })
    };
    last.into_iter().chain(behind).filter_map(tail).collect()
}

/// Brings the last file to the disk, without what is torn off: the process that wrote it may have been killed before it did, and other
/// files with the same batch are about to be removed.
fn settle(folder: &Folder, last: &Scan) -> Result<(), OutboxError> {
    let path = folder.path_of(last.name);
    let file = folder.open(last.name)?;
    if let Some(torn) = &last.torn {
        file.truncate(torn.offset).map_err(failed("cut", &path))?;
    }
    Ok(file.sync().map_err(failed("synced to the disk", &path))?)
}

/// Removes files whose batches are in others, which are on the disk, or nowhere.
fn remove(folder: &Folder, gone: &[PathBuf]) -> Result<(), OutboxError> {
    if gone.is_empty() {
        return Ok(());
    }
    for path in gone {
        remove_if_there(&*folder.disk, path).map_err(failed("removed", path))?;
    }
    Ok(folder.sync()?)
}
