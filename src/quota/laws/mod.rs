//! The laws every kind keeps, as property tests, and a naive model of them all.
//!
//! **Owns** the tests that run on every kind. **Does not own** examples of one file, which stand at its bottom.
//! **May use** the whole of `quota`.

mod bounds;
mod model;
mod single;
mod strategy;
