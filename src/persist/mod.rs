//! The truth: what outlives the process.
//!
//! **Owns** the durable form of entries (records), the batches they travel in, the stores that keep them, and the promise
//! every store makes (`store`). **Does not own** what is in memory, when it is flushed, or any setting.
//! **May use** `engine`, `quota`, `clock`, `metrics`.

pub mod batch;
mod bytes;
mod chain;
mod claim;
mod content;
#[cfg(test)]
mod contract;
#[doc(hidden)]
pub mod fake;
mod limit;
mod migrations;
pub mod postgres;
pub mod record;
mod rows;
pub mod sqlite;
pub mod store;
#[cfg(test)]
mod strategy;
pub mod usage;

pub use batch::{Batch, ClosedPeriod};
pub use bytes::DecodeError;
pub use content::{decode, encode};
pub use postgres::{PostgresOptions, PostgresStore};
pub use record::{Record, StoredValue};
pub use sqlite::SqliteStore;
pub use store::{
    Answer, Applied, Claim, Claimed, DataSetId, Epoch, EpochRow, Id, Lease, OwnerId, OwnerRow, Page, Pruned,
    RejectedRecord, Store, StoreError, Tenure,
};
pub use usage::{SlotUsage, usage_of};
