//! Which snapshots are kept: the newest, then one a day, then one a month; and never none.

use std::collections::{BTreeSet, HashMap};

use super::catalog::{Catalog, Listed, ORPHAN_AGE};
use super::error::SnapshotError;
use super::format::{Extent, ManifestPart, SnapshotId};
use super::names;
use crate::clock::Timestamp;

const DAY_SECS: u64 = 86_400;

/// How many snapshots are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The newest, so many.
    pub newest: u64,
    /// Of so many days before, today among them, the last of each.
    pub days: u64,
    /// Of so many months before, this one among them, the last of each.
    pub months: u64,
}

/// A snapshot, as far as keeping it is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which one.
    pub id: SnapshotId,
    /// Whether a server can be started or a truth be restored from it.
    pub is_good: bool,
}

/// What pruning deleted, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Snapshots.
    pub snapshots: Vec<SnapshotId>,
    /// Parts without a manifest.
    pub orphans: u64,
    /// Files and folders that writes and deletions which were cut short have left in a local folder.
    pub leftovers: u64,
}

impl Retention {
    /// Those of `snapshots`, the newest first, that are deleted at `now`. Bad ones count for nothing but among the newest; the last good one
    /// always stays, and without one everything.
    #[must_use]
    pub fn superfluous(&self, snapshots: &[Kept], now: Timestamp) -> Vec<SnapshotId> {
        let newest = usize::try_from(self.newest).unwrap_or(usize::MAX);
        let mut keep: BTreeSet<SnapshotId> = snapshots.iter().take(newest).map(|kept| kept.id).collect();
        let good = || snapshots.iter().filter(|kept| kept.is_good).map(|kept| kept.id);
        let Some(last_good) = good().next() else { return Vec::new() };
        keep.insert(last_good);
        let today = now.as_secs() / DAY_SECS;
        let this_month = month_of(now);
        let (mut days, mut months) = (BTreeSet::new(), BTreeSet::new());
        for id in good() {
            let day = id.cut_at().as_secs() / DAY_SECS;
            if day + self.days > today && days.insert(day) {
                keep.insert(id);
            }
            let month = month_of(id.cut_at());
            if month + self.months > this_month && months.insert(month) {
                keep.insert(id);
            }
        }
        snapshots.iter().map(|kept| kept.id).filter(|id| !keep.contains(id)).collect()
    }
}

/// Months since the year 0.
fn month_of(time: Timestamp) -> u64 {
    let second = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let Ok(time) = jiff::Timestamp::from_second(second) else { return u64::MAX / 2 };
    let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
    let months = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
    u64::try_from(months).unwrap_or(0)
}

/// Deletes what `retention` does not keep, parts that have had no manifest for a day, and what was left over a day ago; with `dry_run` only tells what it would delete.
///
/// Only objects of ours are touched: those with our names, of this data set.
///
/// # Errors
/// When the store refuses, or a manifest cannot be read that may be good.
pub async fn prune(
    catalog: &Catalog,
    retention: &Retention,
    now: Timestamp,
    dry_run: bool,
) -> Result<Pruned, SnapshotError> {
    let listed = catalog.list().await?;
    let mut unread = BTreeSet::new();
    for one in &listed {
        match one.unread() {
            None => {}
            // It may be good, and the one that is kept of its day.
            Some(error @ SnapshotError::Objects(_)) => return Err(error.clone()),
            // It is for a newer quotad to tell.
            Some(_) => _ = unread.insert(one.id),
        }
    }
    let parts = catalog.objects.list(names::PARTS).await?;
    let sizes = parts.iter().map(|part| (part.name.as_str(), part.bytes)).collect();
    let takes_unsealed = catalog.takes_unsealed();
    let kept: Vec<Kept> = listed.iter().map(|listed| kept_of(listed, &sizes, takes_unsealed)).collect();
    let mut superfluous = retention.superfluous(&kept, now);
    superfluous.retain(|id| !unread.contains(id));
    let known: BTreeSet<SnapshotId> = kept.iter().map(|kept| kept.id).collect();
    let mut pruned = Pruned { snapshots: superfluous, orphans: 0, leftovers: 0 };
    if !dry_run {
        // First what makes them snapshots: whoever lists them then finds none with parts missing.
        let manifests: Vec<_> = pruned.snapshots.iter().map(|&id| names::manifest(id)).collect();
        catalog.objects.delete(&manifests).await?;
        for &id in &pruned.snapshots {
            catalog.discard(id).await?;
        }
    }
    let oldest = now.as_micros().saturating_sub(u64::try_from(ORPHAN_AGE.as_micros()).unwrap_or(u64::MAX));
    let is_orphan = |name: &str| names::snapshot_of_part(name).is_some_and(|id| !known.contains(&id));
    let orphans =
        parts.into_iter().filter(|part| part.modified.as_micros() < oldest && is_orphan(&part.name));
    let orphans: Vec<_> = orphans.map(|part| part.name).collect();
    pruned.orphans = u64::try_from(orphans.len()).unwrap_or(u64::MAX);
    if !dry_run {
        catalog.objects.delete(&orphans).await?;
    }
    for folder in [names::MANIFESTS, names::PARTS, names::WRITERS] {
        let before = Timestamp::from_micros(oldest);
        pruned.leftovers += catalog.objects.clean_up(folder, before, dry_run).await?;
    }
    Ok(pruned)
}

/// One is good that a restore would take, and whose parts are there with their sizes: what is in them only `verify` looks at.
fn kept_of(listed: &Listed, sizes: &HashMap<&str, u64>, takes_unsealed: bool) -> Kept {
    let is_good = listed.manifest.as_ref().is_ok_and(|manifest| {
        let is_there = |part: &ManifestPart| sizes.get(part.name.as_str()) == Some(&part.bytes);
        manifest.confirmed
            && manifest.complete
            && manifest.extent == Extent::Cut
            && (manifest.key_id.is_some() || takes_unsealed)
            && manifest.parts.iter().all(is_there)
    });
    Kept { id: listed.id, is_good }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = DAY_SECS * 1_000;

    /// 2026-11-15T12:00:00Z.
    const NOON: u64 = 1_794_744_000_000;

    /// Snapshots every six hours over 400 days, the newest first.
    fn snapshots() -> Vec<Kept> {
        let kept = |at: u64| {
            let id = SnapshotId::new(Timestamp::from_millis(NOON - at * DAY / 4), 1, 10_000 - at);
            Kept { id, is_good: true }
        };
        (0..1_600).map(kept).collect()
    }

    fn left(retention: Retention, snapshots: &[Kept]) -> Vec<SnapshotId> {
        let gone = retention.superfluous(snapshots, Timestamp::from_millis(NOON));
        snapshots.iter().map(|kept| kept.id).filter(|id| !gone.contains(id)).collect()
    }

    #[test]
    fn the_newest_then_one_a_day_then_one_a_month_stay() {
        let retention = Retention { newest: 6, days: 4, months: 3 };
        let all = snapshots();
        let told: Vec<_> = left(retention, &all).iter().map(|id| id.to_string()[..11].to_owned()).collect();
        let expected = [
            "20261115T12",
            "20261115T06",
            "20261115T00",
            "20261114T18",
            "20261114T12",
            "20261114T06",
            "20261113T18",
            "20261112T18",
            "20261031T18",
            "20260930T18",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_last_good_one_always_stays() {
        let none = Retention { newest: 0, days: 0, months: 0 };
        let mut all = snapshots();
        assert_eq!(left(none, &all), [all[0].id]);
        all[0].is_good = false;
        all[1].is_good = false;
        assert_eq!(left(none, &all), [all[2].id]);
        let two = Retention { newest: 2, ..none };
        assert_eq!(left(two, &all), [all[0].id, all[1].id, all[2].id]);
        all.iter_mut().for_each(|kept| kept.is_good = false);
        assert_eq!(left(none, &all).len(), all.len(), "with no good one nothing is deleted");
        assert_eq!(left(none, &[]), []);
    }

    #[test]
    fn a_bad_one_stands_for_no_day() {
        let retention = Retention { newest: 0, days: 3, months: 0 };
        let mut all = snapshots();
        // Of the day before the last, the latest is bad.
        all[3].is_good = false;
        let told: Vec<_> = left(retention, &all).iter().map(|id| id.to_string()[..11].to_owned()).collect();
        assert_eq!(told, ["20261115T12", "20261114T12", "20261113T18"]);
    }
}
