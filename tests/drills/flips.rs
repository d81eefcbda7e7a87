//! One flipped bit in each region of a snapshot, as the tools and a start see it. Every bit is flipped in `src/snapshot/format/tests.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use quotad::snapshot::format::{Manifest, SealingKeys};
use ring::digest::{SHA256, digest};

use crate::client::Client;
use crate::program::Running;
use crate::site::{Site, files, kill, logged, stop};
use crate::state::{fill, peek};

/// Where the fields of a part's header end, with their names.
const HEADER: [(&str, usize); 12] = [
    ("magic", 8),
    ("version", 12),
    ("length", 16),
    ("flags", 20),
    ("key", 28),
    ("salt", 60),
    ("data set", 76),
    ("second", 84),
    ("epoch", 92),
    ("number of the cut", 100),
    ("number of the part", 104),
    ("checksum of the header", 108),
];

/// Where the fields of the first block's frame end.
const FRAME: [(&str, usize); 7] = [
    ("marker of the block", 112),
    ("number of the block", 116),
    ("bytes of the columns", 120),
    ("bytes of the payload", 124),
    ("entries of the block", 128),
    ("checksum of the payload", 132),
    ("checksum of the frame", 136),
];

/// How many bytes before the end the fields of the trailer begin.
const TRAILER: [(&str, usize); 4] =
    [("marker of the trailer", 20), ("blocks", 16), ("entries", 12), ("checksum of the trailer", 4)];

/// Fields of a manifest whose values have more than one byte.
const MANIFEST: [&str; 14] = [
    "data_set",
    "snapshot",
    "cut_at_us",
    "kind",
    "confirmed",
    "complete",
    "truth",
    "databases",
    "key_id",
    "quotad_version",
    "holder",
    "duration_us",
    "parts",
    "sha256",
];

/// A snapshot of a killed server, on disk.
struct Snapshot {
    site: Site,
    id: String,
    part: PathBuf,
    manifest: PathBuf,
}

impl Snapshot {
    fn new(folder: &Path, truth: &str) -> Self {
        let site = Site::new(folder, &["--truth", truth]);
        let server = site.start();
        let mut client = Client::of(&server);
        fill(&mut client);
        client.check("SAVE", "OK");
        kill(server);
        let one = |end: &str| {
            let mut found = files(&folder.join("snapshots"), end);
            found.retain(|path| !path.to_string_lossy().contains("writers"));
            assert_eq!(found.len(), 1, "{found:?}");
            found.remove(0)
        };
        let id = site.ids().remove(0);
        Self { id, part: one(".part"), manifest: one(".json"), site }
    }

    /// Checks that the tools refuse it and name the object.
    #[track_caller]
    fn check_refused(&self, region: &str, object: &Path, reason: &str) {
        let name = object.file_name().expect("it is a file").to_string_lossy();
        let (code, told) = self.site.snapshot(&["verify", &self.id]);
        assert_eq!(code, Some(1), "{region}: {told}");
        // One of a later version is good for a newer quotad.
        let what = if region == "newer" { "not checked" } else { "damaged" };
        assert!(told.starts_with(&format!("{}: {what}: ", self.id)), "{region}: {told}");
        assert!(told.contains(&*name) && told.contains(reason), "{region}: {told}");
    }
}

/// The regions of a part with one byte in each.
fn regions(part: &[u8]) -> Vec<(&'static str, usize)> {
    let payload = [("payload, first byte", 136), ("payload, last byte", part.len() - 21)];
    let fields = HEADER.iter().chain(&FRAME).map(|&(name, end)| (name, end - 1));
    let trailer = TRAILER.iter().map(|&(name, begin)| (name, part.len() - begin));
    fields.chain(payload).chain(trailer).collect()
}

/// The value of each field of a manifest, one byte of it.
fn fields(manifest: &[u8]) -> Vec<(&'static str, usize)> {
    let at = |name: &'static str| {
        let field = format!("\"{name}\": ");
        let found = manifest.windows(field.len()).rposition(|window| window == field.as_bytes());
        // Where it is a text, the byte behind its quote.
        (name, found.expect("a manifest has the field") + field.len() + 1)
    };
    MANIFEST.map(at).to_vec()
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

#[test]
fn a_bit_that_flips_in_any_region_is_found_by_verify() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = Snapshot::new(folder.path(), "sqlite");
    for path in [&snapshot.part, &snapshot.manifest] {
        let bytes = fs::read(path).unwrap();
        let regions = if *path == snapshot.part { regions(&bytes) } else { fields(&bytes) };
        for (region, at) in regions {
            fs::write(path, flipped(&bytes, at)).unwrap();
            snapshot.check_refused(region, path, "");
        }
        fs::write(path, bytes).unwrap();
        let (code, told) = snapshot.site.snapshot(&["verify", &snapshot.id]);
        assert_eq!(code, Some(0), "{told}");
    }
}

/// A manifest of this body, whose digest is right.
fn sealed(body: &str) -> Vec<u8> {
    let digits: String =
        digest(&SHA256, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{body},\n  \"sha256\": \"{digits}\"\n}}\n").into_bytes()
}

#[test]
fn objects_that_are_cut_foreign_or_of_a_later_version_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = Snapshot::new(folder.path(), "sqlite");
    let (part, manifest) = (fs::read(&snapshot.part).unwrap(), fs::read(&snapshot.manifest).unwrap());
    let newer = sealed("{\n  \"format\": 3,\n  \"more\": []");
    for (region, bytes, reason) in [
        ("cut", &manifest[..manifest.len() / 2], "the bytes end before its end"),
        ("empty", b"", "there are no bytes"),
        ("foreign", b"<?xml version=\"1.0\"?>", "this was not written by a quotad"),
        (
            "newer",
            &newer,
            "written by a newer quotad in version 3 of the format; this one reads versions up to 2",
        ),
    ] {
        fs::write(&snapshot.manifest, bytes).unwrap();
        snapshot.check_refused(region, &snapshot.manifest, reason);
        let (code, told) = snapshot.site.snapshot(&["list"]);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains(&format!("{} ", snapshot.id)) && told.contains("unreadable: "), "{told}");
    }
    fs::write(&snapshot.manifest, &manifest).unwrap();
    for (region, bytes) in [
        ("cut", &part[..part.len() - 1]),
        ("empty", b""),
        ("foreign", b"PK"),
        ("long", &[&part[..], b"more"].concat()),
    ] {
        fs::write(&snapshot.part, bytes).unwrap();
        snapshot.check_refused(region, &snapshot.part, "");
    }
    // A part that its manifest calls right.
    let mut newer = part.clone();
    newer[11] = 2;
    let sum = crc32c::crc32c(&newer[..104]);
    newer[104..108].copy_from_slice(&sum.to_be_bytes());
    for (region, bytes, reason) in [
        (
            "newer",
            &newer[..],
            "written by a newer quotad in version 2 of the format; this one reads versions up to 1",
        ),
        ("foreign", b"PK", "header of the part: this was not written by a quotad"),
        ("empty", b"", "header of the part: there are no bytes"),
        ("cut", &part[..part.len() - 1], "trailer of the part: the bytes end before its end"),
    ] {
        let keys = SealingKeys::new(Vec::new());
        let mut told = Manifest::decode(&manifest, &keys).unwrap();
        told.parts[0].bytes = bytes.len() as u64;
        told.parts[0].sha256 = digest(&SHA256, bytes).as_ref().try_into().unwrap();
        fs::write(&snapshot.manifest, told.encode(&keys).unwrap()).unwrap();
        fs::write(&snapshot.part, bytes).unwrap();
        snapshot.check_refused(region, &snapshot.part, reason);
    }
    fs::remove_file(&snapshot.part).unwrap();
    snapshot.check_refused("missing", &snapshot.part, "there is none");
}

/// Regions of which one each is damaged before a start.
const AT_A_START: [&str; 5] =
    ["version", "checksum of the payload", "payload, first byte", "blocks", "checksum of the trailer"];

#[test]
fn a_start_in_front_of_a_truth_says_what_is_damaged_and_reads_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = Snapshot::new(folder.path(), "sqlite");
    check_starts(&snapshot, |server, object| {
        let line = logged(server, object);
        assert!(line.contains("ERROR") && line.contains("the truth is read as a whole"), "{line}");
    });
    let bytes = fs::read(&snapshot.manifest).unwrap();
    fs::write(&snapshot.manifest, flipped(&bytes, bytes.len() / 2)).unwrap();
    let server = snapshot.site.start();
    let line = logged(&server, "a snapshot is passed over");
    assert!(line.contains("ERROR") && line.contains("manifests/"), "{line}");
    peek(&mut Client::of(&server), 98);
    stop(server);
}

#[test]
fn a_start_without_a_truth_says_what_is_damaged_and_takes_the_snapshot_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut snapshot = Snapshot::new(folder.path(), "none");
    let before = snapshot.part.clone();
    let server = snapshot.site.start();
    let mut client = Client::of(&server);
    client.check("SET text:2 later", "OK");
    client.check("SAVE", "OK");
    kill(server);
    snapshot.id = snapshot.site.ids().remove(0);
    let newest = |end: &str| {
        let mut found = files(&folder.path().join("snapshots"), end);
        found.retain(|path| path.to_string_lossy().contains(&snapshot.id));
        found.remove(0)
    };
    (snapshot.part, snapshot.manifest) = (newest(".part"), newest(".json"));
    assert_ne!(snapshot.part, before);
    let is_told = |server: &Running, object: &str| {
        let line = logged(server, "a snapshot cannot be loaded, the one before is tried");
        assert!(line.contains("ERROR") && line.contains(object), "{line}");
    };
    check_starts(&snapshot, is_told);
    let bytes = fs::read(&snapshot.manifest).unwrap();
    fs::write(&snapshot.manifest, flipped(&bytes, bytes.len() / 2)).unwrap();
    let server = snapshot.site.start();
    is_told(&server, "manifests/");
    peek(&mut Client::of(&server), 98);
    kill(server);
}

/// Starts with one bit flipped in the part, each of which serves what was there all the same.
fn check_starts(snapshot: &Snapshot, is_told: impl Fn(&Running, &str)) {
    let bytes = fs::read(&snapshot.part).expect("it is there");
    let of_start = |(name, _): &(&str, usize)| AT_A_START.contains(name);
    for (_, at) in regions(&bytes).into_iter().filter(of_start) {
        fs::write(&snapshot.part, flipped(&bytes, at)).expect("it can be written");
        let server = snapshot.site.start();
        is_told(&server, "000000.part");
        peek(&mut Client::of(&server), 98);
        kill(server);
    }
    fs::write(&snapshot.part, bytes).expect("it can be written");
}
