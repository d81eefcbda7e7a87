//! Which snapshots are read, and which are only listed.

use std::collections::BTreeMap;

use super::*;
use crate::engine::value::Content;
use crate::engine::{DatabaseSet, Expiry};
use crate::snapshot::format::{Extent, Holds, PartWriter, SealingKey, TruthKind};
use crate::snapshot::objects::{ObjectsPlace, ObjectsSettings};
use crate::snapshot::retention::{Retention, prune};

/// 2026-11-15T12:00:00Z.
const NOON: Timestamp = Timestamp::from_millis(1_794_744_000_000);

fn keys(bytes: &[u8]) -> SealingKeys {
    SealingKeys::new(bytes.iter().map(|byte| SealingKey::from_bytes([*byte; 32])).collect())
}

fn catalog(place: ObjectsPlace, own: &[u8]) -> Catalog {
    let second = Duration::from_secs(1);
    let settings = ObjectsSettings { place, request_timeout: second, connect_timeout: second };
    Catalog { objects: Objects::open(&settings).unwrap(), keys: keys(own), accepts_unsealed: false }
}

/// Writes a snapshot with one entry, whose part is sealed with one key and its manifest with another.
async fn write(catalog: &Catalog, part_key: &[u8], manifest_key: &[u8]) -> Manifest {
    let snapshot = SnapshotId::new(NOON, 1, 7);
    let data_set = Id([9; 16]);
    let header = PartHeader { data_set, snapshot, number: 0, holds: Holds::Entries };
    let mut writer = PartWriter::new(&header, keys(part_key).sealing()).unwrap();
    writer.entry(0, b"key", &Content::Integer(1), Expiry::NEVER);
    let part = writer.finish().unwrap();
    let name = names::part(snapshot, 0);
    let manifest = Manifest {
        data_set,
        epoch: 1,
        seq: 7,
        cut_at: NOON,
        extent: Extent::Cut,
        confirmed: true,
        complete: true,
        truth: TruthKind::None,
        ephemeral: DatabaseSet::NONE,
        databases: BTreeMap::from([(0, 1)]),
        closed_periods: Some(0),
        parts: vec![ManifestPart {
            name: name.clone(),
            bytes: u64::try_from(part.bytes.len()).unwrap(),
            sha256: part.sha256,
            entries: 1,
            databases: DatabaseSet::NONE,
            holds: Holds::Entries,
        }],
        key_id: keys(manifest_key).sealing().map(SealingKey::id),
        quotad_version: "0.1.0".to_owned(),
        holder: "a test".to_owned(),
        duration_us: 1,
    };
    catalog.objects.put(&name, Bytes::from(part.bytes)).await.unwrap();
    let text = manifest.encode(&keys(manifest_key)).unwrap();
    catalog.objects.put(&names::manifest(snapshot), Bytes::from(text)).await.unwrap();
    manifest
}

/// What a reader makes of it: how many entries, or why there are none.
async fn read(catalog: &Catalog) -> Result<u64, String> {
    let id = SnapshotId::new(NOON, 1, 7);
    let manifest = catalog.manifest(id).await.map_err(|error| error.to_string())?;
    let bytes = catalog.part(&manifest.parts[0]).await.map_err(|error| error.to_string())?;
    catalog.read(&manifest, 0, &bytes, |_| Ok(())).map_err(|error| error.to_string())
}

#[tokio::test]
async fn with_a_key_only_what_it_has_sealed_is_read() {
    let check = async |part_key: &[u8], manifest_key: &[u8], own: &[u8], expected: &str| {
        let mut catalog = catalog(ObjectsPlace::Memory, own);
        write(&catalog, part_key, manifest_key).await;
        let found = read(&catalog).await;
        match &found {
            Ok(entries) => assert_eq!((*entries, expected), (1, "")),
            Err(error) => assert!(!expected.is_empty() && error.contains(expected), "{error}"),
        }
        // Listed is all: what is not read is still kept and told.
        assert!(catalog.list().await.unwrap()[0].manifest.is_ok());
        catalog.accepts_unsealed = true;
        let is_plain = part_key.is_empty() && manifest_key.is_empty();
        assert_eq!(read(&catalog).await.is_ok(), is_plain || found.is_ok());
    };
    check(&[], &[], &[], "").await;
    check(&[1], &[1], &[1], "").await;
    check(&[1], &[1], &[2, 1], "").await;
    check(&[], &[], &[1], "snapshot-accept-unencrypted yes").await;
    // Whoever can write there has keys too, but not ours.
    check(&[], &[3], &[1], "none of the keys given").await;
    check(&[3], &[3], &[1], "none of the keys given").await;
    check(&[], &[3], &[], "none of the keys given").await;
}

#[tokio::test]
async fn pruning_keeps_what_is_not_read_and_cleans_up_what_was_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(ObjectsPlace::Folder(folder.path().to_owned()), &[1]);
    write(&catalog, &[], &[]).await;
    let parts = folder.path().join("parts");
    std::fs::create_dir_all(parts.join("20260101T000000Z-1-1")).unwrap();
    std::fs::write(parts.join("20261115T120000Z-1-7").join("000001.part#1"), "half").unwrap();
    let kept = Retention { newest: 1, days: 0, months: 0 };
    let now = |days: u64| {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap() + days * 86_400_000)
    };
    let pruned = prune(&catalog, &kept, now(0), false).await.unwrap();
    assert_eq!((pruned.snapshots.len(), pruned.leftovers), (0, 0), "it may be written at this moment");
    let pruned = prune(&catalog, &kept, now(2), true).await.unwrap();
    assert_eq!(pruned.leftovers, 2);
    let pruned = prune(&catalog, &kept, now(2), false).await.unwrap();
    assert_eq!((pruned.snapshots.len(), pruned.leftovers), (0, 2));
    assert_eq!(std::fs::read_dir(&parts).unwrap().count(), 1);
    // What is deleted leaves no folder either.
    catalog.discard(SnapshotId::new(NOON, 1, 7)).await.unwrap();
    assert!(!parts.exists());
}
