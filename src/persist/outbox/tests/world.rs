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
    outbox: Option<Outbox>,
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
            outbox: Some(created(&disk)),
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
        let outbox = self.outbox.as_mut().unwrap();
        match step {
            Step::Append { keys, flushes, numbers, is_retry } => {
                let first_seq = self.there.last().map_or(1, |last| last.batch.seq + 1);
                let is_next = |tried: &&Appended| *is_retry && tried.first_seq == first_seq;
                let again = self.tried.last().filter(is_next).cloned();
                let appended = again.unwrap_or_else(|| {
                    self.made += 1;
                    let batch = batch_of(first_seq + numbers - 1, keys, *flushes, self.made);
                    Appended { first_seq, batch: Batch { first_seq, ..batch } }
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
                let _ = outbox.applied(self.applied, super::seconds(self.now));
            }
            Step::SetBack { batches } => {
                let first_kept = outbox.first_kept_seq().unwrap_or(1);
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

    /// Opens the outbox again, however often that fails.
    fn open(&mut self) {
        let mut outbox = loop {
            match Outbox::open(&self.directory, NAME, LIMITS) {
                Ok((outbox, _)) => break outbox,
                Err(OutboxError::Disk(_)) if self.disk.is_crashed() => {
                    self.disk.crash(&mut self.chance);
                }
                Err(OutboxError::Disk(_)) => self.disk.heal(),
                Err(error) => panic!("{error}\n{self}"),
            }
        };
        // What is read is what was acknowledged, and perhaps more of what was tried behind it.
        let last_seq = outbox.last_seq().unwrap_or(0);
        let safe = self.there[..self.safe].last().map_or(0, |last| last.batch.seq);
        assert!(last_seq >= safe, "batch {safe} was acknowledged, and {last_seq} is the last one\n{self}");
        self.there.truncate(self.safe);
        if safe < last_seq {
            for stored in outbox.read_after(safe) {
                let read = stored.unwrap().batch;
                let tried = self.tried.iter().find(|tried| tried.batch == read);
                self.there
                    .push(tried.unwrap_or_else(|| panic!("{read:?} was never appended\n{self}")).clone());
            }
        }
        let _ = outbox.applied(self.applied, super::seconds(self.now));
        self.outbox = Some(outbox);
    }

    /// Everything that waits is there, whole, each number once; as is what is kept besides.
    fn check(&self) {
        let outbox = self.outbox.as_ref().unwrap();
        assert_eq!(outbox.last_seq(), self.there.last().map(|last| last.batch.seq), "{self}");
        let first_kept = outbox.first_kept_seq().unwrap_or(1);
        assert!(first_kept <= self.applied + 1, "{first_kept} is the first one kept\n{self}");
        let mut next = first_kept;
        for stored in outbox.read_after(first_kept - 1) {
            let Stored { first_seq, batch } = stored.unwrap_or_else(|error| panic!("{error}\n{self}"));
            assert_eq!(first_seq, next, "{self}");
            let parts = self.there.iter().filter(|one| (first_seq..=batch.seq).contains(&one.batch.seq));
            let expected = Batch::merge_all(parts.map(|one| one.batch.clone()));
            assert_eq!(Some(&batch), expected.as_ref(), "{self}");
            next = batch.seq + 1;
        }
        let behind = outbox.last_seq().map_or(1, |last| last + 1);
        assert_eq!(next, behind, "{self}");
        let covers = outbox.read_after(self.applied).next().map(|stored| stored.unwrap());
        assert_eq!(covers.is_some(), self.applied + 1 < behind, "{self}");
        assert!(
            covers.is_none_or(|stored| (stored.first_seq..=stored.batch.seq).contains(&(self.applied + 1)))
        );
    }
}

/// For the message of a test that fails.
impl std::fmt::Display for World {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = Path::new("/").join(NAME.to_string());
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
