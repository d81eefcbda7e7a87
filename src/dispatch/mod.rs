//! How a command is described, found, checked and run.
//!
//! **Owns** the command table, argument reading, the session of a client, the texts of errors, and the small traits
//! (`ports`) for what commands need from outside. **Does not own** any command, socket or setting.
//! **May use** `resp`, `engine`, `quota`, `clock`, `metrics`.

pub mod args;
pub mod client;
pub mod context;
pub mod error;
pub mod execute;
pub mod limit_memo;
pub mod outcome;
pub mod ports;
pub mod scratch;
pub mod session;
pub mod spec;
pub mod table;
#[doc(hidden)]
pub mod testing;

pub use args::Args;
pub use client::ClientRecord;
pub use context::Context;
pub use error::CommandError;
pub use execute::Executor;
pub use limit_memo::{LimitMemo, ParsedLimits};
pub use outcome::{Answer, Handled, Outcome, Stop};
pub use ports::Ports;
pub use scratch::Scratch;
pub use session::{ReplyMode, Session};
pub use spec::{Arity, Example, Flags, Group, Keys, Spec, example};
pub use table::{Command, CommandTable};

pub use crate::engine::{Ahead, Missing};
