//! The wiring: a running server, made of all parts.
//!
//! **Owns** the start and the end, the background work and its pace, the ports' implementations, the log, INFO's lines.
//! **Does not own** what any part does. **May use** everything; nothing uses it but `main.rs` and tests.

mod addresses;
mod assembly;
mod background;
mod descriptors;
mod evictor;
mod facts;
mod full_memory;
mod info;
mod log;
mod machine;
mod no_truth;
mod process;
mod progress_bar;
mod rates;
mod run;
mod serving;
mod settings;
mod signals;
mod slow_log;
mod snapshot_list;
mod snapshot_ports;
mod snapshot_restore;
mod snapshot_tools;
mod snapshots;
mod start;
mod sweep;
mod tools;
mod truth;
mod truth_figures;
mod truth_ports;

pub use run::run;
pub use snapshots::objects_settings;
pub use start::{Addresses, End, Server, StartError, Surroundings};
