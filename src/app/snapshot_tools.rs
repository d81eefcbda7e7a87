//! `quotad snapshot`: what people do with snapshots while no server, or another one, runs.

use std::fmt::Write as _;
use std::sync::Arc;

use super::progress_bar::ProgressBar;
use super::snapshot_list::{Sizes, bytes_of, list, state, truth_of};
use super::snapshot_restore::{From, fill};
use super::snapshots::{catalog, retention};
use super::tools::Found;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::command::glob;
use crate::config::{Config, SnapshotAction};
use crate::persist::{StoredValue, readable_value};
use crate::snapshot::format::{Entry, Holds, Manifest, Problem, SnapshotId};
use crate::snapshot::objects::ObjectsError;
use crate::snapshot::{Catalog, Progress, SnapshotError, Verified, prune, verify};

/// Letters of what was given as an id that are shown at most: it may be anything.
const MOST_SHOWN: usize = 80;

/// Does what the command line says.
///
/// # Errors
/// Why that cannot be.
pub fn run(config: &Config, action: &SnapshotAction) -> Result<Found, String> {
    refuse_missing_folder(config)?;
    let catalog = catalog(config).map_err(|error| error.to_string())?;
    let catalog = catalog.ok_or("there are no snapshots (--snapshots none)")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime could be made: {error}"))?;
    runtime.block_on(async {
        match action {
            SnapshotAction::List { json } => list(&catalog, *json).await,
            SnapshotAction::Verify { id, all } => check(&catalog, id.as_deref(), *all).await,
            SnapshotAction::Inspect { id, pattern, most } => {
                inspect(&catalog, id, pattern.as_deref(), *most).await
            }
            SnapshotAction::Restore { id, into, replace, any } => {
                let from = From { id: id.as_deref(), any: *any };
                fill(config, &catalog, from, into.as_deref(), *replace).await
            }
            SnapshotAction::Prune { dry_run } => delete(config, &catalog, *dry_run).await,
        }
    })
}

/// Opening a folder makes it, and one that is misspelled would be an empty one that is well.
fn refuse_missing_folder(config: &Config) -> Result<(), String> {
    let Some(folder) = config.snapshots.folder(&config.data_dir) else { return Ok(()) };
    if !matches!(folder.try_exists(), Ok(false)) {
        return Ok(());
    }
    Err(format!(
        "there are no snapshots: the folder {} is not there; --data-dir or --snapshots name another place",
        folder.display()
    ))
}

pub(super) const fn good(text: String) -> Found {
    Found { text, is_good: true }
}

async fn check(catalog: &Catalog, id: Option<&str>, all: bool) -> Result<Found, String> {
    let ids = match id {
        // One that is not there is not damaged.
        Some(id) => match named(catalog, id).await? {
            Ok(manifest) => vec![manifest.snapshot()],
            Err(_) => vec![parse(id)?],
        },
        None => {
            let ids = catalog.ids().await.map_err(|error| error.to_string())?;
            if ids.is_empty() {
                return Err(format!("no snapshots in {}", catalog.objects.describe()));
            }
            ids.into_iter().take(if all { usize::MAX } else { 1 }).collect()
        }
    };
    let mut found = good(String::new());
    for id in ids {
        let checked = async {
            let manifest = Arc::new(catalog.manifest(id).await?);
            let bar = ProgressBar::new(&format!("reading {id}"), content_of(&manifest));
            let verified = verify(catalog, &manifest, &progress(&bar)).await;
            bar.end();
            verified.map(|verified| (verified, bytes_of(&manifest)))
        };
        match checked.await {
            Ok((Verified { entries, closed_periods }, bytes)) => writeln!(
                found.text,
                "{id}: {entries} entries and {closed_periods} closed periods in {bytes} bytes, all right"
            ),
            Err(error) => {
                found.is_good = false;
                let verdict = verdict_on(&error);
                writeln!(found.text, "{id}: {verdict}: {error}")
            }
        }
        .expect("a string takes all that is written");
    }
    Ok(found)
}

/// What is to be said of a snapshot that cannot be read.
fn verdict_on(error: &SnapshotError) -> &'static str {
    match error {
        SnapshotError::Format { error, .. } if matches!(error.problem, Problem::Unsealed) => "refused",
        error if error.is_damage() => "damaged",
        // Of what could not be read nothing is known.
        _ => "not checked",
    }
}

/// Entries and closed periods.
pub(super) fn content_of(manifest: &Manifest) -> u64 {
    manifest.entries().saturating_add(manifest.closed_periods.unwrap_or(0))
}

pub(super) fn progress(bar: &ProgressBar) -> Progress {
    let bar = bar.clone();
    Arc::new(move |_stage, entries| bar.add(entries))
}

fn parse(id: &str) -> Result<SnapshotId, String> {
    id.parse().map_err(|_| {
        let shown: String = id.chars().take(MOST_SHOWN).flat_map(char::escape_default).collect();
        format!(
            "\"{shown}\" is no snapshot's id, such as 20261126T181512Z-3-12345: quotad snapshot list tells those there are"
        )
    })
}

/// The manifest of the snapshot that was named, or why it cannot be read.
///
/// # Errors
/// When there is no such snapshot.
async fn named(catalog: &Catalog, id: &str) -> Result<Result<Manifest, SnapshotError>, String> {
    match catalog.manifest(parse(id)?).await {
        Err(SnapshotError::Objects(ObjectsError::NotFound(_))) => Err(format!(
            "there is no snapshot {id} in {}: quotad snapshot list tells those there are",
            catalog.objects.describe()
        )),
        read => Ok(read),
    }
}

/// As [`named`], to be used.
pub(super) async fn manifest_of(catalog: &Catalog, id: &str) -> Result<Manifest, String> {
    named(catalog, id).await?.map_err(|error| error.to_string())
}

async fn inspect(catalog: &Catalog, id: &str, pattern: Option<&str>, most: u64) -> Result<Found, String> {
    let manifest = manifest_of(catalog, id).await?;
    let sizes = Sizes::of(catalog, [&manifest]).await?;
    let mut text = format!(
        "id          {}\ndata set    {}\ncut         epoch {}, batch {}, {}\nstate       {}\ntruth       {}\nentries     {}\nclosed      {}\nbytes       {}\n\
         encrypted   {}\nwritten by  quotad {}, {}\n",
        manifest.snapshot(),
        manifest.data_set,
        manifest.epoch,
        manifest.seq,
        time(manifest.cut_at),
        state(catalog, &manifest, &sizes),
        truth_of(&manifest),
        manifest.entries(),
        manifest
            .closed_periods
            .map_or_else(|| "untold".to_owned(), |closed| format!("{closed} periods of budgets")),
        bytes_of(&manifest),
        manifest.key_id.map_or_else(|| "no".to_owned(), |key| format!("with key {key}")),
        manifest.quotad_version,
        manifest.holder,
    );
    for (database, entries) in &manifest.databases {
        let class = if manifest.ephemeral.contains(*database) { ", ephemeral" } else { "" };
        writeln!(text, "database {database:<2} {entries} entries{class}")
            .expect("a string takes all that is written");
    }
    for part in &manifest.parts {
        let (name, holds) = (&part.name, part.holds);
        writeln!(text, "part        {name} {} {holds}, {} bytes", part.entries, part.bytes)
            .expect("a string takes all that is written");
    }
    let Some(pattern) = pattern else { return Ok(good(text)) };
    let mut left = most;
    for (number, part) in manifest.parts.iter().enumerate() {
        if left == 0 {
            break;
        }
        if part.holds != Holds::Entries {
            continue;
        }
        let bytes = catalog.part(part).await.map_err(|error| error.to_string())?;
        let show = |Entry { database, key, content, expiry }: Entry<'_>| {
            if left > 0 && glob::matches(pattern.as_bytes(), key) {
                left -= 1;
                let value = readable_value(&StoredValue { content, expiry }, manifest.cut_at);
                writeln!(text, "{database} {} {value}", key.escape_ascii())
                    .expect("a string takes all that is written");
            }
            Ok(())
        };
        catalog.read(&manifest, number, &bytes, show).map_err(|error| error.to_string())?;
    }
    if left == 0 {
        writeln!(text, "(there may be more: --most tells how many are shown)")
            .expect("a string takes all that is written");
    }
    Ok(good(text))
}

pub(super) fn time(time: Timestamp) -> String {
    i64::try_from(time.as_micros())
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .map_or_else(|| time.as_micros().to_string(), |time| time.to_string())
}

async fn delete(config: &Config, catalog: &Catalog, dry_run: bool) -> Result<Found, String> {
    let now = SystemClock::new().now();
    let pruned = prune(catalog, &retention(config), now, dry_run).await.map_err(|error| error.to_string())?;
    let done = if dry_run { "would delete" } else { "deleted" };
    let mut text = String::new();
    for id in &pruned.snapshots {
        writeln!(text, "{done} {id}").expect("a string takes all that is written");
    }
    let leftovers = match pruned.leftovers {
        0 => String::new(),
        found => format!(", and {found} files and folders that were left over"),
    };
    let (snapshots, orphans) = (pruned.snapshots.len(), pruned.orphans);
    writeln!(text, "{done} {snapshots} snapshots and {orphans} parts without one{leftovers}")
        .expect("a string takes all that is written");
    Ok(good(text))
}
