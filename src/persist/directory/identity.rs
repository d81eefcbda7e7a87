//! The file `identity`: who the data directory is.

use std::io::ErrorKind;
use std::path::Path;

use super::DirectoryError;
use crate::persist::disk::{Disk, failed, read_full, replace_file};
use crate::persist::store::{DataSetId, Id, OwnerId};

/// The name of the file.
pub(super) const FILE: &str = "identity";

/// The most bytes that the file may have; it is written with about 200.
const MAX_BYTES: usize = 4_096;

/// Who the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Under which id it owns a truth.
    pub(super) owner: OwnerId,
    /// Which data the truth has, once that is known.
    pub(super) data_set: Option<DataSetId>,
    /// The number that the file system gave the directory: a copy has another one.
    pub(super) inode: Option<u64>,
    /// How far its truth was known to be.
    pub(super) known: Option<Known>,
}

/// How far a truth was known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// In which epoch.
    pub epoch: u64,
    /// The last batch that it had.
    pub applied: u64,
}

impl Identity {
    /// What the directory says; `None` where it says nothing.
    pub(super) fn read(disk: &dyn Disk, directory: &Path) -> Result<Option<Self>, DirectoryError> {
        let path = directory.join(FILE);
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("opened", &path)(error).into()),
        };
        let mut bytes = [0; MAX_BYTES];
        let read = read_full(&*file, &mut bytes, 0).map_err(failed("read", &path))?;
        let damaged = |reason| DirectoryError::Damaged { file: path.clone(), reason };
        let text = std::str::from_utf8(&bytes[..read]).map_err(|_| damaged("it is no text".to_owned()))?;
        Self::parse(text).map(Some).map_err(damaged)
    }

    /// Writes it; after a crash it is there as before, or as it is now.
    pub(super) fn write(&self, disk: &dyn Disk, directory: &Path) -> Result<(), DirectoryError> {
        Ok(replace_file(disk, &directory.join(FILE), self.text().as_bytes())?)
    }

    fn text(&self) -> String {
        let mut text =
            format!("# Written by quotad, which knows by it what is its own.\nowner = {}\n", self.owner);
        if let Some(data_set) = self.data_set {
            text.push_str(&format!("data_set = {data_set}\n"));
        }
        if let Some(inode) = self.inode {
            text.push_str(&format!("inode = {inode}\n"));
        }
        if let Some(Known { epoch, applied }) = self.known {
            text.push_str(&format!("epoch = {epoch}\napplied = {applied}\n"));
        }
        text
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (mut owner, mut data_set, mut inode) = (None, None, None);
        let (mut epoch, mut applied) = (None, None);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = line.split_once('=').ok_or_else(|| format!("'{line}' is no 'name = id'"))?;
            let (name, value) = (name.trim(), value.trim());
            let is_twice = match name {
                "owner" => owner.replace(id(value)?).is_some(),
                "data_set" => data_set.replace(id(value)?).is_some(),
                "inode" => inode.replace(number(value, "inode")?).is_some(),
                "epoch" => epoch.replace(number(value, "epoch")?).is_some(),
                "applied" => applied.replace(number(value, "batch")?).is_some(),
                name => {
                    return Err(format!(
                        "it has '{name}'; known are owner, data_set, inode, epoch and applied"
                    ));
                }
            };
            if is_twice {
                return Err(format!("'{name}' is there twice"));
            }
        }
        let known = epoch.zip(applied).map(|(epoch, applied)| Known { epoch, applied });
        Ok(Self { owner: owner.ok_or("it names no owner")?, data_set, inode, known })
    }
}

fn number(value: &str, of: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("'{value}' is the number of no {of}"))
}

fn id(value: &str) -> Result<Id, String> {
    Id::parse(value).ok_or_else(|| format!("'{value}' is no id of 32 hexadecimal digits"))
}
