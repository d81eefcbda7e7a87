//! A manifest as JSON. What is told twice, so that people need not reckon, has to agree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::error::{FormatError, Place, Problem};
use super::super::header::Holds;
use super::super::text::{hex, parse_hex};
use super::{Extent, Manifest, ManifestPart, TruthKind};
use crate::clock::Timestamp;
use crate::persist::Id;

/// The version of manifests that tell nothing of closed periods, which is the first.
const WITHOUT_CLOSED: u32 = 1;

/// The version of those that do.
const VERSION: u32 = 2;

/// The field of the version, which every version has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// The fields in their order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: u32,
    data_set: String,
    snapshot: String,
    epoch: u64,
    seq: u64,
    cut_at_us: u64,
    kind: WireExtent,
    confirmed: bool,
    complete: bool,
    truth: WireTruth,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ephemeral: Vec<u8>,
    entries: u64,
    databases: BTreeMap<u8, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed_periods: Option<u64>,
    key_id: Option<String>,
    quotad_version: String,
    holder: String,
    duration_us: u64,
    parts: Vec<WirePart>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WireExtent {
    Cut,
    Interval { until_seq: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireTruth {
    None,
    Sqlite,
    Postgres,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePart {
    name: String,
    number: u64,
    bytes: u64,
    sha256: String,
    entries: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    databases: Vec<u8>,
    /// Entries, unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holds: Option<WireHolds>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireHolds {
    ClosedPeriods,
}

/// The body of a manifest: JSON without its last brace.
pub(super) fn write(manifest: &Manifest) -> String {
    let part = |(number, part): (u64, &ManifestPart)| WirePart {
        name: part.name.clone(),
        number,
        bytes: part.bytes,
        sha256: hex(&part.sha256),
        entries: part.entries,
        databases: part.databases.iter().collect(),
        holds: match part.holds {
            Holds::Entries => None,
            Holds::ClosedPeriods => Some(WireHolds::ClosedPeriods),
        },
    };
    let wire = Wire {
        format: if manifest.closed_periods.is_some() { VERSION } else { WITHOUT_CLOSED },
        data_set: manifest.data_set.to_string(),
        snapshot: manifest.snapshot().to_string(),
        epoch: manifest.epoch,
        seq: manifest.seq,
        cut_at_us: manifest.cut_at.as_micros(),
        kind: match manifest.extent {
            Extent::Cut => WireExtent::Cut,
            Extent::Interval { until_seq } => WireExtent::Interval { until_seq },
        },
        confirmed: manifest.confirmed,
        complete: manifest.complete,
        truth: match manifest.truth {
            TruthKind::None => WireTruth::None,
            TruthKind::Sqlite => WireTruth::Sqlite,
            TruthKind::Postgres => WireTruth::Postgres,
        },
        ephemeral: manifest.ephemeral.iter().collect(),
        entries: manifest.entries(),
        databases: manifest.databases.clone(),
        closed_periods: manifest.closed_periods,
        key_id: manifest.key_id.map(|id| id.to_string()),
        quotad_version: manifest.quotad_version.clone(),
        holder: manifest.holder.clone(),
        duration_us: manifest.duration_us,
        parts: (0..).zip(&manifest.parts).map(part).collect(),
    };
    let mut text = serde_json::to_string_pretty(&wire).expect("texts and numbers have a form");
    text.truncate(text.trim_end_matches(['}', '\n']).len());
    text
}

/// Reads the body of a manifest.
pub(super) fn read(body: &str) -> Result<Manifest, FormatError> {
    let refused =
        |error| FormatError::refused(Place::Manifest, format_args!("its JSON cannot be read: {error}"));
    let text = format!("{body}\n}}");
    let Version { format } = serde_json::from_str(&text).map_err(refused)?;
    if format > VERSION {
        let problem = Problem::Newer { found: format, newest: VERSION };
        return Err(FormatError::new(Place::Field("format"), problem));
    }
    // That a manifest has the version of what it tells is found where it is written again.
    Place::Field("format").expect("version", &format, &format.max(WITHOUT_CLOSED))?;
    let wire: Wire = serde_json::from_str(&text).map_err(refused)?;
    let data_set = Id::parse(&wire.data_set)
        .ok_or_else(|| FormatError::refused(Place::Field("data_set"), "it is 32 hexadecimal digits"))?;
    let manifest = Manifest {
        data_set,
        epoch: wire.epoch,
        seq: wire.seq,
        cut_at: Timestamp::from_micros(wire.cut_at_us),
        extent: match wire.kind {
            WireExtent::Cut => Extent::Cut,
            WireExtent::Interval { until_seq } => Extent::Interval { until_seq },
        },
        confirmed: wire.confirmed,
        complete: wire.complete,
        truth: match wire.truth {
            WireTruth::None => TruthKind::None,
            WireTruth::Sqlite => TruthKind::Sqlite,
            WireTruth::Postgres => TruthKind::Postgres,
        },
        ephemeral: wire.ephemeral.into_iter().collect(),
        databases: wire.databases,
        closed_periods: wire.closed_periods,
        key_id: wire.key_id.as_deref().map(str::parse).transpose()?,
        quotad_version: wire.quotad_version,
        holder: wire.holder,
        duration_us: wire.duration_us,
        parts: (0..).zip(wire.parts).map(part).collect::<Result<_, _>>()?,
    };
    Place::Field("snapshot").expect("name", &wire.snapshot, &manifest.snapshot().to_string())?;
    Place::Field("entries").expect("sum", &wire.entries, &manifest.entries())?;
    Ok(manifest)
}

fn part((number, wire): (u64, WirePart)) -> Result<ManifestPart, FormatError> {
    let place = Place::Field("parts");
    place.expect("number of a part", &wire.number, &number)?;
    let sha256 = parse_hex(&wire.sha256)
        .ok_or_else(|| FormatError::refused(place, "a digest is 64 hexadecimal digits"))?;
    let databases = wire.databases.into_iter().collect();
    let holds = match wire.holds {
        None => Holds::Entries,
        Some(WireHolds::ClosedPeriods) => Holds::ClosedPeriods,
    };
    Ok(ManifestPart { name: wire.name, bytes: wire.bytes, sha256, entries: wire.entries, databases, holds })
}
