//! `quotad snapshot`: what people do with snapshots while no server, or another one, runs.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;

use super::progress_bar::ProgressBar;
use super::snapshots::{catalog, retention};
use super::tools::Found;
use super::truth::{address, holder};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::command::glob;
use crate::config::{Config, SnapshotAction, TruthSetting};
use crate::persist::directory::random_id;
use crate::persist::{StoredValue, readable_value};
use crate::snapshot::format::{Entry, Extent, Holds, Manifest, Problem, SnapshotId};
use crate::snapshot::{
    Catalog, Listed, Progress, RestoreOrder, SnapshotError, Verified, prune, restore, verify,
};

/// Does what the command line says.
///
/// # Errors
/// Why that cannot be.
pub fn run(config: &Config, action: &SnapshotAction) -> Result<Found, String> {
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
                fill(config, &catalog, from, into, *replace).await
            }
            SnapshotAction::Prune { dry_run } => delete(config, &catalog, *dry_run).await,
        }
    })
}

const fn good(text: String) -> Found {
    Found { text, is_good: true }
}

async fn list(catalog: &Catalog, as_json: bool) -> Result<Found, String> {
    let listed = catalog.list().await.map_err(|error| error.to_string())?;
    if as_json {
        let rows: Vec<_> = listed.iter().map(json_row).collect();
        let text = serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?;
        return Ok(good(text + "\n"));
    }
    if listed.is_empty() {
        return Ok(good(format!("no snapshots in {}\n", catalog.objects.describe())));
    }
    let mut text = format!(
        "{:<34} {:>12} {:>8} {:>14} {:>6} {:>9} {:<9} {}\n",
        "ID", "ENTRIES", "CLOSED", "BYTES", "PARTS", "SECONDS", "TRUTH", "STATE"
    );
    for Listed { id, manifest } in &listed {
        match manifest {
            Ok(manifest) => {
                let seconds = format!(
                    "{}.{:03}",
                    manifest.duration_us / 1_000_000,
                    manifest.duration_us / 1_000 % 1_000
                );
                let truth = format!("{:?}", manifest.truth).to_lowercase();
                writeln!(
                    text,
                    "{:<34} {:>12} {:>8} {:>14} {:>6} {seconds:>9} {truth:<9} {}",
                    id.to_string(),
                    manifest.entries(),
                    manifest.closed_periods.map_or_else(|| "-".to_owned(), |closed| closed.to_string()),
                    bytes_of(manifest),
                    manifest.parts.len(),
                    listed_state(catalog, manifest)
                )
            }
            Err(error) => writeln!(text, "{:<34} unreadable: {error}", id.to_string()),
        }
        .expect("a string takes all that is written");
    }
    Ok(good(text))
}

fn bytes_of(manifest: &Manifest) -> u64 {
    manifest.parts.iter().map(|part| part.bytes).sum()
}

/// In words what a snapshot lacks.
fn state_of(manifest: &Manifest) -> String {
    let mut words = Vec::new();
    if !manifest.confirmed {
        words.push("not confirmed by the truth");
    }
    if !manifest.complete {
        words.push("without what was only in the truth");
    }
    if manifest.extent != Extent::Cut {
        words.push("not of one moment");
    }
    if words.is_empty() { "good".to_owned() } else { words.join(", ") }
}

/// As [`state_of`], and whether it is read at all.
fn listed_state(catalog: &Catalog, manifest: &Manifest) -> String {
    if manifest.key_id.is_some() || catalog.takes_unsealed() {
        return state_of(manifest);
    }
    "not encrypted, so not read".to_owned()
}

fn json_row(Listed { id, manifest }: &Listed) -> serde_json::Value {
    match manifest {
        Ok(manifest) => json!({
            "id": id.to_string(),
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
            "ephemeral_databases": manifest.ephemeral.iter().collect::<Vec<_>>(),
        }),
        Err(error) => json!({ "id": id.to_string(), "error": error.to_string() }),
    }
}

async fn check(catalog: &Catalog, id: Option<&str>, all: bool) -> Result<Found, String> {
    let ids = match id {
        Some(id) => vec![parse(id)?],
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
fn content_of(manifest: &Manifest) -> u64 {
    manifest.entries().saturating_add(manifest.closed_periods.unwrap_or(0))
}

fn progress(bar: &ProgressBar) -> Progress {
    let bar = bar.clone();
    Arc::new(move |_stage, entries| bar.add(entries))
}

fn parse(id: &str) -> Result<SnapshotId, String> {
    id.parse().map_err(|error: crate::snapshot::format::FormatError| error.to_string())
}

async fn inspect(catalog: &Catalog, id: &str, pattern: Option<&str>, most: u64) -> Result<Found, String> {
    let manifest = catalog.manifest(parse(id)?).await.map_err(|error| error.to_string())?;
    let mut text = format!(
        "id          {}\ndata set    {}\ncut         epoch {}, batch {}, {}\nstate       {}\ntruth       {:?}\nentries     {}\nclosed      {}\nbytes       {}\n\
         encrypted   {}\nwritten by  quotad {}, {}\n",
        manifest.snapshot(),
        manifest.data_set,
        manifest.epoch,
        manifest.seq,
        time(manifest.cut_at),
        state_of(&manifest),
        manifest.truth,
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

fn time(time: Timestamp) -> String {
    i64::try_from(time.as_micros())
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .map_or_else(|| time.as_micros().to_string(), |time| time.to_string())
}

/// Which snapshot is restored.
#[derive(Clone, Copy)]
struct From<'a> {
    id: Option<&'a str>,
    any: bool,
}

/// The snapshot that is named, or the newest that is good; and what is wrong with those that are newer.
async fn chosen(catalog: &Catalog, from: From<'_>) -> Result<(Manifest, Vec<String>), String> {
    let is_good =
        |manifest: &Manifest| manifest.complete && manifest.confirmed && manifest.extent == Extent::Cut;
    if let Some(id) = from.id {
        let manifest = catalog.manifest(parse(id)?).await.map_err(|error| error.to_string())?;
        if !from.any && !is_good(&manifest) {
            return Err(format!("{id} is {}; to restore it all the same, add --any", state_of(&manifest)));
        }
        return Ok((manifest, Vec::new()));
    }
    let mut passed_over = Vec::new();
    for id in catalog.ids().await.map_err(|error| error.to_string())? {
        match catalog.manifest(id).await {
            Ok(manifest) if from.any || is_good(&manifest) => return Ok((manifest, passed_over)),
            Ok(manifest) => passed_over.push(format!("{id} is {}", state_of(&manifest))),
            Err(error) if error.is_damage() => passed_over.push(format!("{id} is damaged: {error}")),
            Err(error) => {
                return Err(format!(
                    "{id} cannot be read as things are: {error}; to restore another one, name it"
                ));
            }
        }
    }
    let place = catalog.objects.describe();
    if passed_over.is_empty() {
        return Err(format!("no snapshots in {place}"));
    }
    Err(format!(
        "no good snapshot in {place}; --any takes the newest that can be read: {}",
        passed_over.join("; ")
    ))
}

async fn fill(
    config: &Config,
    catalog: &Catalog,
    from: From<'_>,
    into: &str,
    replace: bool,
) -> Result<Found, String> {
    let truth = TruthSetting::parse(into).filter(|truth| *truth != TruthSetting::None);
    let truth =
        truth.ok_or_else(|| format!("--into names no truth: allowed are {}", TruthSetting::ALLOWED))?;
    let config = Config { truth, ..config.clone() };
    let address = address(&config).map_err(|error| error.to_string())?.ok_or("--into names no truth")?;
    let (manifest, passed_over) = chosen(catalog, from).await?;
    let manifest = Arc::new(manifest);
    if config.truth.sqlite_path(&config.data_dir).is_some() {
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|error| format!("{} cannot be made: {error}", config.data_dir.display()))?;
    }
    let store = address.open(std::time::Duration::from_secs(config.lease_secs)).await;
    let store = store.map_err(|error| error.to_string())?;
    store.migrate(false).await.map_err(|error| error.to_string())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let order = RestoreOrder {
        manifest: Arc::clone(&manifest),
        owner: random_id().map_err(|error| error.to_string())?,
        holder: format!("a restore of {} by {}", manifest.snapshot(), holder(&config)),
        replace,
    };
    let bar = ProgressBar::new(&format!("restoring {}", manifest.snapshot()), content_of(&manifest) * 2);
    let restored = restore(catalog, &store, &clock, order, &progress(&bar)).await;
    bar.end();
    let restored = restored.map_err(|error| error.to_string())?;
    let mut text = format!(
        "{} keys and {} closed periods of {} are in the truth, which is the data set {} in epoch {}\nchanges behind {} are not in it\n",
        restored.keys,
        restored.closed_periods,
        manifest.snapshot(),
        manifest.data_set,
        restored.epoch,
        time(manifest.cut_at)
    );
    if manifest.closed_periods.is_none() {
        text.push_str("figures of closed budget periods are not in it: the snapshot tells nothing of them\n");
    }
    for reason in passed_over {
        writeln!(text, "passed over: {reason}").expect("a string takes all that is written");
    }
    if restored.rejected > 0 {
        writeln!(text, "{} rows were refused: the table rejected tells why", restored.rejected)
            .expect("a string takes all that is written");
    }
    Ok(Found { text, is_good: restored.rejected == 0 })
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
