//! The truth: what outlives the process.
//!
//! **Owns** the durable form of entries (records), the batches they travel in, the stores that keep them, and the promise
//! every store makes (`store`). **Does not own** what is in memory, when it is flushed, or any setting.
//! **May use** `engine`, `quota`, `clock`, `metrics`.

pub mod batch;
mod bytes;
mod content;
mod limit;
pub mod record;
#[cfg(test)]
mod strategy;
pub mod usage;

pub use batch::{Batch, ClosedPeriod};
pub use bytes::DecodeError;
pub use content::{decode, encode};
pub use record::{Record, StoredValue};
pub use usage::{SlotUsage, usage_of};
