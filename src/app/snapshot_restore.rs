//! `quotad snapshot restore`: fills a truth from a snapshot.

use std::fmt::Write as _;
use std::sync::Arc;

use super::progress_bar::ProgressBar;
use super::snapshot_list::told_state;
use super::snapshot_tools::{content_of, manifest_of, progress, time};
use super::tools::{Found, check_owner};
use super::truth::{address, holder};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, SnapshotsSetting, TruthSetting};
use crate::persist::directory::{DataDirectory, random_id};
use crate::snapshot::format::{Extent, Manifest};
use crate::snapshot::{Catalog, RestoreOrder, Restored, restore};

/// Which snapshot is restored.
#[derive(Clone, Copy)]
pub struct From<'a> {
    /// The one that is named; `None`: the newest that is good.
    pub id: Option<&'a str>,
    /// Whether one is taken that is not confirmed, not complete, or not of one moment.
    pub any: bool,
}

/// The snapshot that is named, or the newest that is good; and what is wrong with those that are newer.
async fn chosen(catalog: &Catalog, from: From<'_>) -> Result<(Manifest, Vec<String>), String> {
    let is_good =
        |manifest: &Manifest| manifest.complete && manifest.confirmed && manifest.extent == Extent::Cut;
    if let Some(id) = from.id {
        let manifest = manifest_of(catalog, id).await?;
        if !from.any && !is_good(&manifest) {
            return Err(format!("{id} is {}; to restore it all the same, add --any", told_state(&manifest)));
        }
        return Ok((manifest, Vec::new()));
    }
    let mut passed_over = Vec::new();
    for id in catalog.ids().await.map_err(|error| error.to_string())? {
        match catalog.manifest(id).await {
            Ok(manifest) if from.any || is_good(&manifest) => return Ok((manifest, passed_over)),
            Ok(manifest) => passed_over.push(format!("{id} is {}", told_state(&manifest))),
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

/// The truth that is filled: the one that is named, or that of the settings.
fn target(config: &Config, into: Option<&str>) -> Result<TruthSetting, String> {
    let allowed = TruthSetting::ALLOWED_STORES;
    let Some(text) = into else {
        return match &config.truth {
            TruthSetting::None => {
                Err(format!("there is no truth to be filled (--truth none): name one with --into: {allowed}"))
            }
            truth => {
                // Who names it may want to leave Postgres; where nobody does, only the default does.
                check_owner(config)?;
                Ok(truth.clone())
            }
        };
    };
    let truth = TruthSetting::parse(text).filter(|truth| *truth != TruthSetting::None);
    let truth =
        truth.ok_or_else(|| format!("--into names no truth that can be filled: allowed are {allowed}"))?;
    truth.check().map_err(|reason| format!("--into cannot be \"{truth}\": {reason}"))?;
    Ok(truth)
}

/// The data directory, where the truth's file is to be in it: made as a start makes it, and held so that none begins meanwhile.
///
/// # Errors
/// When it belongs to other data, so that no server would start on it with that truth; when another process has it.
fn directory_for(config: &Config, manifest: &Manifest) -> Result<Option<DataDirectory>, String> {
    if config.truth != TruthSetting::Sqlite(None) {
        return Ok(None);
    }
    let directory =
        DataDirectory::open(&config.data_dir).map_err(|error| format!("{error}; nothing was restored"))?;
    let Some(known) = directory.data_set().filter(|known| *known != manifest.data_set) else {
        return Ok(Some(directory));
    };
    let snapshots = match config.snapshots {
        SnapshotsSetting::Folder(None) => {
            "; the snapshots are in it too: move their folder away first and name it with --snapshots file:///path"
        }
        _ => "",
    };
    Err(format!(
        "the data directory {} belongs to the data set {known}, and {} is of the data set {}: no server would start on what is restored \
         there; name another directory with --data-dir, or remove that one{snapshots}; nothing was restored",
        config.data_dir.display(),
        manifest.snapshot(),
        manifest.data_set
    ))
}

/// Fills the truth.
///
/// # Errors
/// Why it is as it was, or not whole.
pub async fn fill(
    config: &Config,
    catalog: &Catalog,
    from: From<'_>,
    into: Option<&str>,
    replace: bool,
) -> Result<Found, String> {
    let config = Config { truth: target(config, into)?, ..config.clone() };
    let address = address(&config).map_err(|error| error.to_string())?.ok_or("there is no truth")?;
    let (manifest, passed_over) = chosen(catalog, from).await?;
    let manifest = Arc::new(manifest);
    let directory = directory_for(&config, &manifest)?;
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
    drop(directory);
    let restored = restored.map_err(|error| error.to_string())?;
    let text = summary(&config, &manifest, &restored, &passed_over);
    Ok(Found { text, is_good: restored.rejected == 0 })
}

/// What was restored, and what was not.
fn summary(config: &Config, manifest: &Manifest, restored: &Restored, passed_over: &[String]) -> String {
    let truth = match config.truth.sqlite_path(&config.data_dir) {
        Some(path) => format!("the file {}", path.display()),
        None => config.truth.to_string(),
    };
    let mut text = format!(
        "{} keys and {} closed periods of {} are in the truth, {truth}, which is the data set {} in epoch {}\nchanges behind {} are not in it\n",
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
    let entries_of = |database| manifest.databases.get(&database).copied().unwrap_or(0);
    let ephemeral =
        manifest.ephemeral.iter().fold(0_u64, |sum, database| sum.saturating_add(entries_of(database)));
    if ephemeral > 0 {
        let databases = manifest.ephemeral.iter().filter(|&database| entries_of(database) > 0);
        let databases: Vec<_> = databases.map(|database| database.to_string()).collect();
        writeln!(
            text,
            "{ephemeral} entries of ephemeral databases ({}) are not in it: a start takes those from the newest snapshot, which may be newer \
             than this one",
            databases.join(", ")
        )
        .expect("a string takes all that is written");
    }
    for reason in passed_over {
        writeln!(text, "passed over: {reason}").expect("a string takes all that is written");
    }
    if restored.rejected > 0 {
        writeln!(text, "{} rows were refused: the table rejected tells why", restored.rejected)
            .expect("a string takes all that is written");
    }
    text
}
