//! The store in which a snapshot's objects lie.
//!
//! **Owns** the few operations on objects, their bounds, tries and errors, and the stores behind them. **Does not own** what is
//! in an object, nor which are kept. **May use** `clock` of this crate.
//!
//! Every operation ends: a try has half of the request's time, the request with all its tries the whole of it. Objects are
//! whole: what was put by a try that failed is there as a whole or not at all, and no part of an upload is left in a bucket.

mod create;
mod credentials;
mod error;
mod failure;
mod leftovers;
mod name;
mod operations;
mod settings;
mod stores;
mod tries;

pub use error::ObjectsError;
pub use operations::{Created, MOST_LISTED, MOST_OBJECT_BYTES, ObjectInfo, Objects};
pub use settings::{Credentials, Encryption, ObjectsPlace, ObjectsSettings, S3Settings};
