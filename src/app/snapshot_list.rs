//! `quotad snapshot list`: which snapshots there are, and what can be said of each without reading its parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::json;

use super::snapshot_tools::good;
use super::tools::Found;
use crate::snapshot::format::{Extent, Manifest};
use crate::snapshot::{Catalog, Listed};

/// Of one that has no manifest to tell more.
const UNREADABLE: &str = "unreadable";

/// The objects in the folders of parts, with their bytes.
pub struct Sizes(BTreeMap<String, u64>);

impl Sizes {
    /// Those in the folders that the manifests name.
    ///
    /// # Errors
    /// When the store refuses a list.
    pub async fn of<'a>(
        catalog: &Catalog,
        manifests: impl IntoIterator<Item = &'a Manifest>,
    ) -> Result<Self, String> {
        let parts = manifests.into_iter().flat_map(|manifest| &manifest.parts);
        let folders: BTreeSet<_> = parts.filter_map(|part| part.name.split('/').next()).collect();
        let mut sizes = BTreeMap::new();
        for folder in folders {
            let listed = catalog.objects.list(folder).await.map_err(|error| error.to_string())?;
            sizes.extend(listed.into_iter().map(|object| (object.name, object.bytes)));
        }
        Ok(Self(sizes))
    }

    /// Whether a part is not as the manifest tells.
    fn lacks(&self, manifest: &Manifest) -> bool {
        manifest.parts.iter().any(|part| self.0.get(&part.name) != Some(&part.bytes))
    }

    /// What parts lack, in words; `None`: each is there in its length.
    fn lack(&self, manifest: &Manifest) -> Option<String> {
        if !self.lacks(manifest) {
            return None;
        }
        let found = |name: &str| self.0.get(name).copied();
        let parts = &manifest.parts;
        let missing = parts.iter().filter(|part| found(&part.name).is_none()).count();
        let right = parts.iter().filter(|part| found(&part.name) == Some(part.bytes)).count();
        let other = parts.len() - missing - right;
        let mut words = Vec::new();
        if missing > 0 {
            words.push(format!("{missing} of {} parts missing", parts.len()));
        }
        if other > 0 {
            words.push(format!("{other} of {} parts of another length", parts.len()));
        }
        Some(format!("damaged: {}", words.join(", ")))
    }
}

/// Prints a table, or a JSON document.
///
/// # Errors
/// When the store refuses a list.
pub async fn list(catalog: &Catalog, as_json: bool) -> Result<Found, String> {
    let mut listed = catalog.list().await.map_err(|error| error.to_string())?;
    let sizes = Sizes::of(catalog, listed.iter().filter_map(|listed| listed.manifest.as_ref().ok())).await?;
    let lacks = |listed: &Listed| listed.manifest.as_ref().is_ok_and(|manifest| sizes.lacks(manifest));
    if listed.iter().any(lacks) {
        // One that was deleted meanwhile lacks its parts and is not damaged: manifests are deleted first.
        let ids = catalog.ids().await.map_err(|error| error.to_string())?;
        listed.retain(|listed| !lacks(listed) || ids.contains(&listed.id));
    }
    if as_json {
        let rows: Vec<_> = listed.iter().map(|listed| json_row(catalog, listed, &sizes)).collect();
        let text = serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?;
        return Ok(good(text + "\n"));
    }
    if listed.is_empty() {
        return Ok(good(format!("no snapshots in {}\n", catalog.objects.describe())));
    }
    let mut text = format!(
        "{:<34} {:>12} {:>8} {:>14} {:>6} {:>9} {:<9} {:<9} {}\n",
        "ID", "ENTRIES", "CLOSED", "BYTES", "PARTS", "SECONDS", "TRUTH", "ENCRYPTED", "STATE"
    );
    for Listed { id, manifest } in &listed {
        match manifest {
            Ok(manifest) => {
                let seconds = format!(
                    "{}.{:03}",
                    manifest.duration_us / 1_000_000,
                    manifest.duration_us / 1_000 % 1_000
                );
                writeln!(
                    text,
                    "{:<34} {:>12} {:>8} {:>14} {:>6} {seconds:>9} {:<9} {:<9} {}",
                    id.to_string(),
                    manifest.entries(),
                    manifest.closed_periods.map_or_else(|| "-".to_owned(), |closed| closed.to_string()),
                    bytes_of(manifest),
                    manifest.parts.len(),
                    truth_of(manifest),
                    if manifest.key_id.is_some() { "yes" } else { "no" },
                    state(catalog, manifest, &sizes)
                )
            }
            Err(error) => writeln!(text, "{:<34} {UNREADABLE}: {error}", id.to_string()),
        }
        .expect("a string takes all that is written");
    }
    Ok(good(text))
}

/// The bytes of all parts.
pub fn bytes_of(manifest: &Manifest) -> u64 {
    manifest.parts.iter().map(|part| part.bytes).sum()
}

/// What the truth was, as settings name it.
pub fn truth_of(manifest: &Manifest) -> String {
    format!("{:?}", manifest.truth).to_lowercase()
}

/// In words what a snapshot lacks by its manifest.
pub fn told_state(manifest: &Manifest) -> String {
    let mut words = Vec::new();
    if !manifest.confirmed {
        words.push("not confirmed by the truth");
    }
    if !manifest.complete {
        // Whether closed periods, and keys that had left memory, are in one that is not confirmed is not known.
        words.push(if manifest.confirmed {
            "without what was only in the truth"
        } else {
            "perhaps not complete"
        });
    }
    if manifest.extent != Extent::Cut {
        words.push("not of one moment");
    }
    if words.is_empty() { "good".to_owned() } else { words.join(", ") }
}

/// As [`told_state`], and whether it can be read at all: by its keys, and by its parts' lengths.
pub fn state(catalog: &Catalog, manifest: &Manifest, sizes: &Sizes) -> String {
    if let Some(lack) = sizes.lack(manifest) {
        return lack;
    }
    match manifest.key_id {
        Some(id) if catalog.keys.find(id).is_none() => "encrypted, no key".to_owned(),
        None if !catalog.takes_unsealed() => "not encrypted, so not read".to_owned(),
        _ => told_state(manifest),
    }
}

fn json_row(catalog: &Catalog, Listed { id, manifest }: &Listed, sizes: &Sizes) -> serde_json::Value {
    match manifest {
        Ok(manifest) => json!({
            "id": id.to_string(),
            "state": state(catalog, manifest, sizes),
            "data_set": manifest.data_set.to_string(),
            "epoch": manifest.epoch,
            "seq": manifest.seq,
            "cut_at_us": manifest.cut_at.as_micros(),
            "entries": manifest.entries(),
            "closed_periods": manifest.closed_periods,
            "bytes": bytes_of(manifest),
            "parts": manifest.parts.len(),
            "duration_us": manifest.duration_us,
            "confirmed": manifest.confirmed,
            "complete": manifest.complete,
            "exact": manifest.extent == Extent::Cut,
            "encrypted": manifest.key_id.is_some(),
            "key_id": manifest.key_id.map(|id| id.to_string()),
            "ephemeral_databases": manifest.ephemeral.iter().collect::<Vec<_>>(),
        }),
        Err(error) => json!({ "id": id.to_string(), "state": UNREADABLE, "error": error.to_string() }),
    }
}
