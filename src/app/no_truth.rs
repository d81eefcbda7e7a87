//! Fetching and durability without a truth: memory holds all there is, and no copy exists.

use std::future::ready;

use crate::dispatch::ports::{
    Copies, Durability, Fetch, FetchError, Figure, NO_TRUTH, Pending, Synced, Verified,
};
use crate::engine::Missing;

/// A server whose memory is all there is.
pub struct NoTruth;

impl Fetch for NoTruth {
    fn fetch(&self, _needed: Missing, _ahead: Missing) -> Pending<Result<(), FetchError>> {
        // An engine that knows all its keys never asks.
        let error = "ERR keys are missing, and there is no truth to fetch them from".to_owned();
        Box::pin(ready(Err(FetchError::Away(error))))
    }
}

impl Durability for NoTruth {
    fn open_flush(&self) -> u64 {
        0
    }

    fn refuses(&self) -> bool {
        false
    }

    fn refusal(&self) -> String {
        String::new()
    }

    fn note_turn(&self) {}

    fn copies(&self) -> Copies {
        Copies::default()
    }

    fn wait(&self, _wanted: Copies, _timeout_ms: u64) -> Pending<Copies> {
        // No copy will ever have it, so waiting longer cannot change the answer.
        Box::pin(ready(Copies::default()))
    }

    fn commit(&self, _database: u8, _key: &[u8]) -> Pending<Result<(), String>> {
        Box::pin(ready(Err(format!("ERR {NO_TRUTH}"))))
    }

    fn sync(&self, _token: u64, _timeout_ms: u64) -> Pending<Result<Synced, String>> {
        Box::pin(ready(Err(NO_TRUTH.to_owned())))
    }

    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }

    fn verify(&self) -> Pending<Result<Verified, String>> {
        Box::pin(ready(Err(NO_TRUTH.to_owned())))
    }
}
