//! The wiring: builds a server out of its parts, and puts the process behind the ports.
pub mod background;
pub mod facts;
mod info;
pub mod log;
pub mod machine;
pub mod no_truth;
pub mod process;
pub mod rates;
pub mod settings;
pub mod slow_log;
pub mod sweep;
