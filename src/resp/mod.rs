//! The Redis protocol: bytes in, requests out; replies in, bytes out.
//!
//! **Owns** the request parser with its limits and error texts, and the encoding of replies for RESP2 and RESP3.
//!
//! **Does not own** sockets and buffers (`server/`), nor any command, error code or argument rule (`dispatch/`,
//! `command/`): it knows no command by name.
//!
//! **May use** nothing of this crate.
//!
//! Invariants: whatever the bytes, the parser neither panics nor recurses; how the bytes were split over reads never
//! changes what is read; memory grows with the bytes that arrived, never with a length that was announced.

mod aggregate;
mod arguments;
mod decimal;
mod double;
mod encode;
mod error;
mod inline;
mod limits;
mod protocol;
#[cfg(test)]
mod reference;
mod reply;
mod request;

pub use aggregate::Deferred;
pub use arguments::{Arguments, Request};
pub use encode::{Mark, ReplyWriter, write_request};
pub use error::ProtocolError;
pub use limits::RequestLimits;
pub use protocol::{Protocol, VerbatimFormat};
pub use reply::Reply;
pub use request::RequestParser;
