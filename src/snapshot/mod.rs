//! Snapshots: the whole data set as immutable objects in an object store.
//!
//! **Owns** their format, how they are written, read, retained and restored, and the objects they lie in. **Does not own** what
//! is in memory, the truth, or any setting. **May use** `engine`, `persist`, `quota`, `clock`, `metrics`.

pub mod format;
pub mod objects;
