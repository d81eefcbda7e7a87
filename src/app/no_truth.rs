//! Fetching and durability without a truth: memory holds all there is, and no copy exists.

use crate::dispatch::ports::{Durability, Fetch, Pending};
use crate::engine::Missing;

/// A server whose memory is all there is.
pub struct NoTruth;

impl Fetch for NoTruth {
    fn fetch(&self, _missing: Missing) -> Pending<Result<(), String>> {
        // An engine that knows all its keys never asks.
        Box::pin(std::future::ready(Err(
            "keys are missing, and there is no truth to fetch them from".to_owned()
        )))
    }
}

impl Durability for NoTruth {
    fn open_flush(&self) -> u64 {
        0
    }

    fn wait(&self, _replicas: u64, _timeout_ms: u64) -> Pending<u64> {
        // No copy will ever have it, so waiting longer cannot change the answer.
        Box::pin(std::future::ready(0))
    }
}
