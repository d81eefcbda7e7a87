//! Snapshots: the whole data set as immutable objects in an object store.
//!
//! **Owns** their format, how they are written, read, retained and restored, and the objects they lie in. **Does not own** what
//! is in memory, the truth, or any setting. **May use** `engine`, `persist`, `quota`, `clock`, `metrics`.

mod base;
mod catalog;
mod error;
pub mod format;
mod load;
mod names;
pub mod objects;
mod restore;
mod retention;
mod service;
mod source;
mod stats;
mod walk;
mod writer;

pub use base::SnapshotBase;
pub use catalog::{Catalog, Claimant, Listed};
pub use error::SnapshotError;
pub use load::load;
pub use restore::{Progress, RestoreOrder, Restored, Stage, Verified, restore, verify};
pub use retention::{Kept, Pruned, Retention, prune};
pub use service::{SnapshotParts, Snapshots};
pub use source::{MemorySource, Source};
pub use stats::{LastSnapshot, SnapshotFigures, SnapshotStats};
pub use writer::Writer;
