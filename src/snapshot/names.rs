//! What the objects of snapshots are called.
//!
//! Manifests are in the order of what they hold, so that the newest is found by its name alone. Numbers have 20 digits: all of 64 bits.

use super::format::SnapshotId;

/// The folder of manifests.
pub(super) const MANIFESTS: &str = "manifests";

/// The folder of parts, with one for each snapshot.
pub(super) const PARTS: &str = "parts";

/// The folder of the marks of those who write here.
pub(super) const WRITERS: &str = "writers";

const MANIFEST_END: &str = ".json";

/// The name of a manifest.
pub(super) fn manifest(id: SnapshotId) -> String {
    format!("{MANIFESTS}/{:020}-{:020}-{id}{MANIFEST_END}", id.epoch(), id.seq())
}

/// The snapshot whose manifest has this name; `None`: it is none of ours.
pub(super) fn snapshot_of_manifest(name: &str) -> Option<SnapshotId> {
    let file = name.strip_prefix(MANIFESTS)?.strip_prefix('/')?.strip_suffix(MANIFEST_END)?;
    let id: SnapshotId = file.splitn(3, '-').nth(2)?.parse().ok()?;
    (manifest(id) == name).then_some(id)
}

/// The folder of a snapshot's parts.
pub(super) fn parts_of(id: SnapshotId) -> String {
    format!("{PARTS}/{id}")
}

/// The name of a part.
pub(super) fn part(id: SnapshotId, number: u32) -> String {
    format!("{PARTS}/{id}/{number:06}.part")
}

/// The snapshot that a part belongs to; `None`: it is none of ours.
pub(super) fn snapshot_of_part(name: &str) -> Option<SnapshotId> {
    let mut words = name.strip_prefix(PARTS)?.strip_prefix('/')?.split('/');
    let id: SnapshotId = words.next()?.parse().ok()?;
    let number = words.next()?.strip_suffix(".part")?.parse().ok()?;
    (part(id, number) == name).then_some(id)
}

/// The mark of whoever writes in an epoch.
pub(super) fn writer(epoch: u64) -> String {
    format!("{WRITERS}/{epoch:020}{MANIFEST_END}")
}

/// The epoch of a writer's mark; `None`: it is none of ours.
pub(super) fn epoch_of_writer(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(WRITERS)?.strip_prefix('/')?.strip_suffix(MANIFEST_END)?;
    digits.parse().ok().filter(|&epoch| writer(epoch) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn names_tell_what_they_are_of() {
        let id = SnapshotId::new(Timestamp::from_millis(1_795_716_912_000), 3, 12_345);
        let name = manifest(id);
        assert_eq!(name, "manifests/00000000000000000003-00000000000000012345-20261126T181512Z-3-12345.json");
        assert_eq!(snapshot_of_manifest(&name), Some(id));
        assert_eq!(part(id, 7), "parts/20261126T181512Z-3-12345/000007.part");
        assert_eq!(snapshot_of_part(&part(id, 7)), Some(id));
        assert_eq!(snapshot_of_part(&part(id, u32::MAX)), Some(id));
        assert_eq!(epoch_of_writer(&writer(9)), Some(9));
        for other in ["", "manifests/x.json", "parts/x/000001.part", "notes.txt", "writers/9.json"] {
            let found = (snapshot_of_manifest(other), snapshot_of_part(other), epoch_of_writer(other));
            assert_eq!(found, (None, None, None), "{other}");
        }
    }
}
