//! Manifests come back as they were written; whatever else is found out.

use super::*;
use crate::snapshot::format::SealingKey;

fn keys(bytes: &[u8]) -> SealingKeys {
    SealingKeys::new(bytes.iter().map(|byte| SealingKey::from_bytes([*byte; 32])).collect())
}

fn manifest(keys: &SealingKeys) -> Manifest {
    let part = |name: &str, entries: u64| ManifestPart {
        name: name.to_owned(),
        bytes: 1_000 + entries,
        sha256: [0xa5; 32],
        entries,
        databases: DatabaseSet::NONE,
        holds: Holds::Entries,
    };
    Manifest {
        data_set: Id([9; 16]),
        epoch: 3,
        seq: 12_345,
        cut_at: Timestamp::from_micros(1_795_716_912_345_678),
        extent: Extent::Interval { until_seq: 12_347 },
        confirmed: true,
        complete: false,
        truth: TruthKind::Postgres,
        ephemeral: DatabaseSet::NONE,
        databases: BTreeMap::from([(0, 70), (15, 7)]),
        closed_periods: None,
        parts: vec![part("parts/0.part", 70), part("parts/1.part", 7)],
        key_id: keys.sealing().map(SealingKey::id),
        quotad_version: "0.1.0".to_owned(),
        holder: "quotad, process 7 on host \"a\",\n  \"sha256\": \"".to_owned(),
        duration_us: 123_456,
    }
}

/// These bytes lie in object stores for years: a change needs a new version.
#[test]
fn a_manifest_has_its_bytes() {
    let keys = keys(&[1]);
    let text = include_str!("written.json");
    assert_eq!(String::from_utf8(manifest(&keys).encode(&keys).unwrap()).unwrap(), text);
    assert_eq!(Manifest::decode(text.as_bytes(), &keys), Ok(manifest(&keys)));
    let text = include_str!("written_with_closed.json");
    assert_eq!(String::from_utf8(with_closed(&keys).encode(&keys).unwrap()).unwrap(), text);
    assert_eq!(Manifest::decode(text.as_bytes(), &keys), Ok(with_closed(&keys)));
}

/// One that tells of closed periods.
fn with_closed(keys: &SealingKeys) -> Manifest {
    let mut manifest = manifest(keys);
    manifest.closed_periods = Some(5);
    manifest.parts[1].holds = Holds::ClosedPeriods;
    manifest.parts[1].entries = 5;
    manifest.databases = BTreeMap::from([(0, 70)]);
    manifest
}

#[test]
fn every_flipped_bit_and_every_truncation_is_found() {
    for keys in [keys(&[]), keys(&[1])] {
        let bytes = manifest(&keys).encode(&keys).unwrap();
        assert_eq!(Manifest::decode(&bytes, &keys), Ok(manifest(&keys)));
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let error = Manifest::decode(&flipped, &keys).unwrap_err();
            assert_eq!(error.place, Place::Manifest, "bit {at}: {error}");
            // Who has no key finds it too.
            assert!(Manifest::decode(&flipped, &SealingKeys::default()).is_err(), "bit {at}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Manifest::decode(&bytes[..length], &keys).unwrap_err().place, Place::Manifest);
        }
        assert!(Manifest::decode(&[&bytes[..], b"\n"].concat(), &keys).is_err());
    }
}

#[test]
fn other_bytes_are_no_manifest() {
    let check = |bytes: &[u8], expected: &str| {
        assert_eq!(Manifest::decode(bytes, &keys(&[])).unwrap_err().to_string(), expected);
    };
    check(b"", "manifest: there are no bytes");
    check(b"quotadSP", "manifest: this was not written by a quotad: it begins otherwise");
    check(&[0xff, b'{'], "manifest: this was not written by a quotad: it begins otherwise");
    check(b"{}", "manifest: the bytes end before its end");
    let newer = "field format of the manifest: written by a newer quotad in version 3 of the format; \
        this one reads versions up to 2";
    check(&seal_text("{\n  \"format\": 3,\n  \"more\": []"), newer);
    check(&seal_text("{\n  \"format\": 0"), "field format of the manifest: its version is 0; expected was 1");
    check(
        &seal_text("{\n  \"format\": 1"),
        "manifest: its JSON cannot be read: missing field `data_set` at line 3 column 1",
    );
    let large = vec![b' '; MAX_MANIFEST_BYTES + 1];
    check(&large, "manifest: its size is 33554433; at most 33554432 is allowed");
}

/// One who can reckon digests, but has no key.
#[test]
fn nobody_without_the_key_makes_a_manifest() {
    let own = keys(&[1]);
    let forged = Manifest { key_id: own.sealing().map(SealingKey::id), ..manifest(&keys(&[2])) };
    let bytes = sealed::seal(&wire::write(&forged), keys(&[2]).sealing());
    let error = Manifest::decode(&bytes, &own).unwrap_err();
    assert_eq!(error, FormatError::new(Place::Manifest, Problem::Seal));
    // Who has no key can list it; who rotates keys reads it.
    let bytes = manifest(&own).encode(&own).unwrap();
    for others in [keys(&[]), keys(&[2]), keys(&[2, 1])] {
        assert_eq!(Manifest::decode(&bytes, &others), Ok(manifest(&own)));
    }
    let error = manifest(&own).encode(&keys(&[2])).unwrap_err();
    assert!(matches!(error.problem, Problem::NoKey(_)), "{error}");
    // A seal without an id, and an id without a seal.
    let plain = manifest(&keys(&[]));
    for bytes in
        [sealed::seal(&wire::write(&plain), own.sealing()), sealed::seal(&wire::write(&manifest(&own)), None)]
    {
        let error = Manifest::decode(&bytes, &own).unwrap_err();
        assert_eq!(error.place, Place::Field("key_id"));
    }
}

#[test]
fn fields_agree() {
    let check = |change: &dyn Fn(&mut Manifest), expected: &str| {
        let mut changed = manifest(&keys(&[]));
        change(&mut changed);
        let error = changed.encode(&keys(&[])).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        let sealed = seal_text(&wire::write(&changed));
        assert_eq!(Manifest::decode(&sealed, &keys(&[])), Err(error));
    };
    check(&|it| it.extent = Extent::Interval { until_seq: 1 }, "field kind of the manifest: the later");
    check(&|it| it.parts[1].entries = 8, "field parts of the manifest: they have not as many");
    check(&|it| it.parts[1].entries = u64::MAX, "field parts of the manifest: they have not as many");
    check(&|it| it.closed_periods = Some(1), "field parts of the manifest: they have not as many closed");
    check(
        &|it| it.parts[1].holds = Holds::ClosedPeriods,
        "field parts of the manifest: they have not as many",
    );
    let unsaid = |it: &mut Manifest| {
        *it = Manifest { closed_periods: None, ..with_closed(&keys(&[])) };
    };
    check(&unsaid, "field parts of the manifest: they have not as many closed");
    check(&|it| it.databases.extend([(16, 1)]), "field databases of the manifest: database 16");
    check(&|it| it.databases.extend([(1, 0)]), "field databases of the manifest: database 1");
    check(&|it| it.holder = "x".repeat(513), "field holder of the manifest: its length is 513; at most 512");
    for name in ["", "/a", "a//b", "../a", "a/.b", "a/", "a b", "ä", &"x".repeat(129)] {
        check(&|it| it.parts[0].name = name.to_owned(), "field parts of the manifest: a part's name");
    }
    check(
        &|it| it.parts = vec![it.parts[0].clone(); MAX_PARTS + 1],
        "field parts of the manifest: its number is 65537; at most 65536 is allowed",
    );
}

#[test]
fn databases_that_no_truth_has_are_told_with_their_parts() {
    let keys = keys(&[]);
    let mut told = manifest(&keys);
    told.ephemeral = DatabaseSet::from_iter([15]);
    assert!(told.encode(&keys).is_err(), "nobody could tell which parts to read");
    told.parts[0].databases = DatabaseSet::from_iter([0]);
    told.parts[1].databases = DatabaseSet::from_iter([0, 15]);
    let bytes = told.encode(&keys).unwrap();
    assert_eq!(Manifest::decode(&bytes, &keys), Ok(told.clone()));
    told.ephemeral = DatabaseSet::NONE;
    assert!(told.encode(&keys).is_err());
}

#[test]
fn what_is_told_twice_agrees() {
    let body = wire::write(&manifest(&keys(&[])));
    let check = |from: &str, to: &str, expected: &str| {
        assert!(body.contains(from), "{body}");
        let error = Manifest::decode(&seal_text(&body.replacen(from, to, 1)), &keys(&[])).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check("\"entries\": 77", "\"entries\": 78", "field entries of the manifest: its sum is 78");
    check("\"epoch\": 3", "\"epoch\": 4", "field snapshot of the manifest: its name is 20261126");
    check("\"number\": 1", "\"number\": 2", "field parts of the manifest: its number of a part is 2");
    check("a5a5", "A5a5", "manifest: it is not in the form");
    // The version that tells of closed periods, which it does not; and the other way round.
    check("\"format\": 1", "\"format\": 2", "manifest: it is not in the form");
    check("\"key_id\"", "\"closed_periods\": 0,\n  \"key_id\"", "manifest: it is not in the form");
    check("\"key_id\"", "\"closed_periods\": null,\n  \"key_id\"", "manifest: it is not in the form");
    check("\"epoch\": 3", "\"epoch\":  3", "manifest: it is not in the form");
    check(
        "\"epoch\": 3",
        "\"epoch\": 3,\n  \"other\": 3",
        "manifest: its JSON cannot be read: unknown field",
    );
}

#[test]
fn a_part_is_checked_by_its_digest() {
    let digest = ring::digest::digest(&ring::digest::SHA256, b"part");
    let sha256 = digest.as_ref().try_into().unwrap();
    let part = ManifestPart {
        name: "a".to_owned(),
        bytes: 4,
        sha256,
        entries: 0,
        databases: DatabaseSet::NONE,
        holds: Holds::Entries,
    };
    assert_eq!(part.check(b"part"), Ok(()));
    assert!(part.check(b"Part").unwrap_err().to_string().contains("digest of a part"));
    assert!(part.check(b"parts").unwrap_err().to_string().contains("size of a part is 5"));
}

/// The most parts fit into the most bytes.
#[test]
fn the_largest_manifest_is_written() {
    let mut large = manifest(&keys(&[]));
    large.parts =
        vec![ManifestPart { name: "x".repeat(64), bytes: u64::MAX, ..large.parts[0].clone() }; MAX_PARTS];
    large.databases = BTreeMap::from([(0, 70 * u64::try_from(MAX_PARTS).unwrap())]);
    let bytes = large.encode(&keys(&[])).unwrap();
    assert_eq!(Manifest::decode(&bytes, &keys(&[])), Ok(large));
}
