//! The start: what an earlier run left in its outbox reaches the truth, then the next epoch is taken.
//!
//! The order is the promise: as long as the owner row names the epoch of the outbox, nobody else has written since, so its batches
//! continue the chain; once they are applied the next epoch begins, and only then is anything answered from the data.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::base::{Base, BaseError};
use super::directory::{DataDirectory, Known};
use super::flush_stats::FlushStats;
use super::outbox::{self, EndedOutbox, Limits, Name, Outbox};
use super::pending::next_merged;
use super::store::{
    Applied, Claim, Claimed, DataSetId, Epoch, Lease, OwnerId, OwnerRow, RejectedRecord, Store, StoreError,
};
use crate::clock::Clock;
use crate::metrics::Seldom;

/// How long to wait before a truth that is not there is asked again.
const BACKOFF: Backoff = Backoff::between(Duration::from_millis(50), Duration::from_secs(2));

/// How long giving the lease up may take: without it the next start is allowed all the same.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Refused rows that are told one by one.
const MOST_TOLD_REJECTED: usize = 20;

/// Epochs that are taken at most to come back to that of the outbox after the truth has lost some.
const MAX_RETAKEN_EPOCHS: u64 = 1_000;

/// What a start is told.
pub struct StartParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Where the outbox lies.
    pub directory: DataDirectory,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// This process for people.
    pub holder: String,
    /// How long a lease holds.
    pub lease: Duration,
    /// Whether an expired lease of another data directory is taken.
    pub take_over: bool,
    /// Whether the truth is on another disk, so that an outbox is kept.
    pub with_outbox: bool,
    /// What is counted: whether the truth is there, at first.
    pub stats: Arc<FlushStats>,
    /// Where copies of the truth are; `None`: nowhere.
    pub base: Option<Arc<dyn Base>>,
}

/// What a start comes to.
pub struct Started {
    /// The epoch.
    pub epoch: Epoch,
    /// The claim that was allowed.
    pub claim: Claim,
    /// The outbox of this epoch.
    pub outbox: Option<Outbox>,
    /// The data directory, locked.
    pub directory: DataDirectory,
}

/// Why there is no start; trying again does not help.
#[derive(Debug)]
pub struct StartRefused(pub String);

impl From<StoreError> for StartRefused {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// Waits for the truth as long as it takes, and starts.
///
/// # Errors
/// [`StartRefused`] with what to do about it.
pub async fn start(mut parts: StartParts) -> Result<Started, StartRefused> {
    parts.stats.stage.store(Some(Arc::new("the truth is being asked".to_owned())));
    refuse_another_data_set(&parts).await?;
    refuse_beside_owner(&parts).await?;
    migrate(&parts).await?;
    let row = patiently(&parts, || parts.store.owner()).await?;
    refuse_copy(&parts, &row)?;
    refuse_beside_copies(&parts, &row).await?;
    refuse_set_back(&parts, &row)?;
    apply_outboxes(&parts, &row).await?;
    // One owner, one directory: its lock keeps a second process out. Behind this a copy has an owner of its own, and no outbox is left
    // that is the other's.
    let same_directory = row.owner == Some(parts.directory.owner());
    parts.directory.put_down_place().map_err(|error| StartRefused(error.to_string()))?;
    let claim = claim(&parts, same_directory);
    let epoch = match patiently(&parts, || parts.store.begin_epoch(&claim)).await? {
        Claimed::Epoch(epoch) => epoch,
        refusal => return Err(StartRefused(refusal_text(&refusal, &parts))),
    };
    let data_set = epoch.data_set;
    if parts.directory.data_set() != Some(data_set) {
        parts.directory.set_data_set(data_set).map_err(|error| StartRefused(error.to_string()))?;
    }
    let known = Known { epoch: epoch.epoch, applied: epoch.applied };
    if let Err(error) = parts.directory.set_known(known) {
        tracing::warn!("how far the truth is could not be noted: {error}");
    }
    let claim = Claim { data_set: Some(data_set), ..claim };
    let outbox = if parts.with_outbox {
        let name = Name { data_set, epoch: epoch.epoch, owner: claim.owner };
        match Outbox::create(&parts.directory, name, Limits::default()) {
            Ok(made) => Some(made),
            Err(error) => {
                give_up(&*parts.store, epoch.epoch, claim.owner).await;
                return Err(StartRefused(error.to_string()));
            }
        }
    } else {
        None
    };
    Ok(Started { epoch, claim, outbox, directory: parts.directory })
}

/// Gives the lease up, at an end or where a start that has taken it is refused, so that nobody waits for it to run out.
pub(super) async fn give_up(store: &dyn Store, epoch: u64, owner: OwnerId) {
    let release = store.release(epoch, owner);
    let refused = match tokio::time::timeout(RELEASE_TIMEOUT, release).await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", RELEASE_TIMEOUT.as_secs()),
    };
    tracing::warn!(
        "the lease was not given up, so that other data directories, and a restore, wait until it runs out: {refused}"
    );
}

async fn migrate(parts: &StartParts) -> Result<(), StartRefused> {
    let applied = patiently(parts, || parts.store.migrate(false)).await?;
    for migration in applied {
        tracing::info!(migration, "the truth's schema was brought up to date");
    }
    Ok(())
}

/// Asks until the truth answers. What it refuses is refused for good.
async fn patiently<'a, T>(
    parts: &StartParts,
    ask: impl Fn() -> super::store::Answer<'a, T>,
) -> Result<T, StartRefused> {
    let mut backoff = BACKOFF;
    let lines = Seldom::default();
    loop {
        match ask().await {
            Ok(answer) => {
                parts.stats.trouble.store(None);
                return Ok(answer);
            }
            Err(error @ (StoreError::Unavailable(_) | StoreError::Unclear(_))) => {
                let now = parts.clock.now();
                parts.stats.note_trouble(error.to_string(), now);
                if lines.is_due(now.as_micros()).is_some() {
                    tracing::warn!("waiting for the truth: {error}");
                }
                tokio::time::sleep(backoff.pause(now)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn claim(parts: &StartParts, same_directory: bool) -> Claim {
    Claim {
        data_set: parts.directory.data_set(),
        owner: parts.directory.owner(),
        holder: parts.holder.clone(),
        lease: parts.lease,
        take_over: parts.take_over,
        same_directory,
        behind: None,
    }
}

/// An empty database in place of the one with the data would begin every quota afresh. It is left as it is: nothing is migrated before this.
async fn refuse_another_data_set(parts: &StartParts) -> Result<(), StartRefused> {
    let Some(own) = parts.directory.data_set() else { return Ok(()) };
    let found = patiently(parts, || parts.store.data_set()).await?;
    if found == Some(own) {
        return Ok(());
    }
    Err(StartRefused(wrong_data_set(parts.directory.path(), own, found)))
}

/// A server that writes is not to meet a schema that it does not know: who would be refused for it does not migrate before.
async fn refuse_beside_owner(parts: &StartParts) -> Result<(), StartRefused> {
    // A truth without a schema has no owner yet; whatever else is wrong with it is told by what comes next.
    let Ok(row) = patiently(parts, || parts.store.owner()).await else { return Ok(()) };
    match row.lease {
        Lease::Held(lease_left) if row.owner != Some(parts.directory.owner()) => {
            let held = Claimed::Held { holder: row.holder, lease_left };
            Err(StartRefused(refusal_text(&held, parts)))
        }
        _ => Ok(()),
    }
}

/// A truth that was set back behind what this directory has known of it would grant again what was granted since; one of another owner, or
/// a later epoch, was restored, or was another's meanwhile. What the outbox of the last run has is applied again.
fn refuse_set_back(parts: &StartParts, row: &OwnerRow) -> Result<(), StartRefused> {
    let directory = &parts.directory;
    let Some(Known { epoch, applied }) = directory.known() else { return Ok(()) };
    let is_own = row.owner == Some(directory.owner());
    if !is_own || row.epoch > epoch || row.applied >= applied {
        return Ok(());
    }
    let refuse = |error: outbox::OutboxError| StartRefused(error.to_string());
    for name in Outbox::find(directory).map_err(refuse)? {
        let is_own = row.data_set == Some(name.data_set) && name.owner == directory.owner();
        if is_own && EndedOutbox::open(directory, name).map_err(refuse)?.last_seq() > Some(row.applied) {
            return Ok(());
        }
    }
    Err(StartRefused(format!(
        "the truth has batches up to {}, but had {applied} when this data directory used it last: it was set back; put the newer one back, or \
         restore one of those that quotad snapshot list tells; to go on without what is missing, remove the lines epoch and applied from {}",
        row.applied,
        directory.identity_file().display()
    )))
}

/// A truth and a directory that are both new beside copies: what was in the copies is lost, and would be granted again.
async fn refuse_beside_copies(parts: &StartParts, row: &OwnerRow) -> Result<(), StartRefused> {
    let Some(base) = &parts.base else { return Ok(()) };
    // A truth whose restore has not ended has an epoch and no data set.
    if parts.directory.data_set().is_some() || row.data_set.is_some() || row.epoch > 0 {
        return Ok(());
    }
    let mut backoff = BACKOFF;
    let lines = Seldom::default();
    loop {
        match base.newest().await {
            Ok(None) => return Ok(()),
            Ok(Some(newest)) => {
                return Err(StartRefused(format!(
                    "the truth and the data directory {} are new, but there is the snapshot {newest}: to go on with what it has, run quotad \
                     snapshot restore with the same settings, then start; to begin with nothing, name another place by snapshots",
                    parts.directory.path().display()
                )));
            }
            Err(BaseError::Refused(reason)) => return Err(StartRefused(reason)),
            Err(BaseError::Away(reason)) => {
                let trouble = format!(
                    "a new truth waits for the store of snapshots, which may have its data: {reason}"
                );
                if lines.is_due(parts.clock.now().as_micros()).is_some() {
                    tracing::warn!("{trouble}");
                }
                parts.stats.note_trouble(trouble, parts.clock.now());
                tokio::time::sleep(backoff.pause(parts.clock.now())).await;
            }
        }
    }
}

/// Whoever runs in the directory that this one was copied from would lose the truth to it without a word.
fn refuse_copy(parts: &StartParts, row: &OwnerRow) -> Result<(), StartRefused> {
    let Lease::Held(left) = row.lease else { return Ok(()) };
    if row.owner != Some(parts.directory.owner()) || !parts.directory.is_copy() {
        return Ok(());
    }
    Err(StartRefused(format!(
        "the data directory {} is a copy of one whose server ({}) owns the truth, with a lease for {} more seconds; if that server is to go \
         on, give this one a truth and a data directory of its own; if it is gone for good, start again when the lease has run out",
        parts.directory.path().display(),
        row.holder,
        left.as_secs() + 1
    )))
}

pub(super) fn wrong_data_set(path: &Path, own: DataSetId, found: Option<DataSetId>) -> String {
    let found = found.map_or_else(
        || "is empty: it is new, or was emptied".to_owned(),
        |found| format!("holds the data set {found}"),
    );
    format!(
        "the data directory {} belongs to the data set {own}, but the truth {found}; point --truth at the right database, restore this one (quotad \
         snapshot restore), or give the new truth a data directory of its own with --data-dir",
        path.display()
    )
}

fn refusal_text(refusal: &Claimed, parts: &StartParts) -> String {
    match refusal {
        Claimed::Held { holder, lease_left } => format!(
            "the truth is owned by another server ({holder}), whose lease holds for {} more seconds; stop that one first, or, if it is gone for good, start with \
             --take-over once the lease has run out",
            lease_left.as_secs() + 1
        ),
        Claimed::Expired { holder } => format!(
            "the truth was owned by another server ({holder}), whose lease has run out; if it is gone for good, start with --take-over: what \
             it had not flushed is lost"
        ),
        Claimed::HalfRestored { holder } => format!(
            "the truth is not whole, since {holder} has begun and not ended: run quotad snapshot restore again, with --replace"
        ),
        Claimed::WrongDataSet { found } => match parts.directory.data_set() {
            Some(own) => wrong_data_set(parts.directory.path(), own, *found),
            None => "the truth holds other data than was found a moment ago".to_owned(),
        },
        // It was not asked for.
        Claimed::Epoch(_) | Claimed::Moved => String::new(),
    }
}

/// Applies this directory's outbox if nobody has written since, or sets it aside; then none is left.
async fn apply_outboxes(parts: &StartParts, row: &OwnerRow) -> Result<(), StartRefused> {
    let directory = &parts.directory;
    let found = Outbox::find(directory).map_err(|error| StartRefused(error.to_string()))?;
    warn_of_missing(parts, row, &found);
    for name in found {
        let is_own = row.owner == Some(name.owner) && row.data_set == Some(name.data_set);
        if is_own && row.epoch <= name.epoch {
            retake(parts, row.epoch, name.epoch).await?;
            apply_outbox(parts, name).await?;
        } else {
            let was_applied = was_applied(parts, row, name).await;
            let aside =
                Outbox::set_aside(directory, name).map_err(|error| StartRefused(error.to_string()))?;
            let (outbox, epoch) = (aside.display(), name.epoch);
            if was_applied {
                tracing::info!(%outbox, epoch, "an outbox of an earlier epoch was set aside: the truth has all of its batches");
            } else {
                tracing::error!(
                    %outbox,
                    epoch,
                    truth_epoch = row.epoch,
                    "an outbox of another epoch or owner was set aside: its batches do not continue what the truth holds now"
                );
            }
        }
    }
    Ok(())
}

/// A server that was killed leaves an outbox, unless it was killed before it served anybody.
fn warn_of_missing(parts: &StartParts, row: &OwnerRow, found: &[Name]) {
    let is_own = row.owner == Some(parts.directory.owner()) && row.data_set == parts.directory.data_set();
    if parts.with_outbox
        && is_own
        && row.lease != Lease::Free
        && !found.iter().any(|name| name.epoch == row.epoch)
    {
        tracing::warn!(
            epoch = row.epoch,
            data_dir = %parts.directory.path().display(),
            "the last server of this data directory was killed, and its outbox is not here: if somebody removed it, what the truth had not taken is lost"
        );
    }
}

/// Whether the truth has had every batch of an outbox before its epoch ended.
async fn was_applied(parts: &StartParts, row: &OwnerRow, name: Name) -> bool {
    if row.data_set != Some(name.data_set) {
        return false;
    }
    let Ok(epochs) = parts.store.epochs().await else { return false };
    let Some(ended) = epochs.epoch(name.epoch).and_then(|epoch| epoch.last_seq) else { return false };
    let Ok(outbox) = EndedOutbox::open(&parts.directory, name) else { return false };
    outbox.last_seq().is_none_or(|last| last <= ended)
}

/// Where the truth has lost the outbox's epoch (a replica without it was promoted), takes epochs until it stands there again.
async fn retake(parts: &StartParts, found: u64, wanted: u64) -> Result<(), StartRefused> {
    if wanted - found > MAX_RETAKEN_EPOCHS {
        return Err(StartRefused(format!(
            "the outbox is of epoch {wanted}, the truth stands at {found}: that is no replica a little behind; restore the truth or move the \
             outbox away"
        )));
    }
    if found < wanted {
        tracing::error!(found, wanted, "the truth has lost epochs, which are taken again");
    }
    // What is taken is asked each time: where the answer to a commit is lost, or comes late, one more would be one too many.
    loop {
        let at = patiently(parts, || parts.store.owner()).await?.epoch;
        if at >= wanted {
            return Ok(());
        }
        let claim = Claim { behind: Some(at), ..claim_of_owner(parts) };
        match parts.store.begin_epoch(&claim).await {
            Ok(Claimed::Epoch(_)) => {}
            Ok(Claimed::Moved) => tokio::time::sleep(BACKOFF.pause_at_most()).await,
            Ok(refusal) => return Err(StartRefused(refusal_text(&refusal, parts))),
            Err(StoreError::Unavailable(_) | StoreError::Unclear(_)) => {
                tokio::time::sleep(BACKOFF.pause_at_most()).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn claim_of_owner(parts: &StartParts) -> Claim {
    Claim {
        data_set: parts.directory.data_set(),
        owner: parts.directory.owner(),
        holder: parts.holder.clone(),
        lease: parts.lease,
        take_over: false,
        same_directory: true,
        behind: None,
    }
}

async fn apply_outbox(parts: &StartParts, name: Name) -> Result<(), StartRefused> {
    let directory = &parts.directory;
    let refuse = |error: outbox::OutboxError| StartRefused(error.to_string());
    let outbox = EndedOutbox::open(directory, name).map_err(refuse)?;
    for torn in outbox.torn() {
        tracing::warn!(
            file = %torn.file.display(),
            offset = torn.offset,
            bytes = torn.bytes,
            "the end of the outbox is torn and is cut: after a crash it is a batch that was never acknowledged; if somebody has changed the file, \
             what stood there is lost"
        );
    }
    // Asked again: the epochs taken since may have closed what the row said.
    let applied = patiently(parts, || parts.store.owner()).await?.applied;
    let first = outbox.first_kept_seq();
    if outbox.last_seq().is_some_and(|last| last > applied) && first.is_some_and(|first| first > applied + 1)
    {
        return Err(StartRefused(format!(
            "the truth has batches up to {applied}, the outbox in {} begins at {}: the truth was set back further than the outbox reaches, or \
             files of the outbox are missing; restore a newer truth (a backup, or one of those that quotad snapshot list tells), or move the \
             directory {name} away to go on without what is missing",
            directory.path().display(),
            first.unwrap_or_default()
        )));
    }
    let mut read = applied;
    let mut rows = 0;
    let lines = Seldom::default();
    loop {
        let last = outbox.last_seq().unwrap_or_default();
        let stage =
            format!("the outbox of the last run is being applied to the truth: batch {read} of {last}");
        if read > applied && lines.is_due(parts.clock.now().as_micros()).is_some() {
            tracing::info!(rows, "{stage}");
        }
        parts.stats.stage.store((read < last).then(|| Arc::new(stage)));
        let batch = next_merged(outbox.read_after(read)).map_err(refuse)?;
        let Some(batch) = batch else { break };
        read = batch.seq;
        rows += batch.records.len();
        match patiently(parts, || parts.store.apply(name.owner, &batch)).await? {
            Applied::Whole { rejected } | Applied::Before { rejected } => note_rejected(parts, &rejected),
            Applied::Fenced => {
                return Err(StartRefused(
                    "another server took the truth over while the outbox was being applied".to_owned(),
                ));
            }
            Applied::Gap { applied } => {
                return Err(StartRefused(format!(
                    "the truth has batches up to {applied}, but the outbox goes on with {}",
                    batch.first_seq
                )));
            }
        }
    }
    if read > applied {
        tracing::info!(
            from = applied + 1,
            to = read,
            rows,
            "the outbox of the last run was applied to the truth"
        );
    }
    drop(outbox);
    Outbox::remove(directory, name).map_err(refuse)
}

/// What the truth refuses of an outbox is in no memory, so it is lost.
fn note_rejected(parts: &StartParts, rejected: &[RejectedRecord]) {
    parts.stats.rejected_rows.add(u64::try_from(rejected.len()).unwrap_or(u64::MAX));
    for RejectedRecord { database, key, reason, .. } in rejected.iter().take(MOST_TOLD_REJECTED) {
        let key = String::from_utf8_lossy(key);
        tracing::error!(database, %key, "the truth refuses a row of the last run's outbox, whose change is lost: {reason}");
    }
    if rejected.len() > MOST_TOLD_REJECTED {
        tracing::error!(
            rows = rejected.len(),
            "the truth refuses more such rows: its table rejected names them"
        );
    }
}

#[cfg(test)]
mod tests;
