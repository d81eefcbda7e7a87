//! What fuzz targets consist of: readers of requests, a connection, a naive model, the reference decoder, values made of bytes.

pub use quotad::resp;

#[path = "../../src/resp/reference.rs"]
pub mod reference;

pub mod bytes;
pub mod connection;
pub mod history;
pub mod limits;
pub mod model;
pub mod oracles;
pub mod requests;
