//! The truth: what outlives the process.
//!
//! **Owns** the durable form of entries (records), the batches they travel in, the stores that keep them, and the promise
//! every store makes (`store`). **Does not own** what is in memory, when it is flushed, or any setting.
//! **May use** `engine`, `quota`, `clock`, `metrics`.

mod address;
mod applier;
mod backoff;
mod base;
pub mod batch;
pub(crate) mod bytes;
mod chain;
mod claim;
mod closed;
pub(crate) mod content;
#[cfg(test)]
mod contract;
mod damages;
pub mod directory;
mod disk;
mod ephemeral;
#[doc(hidden)]
pub mod fake;
pub mod fetched;
mod fetcher;
mod filter;
mod flush_stats;
mod flusher;
mod halves;
mod janitor;
mod lease;
pub(crate) mod limit;
mod migrations;
mod moment;
pub mod outbox;
mod pace;
mod pending;
pub mod postgres;
mod progress;
mod readable;
pub mod record;
mod recovery;
mod refusals;
mod rows;
mod service;
mod signals;
pub mod sqlite;
mod start;
pub mod store;
#[cfg(test)]
pub(crate) mod strategy;
mod token;
mod told_epochs;
pub mod usage;
mod verify;

pub use address::{TruthAddress, outbox_in};
pub use base::{Base, BaseEntry, BaseError, ChangedKeys, FoundBase, Past, Put};
pub use batch::{Batch, ClosedPeriod, PackedRecord, Records, RecordsIter};
pub use bytes::DecodeError;
pub use closed::{ClosedPage, ClosedPlace, ClosedUntil};
pub use content::{decode, encode};
pub use fetcher::FetchError;
pub use flush_stats::{Count, FlushStats};
pub use moment::{Moment, Moments};
pub use postgres::{PostgresOptions, PostgresStore};
pub use progress::Progress;
pub use readable::readable_value;
pub use record::{Record, StoredValue};
pub use recovery::{HasRoom, Loading};
pub use service::{OutboxSize, Truth, TruthParts};
pub use sqlite::SqliteStore;
pub use start::StartRefused;
pub use store::{
    Answer, Applied, Claim, Claimed, DataSetId, Epoch, EpochRow, Id, Lease, OwnerId, OwnerRow, Page, Pruned,
    RejectedRecord, Restore, Restoring, Store, StoreError, Tenure, Written,
};
pub use token::Token;
pub use told_epochs::{RefusedBatches, ToldEpochs};
pub use usage::{SlotUsage, usage_of};
pub use verify::{Difference, VerifyReport};
