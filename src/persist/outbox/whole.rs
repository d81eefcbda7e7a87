//! What is done to outboxes whole: finding them, setting them aside, removing them.

use std::path::{Path, PathBuf};

use super::error::OutboxError;
use super::folder::sync_directory;
use super::name::Name;
use crate::persist::directory::DataDirectory;
use crate::persist::disk::failed;

/// What the name of an outbox that was set aside begins with.
const SET_ASIDE: &str = "set-aside-";

/// What the name of an outbox that is being removed begins with.
const REMOVING: &str = "removing-";

/// The outboxes of a directory, the oldest epoch first. Removes what is left of those that were being removed.
pub(super) fn find(directory: &DataDirectory) -> Result<Vec<Name>, OutboxError> {
    let (disk, path) = (directory.disk(), directory.path());
    let names = disk.list(path).map_err(failed("listed", path))?;
    let is_left = |name: &&String| name.strip_prefix(REMOVING).and_then(Name::parse).is_some();
    let left: Vec<_> = names.iter().filter(is_left).map(|name| path.join(name)).collect();
    if !left.is_empty() {
        // The process that renamed it may have been killed before it had brought the name to the disk; a crash could then give it its
        // old name back without what is removed here.
        sync_directory(&*disk, path)?;
    }
    for left in left {
        disk.remove_directory(&left).map_err(failed("removed", &left))?;
    }
    let mut found: Vec<_> = names.iter().filter_map(|name| Name::parse(name)).collect();
    found.sort_unstable_by_key(|name| name.epoch);
    Ok(found)
}

/// Renames an outbox so that it is none any more; answers its new path.
pub(super) fn set_aside(directory: &DataDirectory, name: Name) -> Result<PathBuf, OutboxError> {
    let (disk, path) = (directory.disk(), directory.path());
    let taken = disk.list(path).map_err(failed("listed", path))?;
    // One of so many names is free; an outbox of the same name is hardly ever set aside twice.
    let free = (1..=taken.len() + 1)
        .map(
            |copy| if copy == 1 { format!("{SET_ASIDE}{name}") } else { format!("{SET_ASIDE}{name}-{copy}") },
        )
        .find(|name| !taken.contains(name))
        .expect("there are more names than files");
    let to = path.join(free);
    rename(directory, &path.join(name.to_string()), &to)?;
    Ok(to)
}

/// Removes an outbox. After a crash it is there whole, or not at all.
pub(super) fn remove(directory: &DataDirectory, name: Name) -> Result<(), OutboxError> {
    let (disk, path) = (directory.disk(), directory.path());
    let removing = path.join(format!("{REMOVING}{name}"));
    rename(directory, &path.join(name.to_string()), &removing)?;
    Ok(disk.remove_directory(&removing).map_err(failed("removed", &removing))?)
}

fn rename(directory: &DataDirectory, from: &Path, to: &Path) -> Result<(), OutboxError> {
    let disk = directory.disk();
    disk.rename(from, to).map_err(failed("renamed", from))?;
    Ok(sync_directory(&*disk, directory.path())?)
}
