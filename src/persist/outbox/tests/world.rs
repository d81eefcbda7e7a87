//! An outbox on a disk that fails and crashes, beside a model of what it promises.

use super::*;
use crate::persist::disk::faulty::{Chance, Fault};

/// What is done.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Appends a batch with these keys that covers so many numbers; after a failure, the same one where `is_retry`.
    Append { keys: Vec<u8>, flushes: bool, numbers: u64, is_retry: bool },
    /// Tells that so many of the acknowledged batches that wait are applied, and lets seconds pass.
    Applied { batches: usize, seconds: u64 },
    /// Tells that the truth has lost its last batches.
    SetBack { batches: u64 },
    /// Asks for a compaction.
    Compaction,
    /// Runs the one that was given.
    Run,
    /// Puts what it made in place.
    Replace,
    /// Lets a later call of the disk fail.
    Fail { ahead: u64, fault: Fault },
    /// Lets the disk fill up.
    Fill { room: usize },
    /// Ends all faults.
    Heal,
    /// Lets the system crash at a later call of the disk.
    CrashIn { ahead: u64, is_done: bool },
    /// Lets the process end now; its files stay as they were read until the system crashes.
    Kill,
    /// Lets the process end at a later call of the disk, and perhaps the system crash so many calls behind that.
    KillIn { ahead: u64, is_done: bool, crash: Option<(u64, bool)> },
}

/// What ends at some call of the disk.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The process, and perhaps the system so many calls later.
    Process(Option<(u64, bool)>),
    System,
}

/// A batch that was appended.
#[derive(Clone, Debug)]
struct Appended {
    first_seq: u64,
    batch: Batch,
}

pub(super) struct World {
    pub(super) disk: FaultyDisk,
    chance: Chance,
    directory: DataDirectory,
    name: Name,
    /// `None`: a process has ended, and the one after it has not begun its own outbox yet.
    outbox: Option<Outbox>,
    /// Whether the truth has all of what the process before left, so that it may be gone.
    may_be_gone: bool,
    /// The last number before those of this outbox.
    before: u64,
    /// What ends at a later call of the disk.
    end: End,
    compaction: Option<Compaction>,
    compacted: Option<Compacted>,
    /// What the outbox shows.
    there: Vec<Appended>,
    /// How many of them no crash may take.
    safe: usize,
    /// What was tried behind those, by any process, without success.
    tried: Vec<Appended>,
    applied: u64,
    now: u64,
    made: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let disk = FaultyDisk::new();
        Self {
            directory: directory(&disk),
            name: NAME,
            outbox: Some(created(&disk)),
            may_be_gone: false,
            before: 0,
            disk,
            chance: Chance(seed),
            end: End::System,
            compaction: None,
            compacted: None,
            there: Vec::new(),
            safe: 0,
            tried: Vec::new(),
            applied: 0,
            now: 0,
            made: 0,
        }
    }

    pub(super) fn run(&mut self, step: &Step) {
        match step {
            Step::Fail { ahead, fault } => self.disk.fail(*ahead, *fault),
            Step::Fill { room } => self.disk.limit_room(*room),
            Step::Heal => self.disk.heal(),
            Step::CrashIn { ahead, is_done } => self.end_in(End::System, (*ahead, *is_done)),
            Step::KillIn { ahead, is_done, crash } => self.end_in(End::Process(*crash), (*ahead, *is_done)),
            Step::Kill => {
                self.end = End::Process(None);
                self.disk.stop();
            }
            step => self.use_outbox(step),
        }
        while self.disk.is_crashed() {
            self.end();
        }
        self.check();
    }

    fn use_outbox(&mut self, step: &Step) {
        if self.outbox.is_none() && self.begin().is_err() {
            return;
        }
        let outbox = self.outbox.as_mut().unwrap();
        match step {
            Step::Append { keys, flushes, numbers, is_retry } => {
                let first_seq = self.there.last().map_or(self.before, |last| last.batch.seq) + 1;
                let is_next = |tried: &&Appended| *is_retry && tried.first_seq == first_seq;
                let again = self.tried.last().filter(is_next).cloned();
                let appended = again.unwrap_or_else(|| {
                    self.made += 1;
                    let batch = batch_of(first_seq + numbers - 1, keys, *flushes, self.made);
                    Appended { first_seq, batch: Batch { epoch: self.name.epoch, first_seq, ..batch } }
                });
                match outbox.append(appended.first_seq, &appended.batch) {
                    Ok(()) => {
                        self.there.push(appended);
                        self.safe = self.there.len();
                        self.tried.clear();
                    }
                    Err(error) => {
                        assert!(matches!(error, OutboxError::Disk(_)), "{error}");
                        self.tried.push(appended);
                    }
                }
            }
            Step::Applied { batches, seconds } => {
                let waiting = self.there[..self.safe].iter().filter(|one| one.batch.seq > self.applied);
                self.applied = waiting.take(*batches).last().map_or(self.applied, |one| one.batch.seq);
                self.now += seconds;
                outbox.replayed(self.applied);
                if self.there[..self.safe].last().is_none_or(|last| last.batch.seq <= self.applied) {
                    outbox.end_replay();
                }
                let _ = outbox.applied(self.applied, super::seconds(self.now));
            }
            Step::SetBack { batches } => {
                let first_kept = outbox.first_kept_seq().unwrap_or(self.before + 1);
                self.applied = self.applied.saturating_sub(*batches).max(first_kept - 1).min(self.applied);
                outbox.set_back(self.applied);
            }
            Step::Compaction => {
                if let Ok(Some(compaction)) = outbox.compaction() {
                    self.compaction = Some(compaction);
                }
            }
            Step::Run => {
                if let Some(compaction) = self.compaction.take() {
                    self.compacted = compaction.run().ok();
                }
            }
            Step::Replace => {
                if let Some(compacted) = self.compacted.take() {
                    let _ = outbox.replace(compacted);
                }
            }
            other => unreachable!("{other:?} is none of the outbox"),
        }
    }

    /// The process is gone: nothing of it does anything any more.
    fn forget(&mut self) {
        self.outbox = None;
        self.compaction = None;
        self.compacted = None;
    }

    fn end_in(&mut self, end: End, (ahead, is_done): (u64, bool)) {
        self.end = end;
        self.disk.crash_in(ahead, is_done);
    }

    /// The process has ended, or the system has crashed.
    fn end(&mut self) {
        self.forget();
        match std::mem::replace(&mut self.end, End::System) {
            End::Process(crash) => {
                self.disk.kill();
                if let Some(crash) = crash {
                    self.end_in(End::System, crash);
                }
            }
            End::System => {
                self.disk.heal();
                self.disk.crash(&mut self.chance);
            }
        }
        self.open();
    }

    /// Looks at what the process has left; nothing, where all of that was on its way out.
    fn open(&mut self) {
        let found = loop {
            match Outbox::find(&self.directory) {
                Ok(found) => break found,
                Err(_) if self.disk.is_crashed() => return,
                Err(_) => self.disk.heal(),
            }
        };
        if self.may_be_gone && !found.contains(&self.name) {
            return;
        }
        let ended = EndedOutbox::open(&self.directory, self.name);
        let ended = ended.unwrap_or_else(|error| panic!("{error}\n{self}"));
        // What is read is what was acknowledged, and perhaps more of what was tried behind it.
        let last_seq = ended.last_seq().unwrap_or(self.before);
        let safe = self.there[..self.safe].last().map_or(self.before, |last| last.batch.seq);
        assert!(last_seq >= safe, "batch {safe} was acknowledged, and {last_seq} is the last one\n{self}");
        self.there.truncate(self.safe);
        if safe < last_seq {
            for stored in ended.read_after(safe) {
                let read = stored.unwrap().batch;
                let tried = self.tried.iter().find(|tried| tried.batch == read);
                self.there
                    .push(tried.unwrap_or_else(|| panic!("{read:?} was never appended\n{self}")).clone());
            }
        }
        self.check_read(ended.first_kept_seq(), ended.last_seq(), |seq| ended.read_after(seq));
    }

    /// The next process: the truth has what the one before left, which goes, and an epoch begins with an outbox of its own.
    fn begin(&mut self) -> Result<(), OutboxError> {
        self.applied = self.there.last().map_or(self.applied, |last| last.batch.seq.max(self.applied));
        self.may_be_gone = true;
        if Outbox::find(&self.directory)?.contains(&self.name) {
            Outbox::remove(&self.directory, self.name)?;
        }
        let name = Name { epoch: self.name.epoch + 1, ..self.name };
        let outbox = Outbox::create(&self.directory, name, LIMITS)?;
        (self.name, self.outbox, self.may_be_gone) = (name, Some(outbox), false);
        (self.there, self.safe, self.tried) = (Vec::new(), 0, Vec::new());
        self.before = self.applied;
        Ok(())
    }

    fn check(&self) {
        if let Some(outbox) = &self.outbox {
            self.check_read(outbox.first_kept_seq(), outbox.last_seq(), |seq| outbox.read_after(seq));
        }
    }

    /// Everything that waits is there, whole, each number once; as is what is kept besides.
    fn check_read(
        &self,
        first_kept: Option<u64>,
        last_seq: Option<u64>,
        read_after: impl Fn(u64) -> Batches,
    ) {
        assert_eq!(last_seq, self.there.last().map(|last| last.batch.seq), "{self}");
        let first_kept = first_kept.unwrap_or(self.before + 1);
        assert!(first_kept <= self.applied + 1, "{first_kept} is the first one kept\n{self}");
        let mut next = first_kept;
        for stored in read_after(first_kept - 1) {
            let Stored { first_seq, batch } = stored.unwrap_or_else(|error| panic!("{error}\n{self}"));
            assert_eq!(first_seq, next, "{self}");
            let parts = self.there.iter().filter(|one| (first_seq..=batch.seq).contains(&one.batch.seq));
            let expected = Batch::merge_all(parts.map(|one| one.batch.clone()));
            assert_eq!(Some(&batch), expected.as_ref(), "{self}");
            next = batch.seq + 1;
        }
        let behind = last_seq.unwrap_or(self.before) + 1;
        assert_eq!(next, behind, "{self}");
        let covers = read_after(self.applied).next().map(|stored| stored.unwrap());
        assert_eq!(covers.is_some(), self.applied + 1 < behind, "{self}");
        assert!(
            covers.is_none_or(|stored| (stored.first_seq..=stored.batch.seq).contains(&(self.applied + 1)))
        );
    }
}

/// For the message of a test that fails.
impl std::fmt::Display for World {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = Path::new("/").join(self.name.to_string());
        let ranges =
            |all: &[Appended]| -> Vec<_> { all.iter().map(|one| (one.first_seq, one.batch.seq)).collect() };
        writeln!(formatter, "applied {}, safe {} of {:?}", self.applied, self.safe, ranges(&self.there))?;
        writeln!(formatter, "tried {:?}", ranges(&self.tried))?;
        let mut files = self.disk.list(&path).unwrap_or_default();
        files.sort();
        for file in files {
            writeln!(
                formatter,
                "{file}: {} bytes",
                self.disk.change(&path.join(&file), |bytes| bytes.len())
            )?;
        }
        Ok(())
    }
}

fn batch_of(seq: u64, keys: &[u8], flushes: bool, made: u64) -> Batch {
    let record = |key: &u8| first_record(&batch(made, &format!("key {key}")));
    let records: Vec<_> = keys.iter().map(record).collect();
    let mut batch = Batch { seq, records: records.into(), ..batch(seq, "") };
    batch.cut_at = seconds(made);
    batch.flushed_databases = if flushes { vec![0] } else { Vec::new() };
    batch.sort();
    batch
}
