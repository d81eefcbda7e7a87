//! Tests of the engine as a whole.

#[cfg(not(feature = "shuttle"))]
mod dirty;
#[cfg(not(feature = "shuttle"))]
mod ephemeral;
#[cfg(not(feature = "shuttle"))]
mod evict;
mod keys;
mod limits;
#[cfg(not(feature = "shuttle"))]
mod snapshot;
#[cfg(not(feature = "shuttle"))]
mod threads;
#[cfg(not(feature = "shuttle"))]
mod truth;

use super::value::Content;
use super::{Engine, Expiry};
use crate::clock::Timestamp;

/// When the tests' time begins.
const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);

fn set(engine: &Engine, key: &str, value: &str) {
    let put = engine
        .edit(0, key.as_bytes(), START, |slot| slot.put(Content::string(value.as_bytes()), Expiry::NEVER));
    put.expect("the engine is complete");
}

fn get(engine: &Engine, key: &str, now: Timestamp) -> Option<String> {
    let read = engine.read(0, key.as_bytes(), now, |view| {
        view.string().map(|string| string.with_bytes(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    });
    read.expect("the engine is complete").flatten()
}
