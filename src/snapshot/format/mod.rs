//! The bytes of a snapshot: parts with entries, parts with closed periods, and a manifest that names them.
//!
//! **Owns** what a part and a manifest are made of, how they are checked, and how both are sealed with a key. **Does not own** where
//! they lie, which entries are written, or when. **May use** `engine`, `persist`, `quota`, `clock`.

mod closed;
mod columns;
mod entries;
mod error;
mod frame;
mod header;
mod identity;
mod key;
mod manifest;
mod packing;
mod reader;
mod seal;
#[cfg(test)]
mod tests;
mod text;
mod writer;

pub use entries::Entry;
pub use error::{FormatError, Place, Problem};
pub use header::{Holds, PartHeader};
pub use identity::SnapshotId;
pub use key::{KeyId, SealingKey, SealingKeys};
#[cfg(any(test, fuzzing))]
pub use manifest::seal_text;
pub use manifest::{Extent, MAX_MANIFEST_BYTES, MAX_PARTS, Manifest, ManifestPart, TruthKind};
pub use reader::{read_closed_part, read_part};
pub use writer::{BLOCK_BYTES, FinishedPart, MAX_PART_BYTES, PartWriter};
#[cfg(any(test, fuzzing))]
pub use writer::{block_of_part, part_of_block};
