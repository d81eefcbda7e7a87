//! A disk in memory for tests: it fails where it is told to, fills up, and after a crash keeps what was synced and an arbitrary
//! part of the rest.

mod node;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Component, Path};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile};
use node::Node;

/// What happens at one step that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::persist) enum Fault {
    /// An error, and nothing was done; of a sync: what was to be synced is as good as gone.
    Before,
    /// An error, although all was done.
    After,
    /// Of a write: only so many bytes are taken, which is no error. Otherwise nothing.
    Short(usize),
}

/// Random numbers for what a crash leaves.
#[derive(Clone, Debug)]
pub(in crate::persist) struct Chance(pub(in crate::persist) u64);

impl Chance {
    /// A number below `bound`, 0 if there is none.
    pub(in crate::persist) fn below(&mut self, bound: usize) -> usize {
        // splitmix64, Steele and others 2014.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap().checked_rem(bound).unwrap_or(0)
    }
}

/// The names in all directories: what stands under (directory, name).
type Entries = BTreeMap<(usize, String), usize>;

/// A change of a directory that is not synced yet.
enum Change {
    Put(String, usize),
    Remove(String),
    Rename { from: String, to: String, node: usize },
}

struct State {
    nodes: Vec<Node>,
    entries: Entries,
    durable: Entries,
    pending: Vec<(usize, Change)>,
    steps: u64,
    faults: BTreeMap<u64, Fault>,
    /// The step in which everything ends, and whether it is still done.
    crash: Option<(u64, bool)>,
    is_crashed: bool,
    /// Bytes that can still be written.
    room: usize,
}

/// The disk. Its clones are the same disk; the root is there from the beginning.
#[derive(Clone)]
pub(in crate::persist) struct FaultyDisk(Arc<Mutex<State>>);

impl FaultyDisk {
    pub(in crate::persist) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            nodes: vec![Node::default()],
            entries: Entries::new(),
            durable: Entries::new(),
            pending: Vec::new(),
            steps: 0,
            faults: BTreeMap::new(),
            crash: None,
            is_crashed: false,
            room: usize::MAX,
        })))
    }

    /// How many steps that change something were made.
    pub(in crate::persist) fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    /// What happens at the step that comes `ahead` steps after the next one.
    pub(in crate::persist) fn fail(&self, ahead: u64, fault: Fault) {
        let mut state = self.0.lock();
        let step = state.steps + ahead;
        state.faults.insert(step, fault);
    }

    /// Forgets the faults that have not happened.
    pub(in crate::persist) fn heal(&self) {
        let mut state = self.0.lock();
        state.faults.clear();
        state.room = usize::MAX;
    }

    /// From the step that comes `ahead` steps after the next one on, every call fails; that one `is_done`, or is not.
    pub(in crate::persist) fn crash_in(&self, ahead: u64, is_done: bool) {
        let mut state = self.0.lock();
        state.crash = Some((state.steps + ahead, is_done));
    }

    /// Only so many more bytes can be written.
    pub(in crate::persist) fn limit_room(&self, bytes: usize) {
        self.0.lock().room = bytes;
    }

    /// From now on every call fails.
    pub(in crate::persist) fn stop(&self) {
        self.0.lock().is_crashed = true;
    }

    pub(in crate::persist) fn is_crashed(&self) -> bool {
        self.0.lock().is_crashed
    }

    /// Comes back after a crash: what was not synced is there, or not, or in part.
    pub(in crate::persist) fn crash(&self, chance: &mut Chance) {
        let mut state = self.0.lock();
        let pending = std::mem::take(&mut state.pending);
        let mut entries = std::mem::take(&mut state.durable);
        for (directory, change) in pending {
            if chance.below(2) == 0 {
                apply(&mut entries, directory, change);
            }
        }
        state.durable = entries.clone();
        state.entries = entries;
        for node in &mut state.nodes {
            node.crash(chance);
        }
        state.revive();
    }

    /// Comes back after the process was killed: everything that was written is there, for as long as the system does not crash.
    pub(in crate::persist) fn kill(&self) {
        self.0.lock().revive();
    }

    /// Changes the bytes of a file behind everybody's back.
    pub(in crate::persist) fn change<T>(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut state = self.0.lock();
        let node = state.find(path).unwrap();
        state.nodes[node].change(change)
    }
}

fn apply(entries: &mut Entries, directory: usize, change: Change) {
    match change {
        Change::Put(name, node) => {
            entries.insert((directory, name), node);
        }
        Change::Remove(name) => {
            entries.remove(&(directory, name));
        }
        Change::Rename { from, to, node } => {
            entries.remove(&(directory, from));
            entries.insert((directory, to), node);
        }
    }
}

fn error(kind: ErrorKind) -> io::Error {
    io::Error::new(kind, "scripted")
}

impl State {
    fn revive(&mut self) {
        self.crash = None;
        self.is_crashed = false;
    }

    fn check(&self) -> io::Result<()> {
        if self.is_crashed { Err(error(ErrorKind::BrokenPipe)) } else { Ok(()) }
    }

    /// Makes a step: does it, unless a fault says otherwise.
    fn step<T>(&mut self, step: impl FnOnce(&mut Self, Option<Fault>) -> io::Result<T>) -> io::Result<T> {
        self.check()?;
        let number = self.steps;
        self.steps += 1;
        if let Some((at, is_done)) = self.crash
            && at == number
        {
            if is_done {
                let _ = step(self, None);
            }
            self.is_crashed = true;
            return Err(error(ErrorKind::BrokenPipe));
        }
        match self.faults.remove(&number) {
            None => step(self, None),
            Some(Fault::Before) => {
                step(self, Some(Fault::Before))?;
                Err(error(ErrorKind::Other))
            }
            Some(Fault::After) => {
                step(self, None)?;
                Err(error(ErrorKind::Other))
            }
            Some(short) => step(self, Some(short)),
        }
    }

    fn change(&mut self, directory: usize, fault: Option<Fault>, change: impl Fn() -> Change) {
        if fault != Some(Fault::Before) {
            apply(&mut self.entries, directory, change());
            self.pending.push((directory, change()));
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_str().unwrap().to_owned()),
            _ => None,
        });
        let mut node = 0;
        for name in names {
            node = *self.entries.get(&(node, name)).ok_or_else(|| error(ErrorKind::NotFound))?;
        }
        Ok(node)
    }

    /// The directory of `path`, and the name in it.
    fn place(&self, path: &Path) -> io::Result<(usize, String)> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap().to_owned();
        Ok((self.find(path.parent().unwrap())?, name))
    }

    fn make(&mut self, path: &Path) -> io::Result<usize> {
        self.step(|state, fault| {
            let (directory, name) = state.place(path)?;
            if state.entries.contains_key(&(directory, name.clone())) {
                return Err(error(ErrorKind::AlreadyExists));
            }
            state.nodes.push(Node::default());
            let node = state.nodes.len() - 1;
            state.change(directory, fault, || Change::Put(name.clone(), node));
            Ok(node)
        })
    }
}

impl Disk for FaultyDisk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.0.lock().make(path)?;
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        state.check()?;
        let directory = state.find(path)?;
        let names = state.entries.keys().filter(|(parent, _)| *parent == directory);
        Ok(names.map(|(_, name)| name.clone()).collect())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.0.lock().step(|state, fault| {
            let directory = state.find(path)?;
            if fault == Some(Fault::Before) {
                return Ok(());
            }
            let (synced, pending) =
                std::mem::take(&mut state.pending).into_iter().partition(|(parent, _)| *parent == directory);
            state.pending = pending;
            let synced: Vec<_> = synced;
            for (directory, change) in synced {
                apply(&mut state.durable, directory, change);
            }
            Ok(())
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = self.0.lock().make(path)?;
        Ok(Box::new(FaultyFile { disk: self.clone(), node }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.0.lock();
        state.check()?;
        Ok(Box::new(FaultyFile { disk: self.clone(), node: state.find(path)? }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.lock().step(|state, fault| {
            let node = state.find(from)?;
            let (directory, from) = state.place(from)?;
            let (_, to) = state.place(to)?;
            state.change(directory, fault, || Change::Rename { from: from.clone(), to: to.clone(), node });
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.lock().step(|state, fault| {
            state.find(path)?;
            let (directory, name) = state.place(path)?;
            state.change(directory, fault, || Change::Remove(name.clone()));
            Ok(())
        })
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        for name in self.list(path)? {
            self.remove_file(&path.join(name))?;
        }
        self.remove_file(path)
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    node: usize,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.0.lock().step(|state, fault| {
            let asked = match fault {
                Some(Fault::Before) => 0,
                Some(Fault::Short(most)) => bytes.len().min(most.max(1)),
                _ => bytes.len(),
            };
            let written = asked.min(state.room);
            if written == 0 && asked > 0 {
                return Err(error(ErrorKind::StorageFull));
            }
            state.room -= written;
            state.nodes[self.node].write(&bytes[..written]);
            Ok(written)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.0.lock();
        state.check()?;
        Ok(state.nodes[self.node].read(bytes, usize::try_from(offset).unwrap()))
    }

    fn length(&self) -> io::Result<u64> {
        let state = self.disk.0.lock();
        state.check()?;
        Ok(super::length_of(state.nodes[self.node].length()))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.0.lock().step(|state, fault| {
            if fault != Some(Fault::Before) {
                state.nodes[self.node].truncate(usize::try_from(length).unwrap());
            }
            Ok(())
        })
    }

    fn has_name(&self, path: &Path) -> bool {
        self.disk.0.lock().find(path).is_ok_and(|node| node == self.node)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.0.lock().step(|state, fault| {
            state.nodes[self.node].sync(fault != Some(Fault::Before));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
