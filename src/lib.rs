//! quotad: an in-memory quota server that speaks the Redis protocol.
//!
//! `ARCHITECTURE.md` describes the flow and the layers; each module's header says what it owns.

pub mod admin;
pub mod app;
pub mod clock;
pub mod command;
pub mod config;
pub mod dispatch;
pub mod engine;
pub mod essential;
pub mod metrics;
pub mod persist;
pub mod quota;
pub mod resp;
pub mod server;
pub mod snapshot;
