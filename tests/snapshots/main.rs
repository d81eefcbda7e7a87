//! Where snapshots are kept: what every store promises, and what comes of faults on the way to one.
#![expect(clippy::unwrap_used, reason = "these are tests, and the errors of objects say what failed where")]

#[expect(dead_code, reason = "the drills use more of it")]
#[path = "../support/http_proxy.rs"]
mod http_proxy;
#[path = "../support/moto.rs"]
mod moto;
#[path = "../support/s3_server.rs"]
mod s3_server;

mod conditions;
mod contract;
mod faults;
mod refusals;
mod stores;
