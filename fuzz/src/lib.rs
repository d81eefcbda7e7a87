//! What several fuzz targets share: readers of requests, the reference decoder, and trees made of bytes.

pub use quotad::resp;

#[path = "../../src/resp/reference.rs"]
pub mod reference;

pub mod bytes;
pub mod requests;
