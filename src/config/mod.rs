//! The settings: what can be set, from where, and what came of it.
//!
//! **Owns** the one table of settings ([`SETTINGS`]), from which flags, environment variables, file keys, CONFIG GET and SET,
//! `--help`, `--print-config` and the README's table are derived; their parsing, precedence and error texts.
//! **Does not own** what a setting does, nor the values while the server runs (`app::settings`). **May use** nothing.
//!
//! A new setting is a field of [`Config`] and a line of the table.

mod address;
mod aws;
mod bounded_file;
mod command_line;
mod error;
mod file;
mod kind;
mod near;
mod postgres_address;
mod profile;
mod quantity;
mod render;
mod resolve;
mod secret;
mod service_link;
mod setting;
mod snapshot_checks;
mod snapshot_keys;
mod snapshot_line;
mod snapshots;
mod store_address;
mod table;
mod truth;
mod values;

pub use address::{AdminAddress, ListenAddress};
pub use aws::{AwsAccess, AwsCredentials};
pub use command_line::{Action, CommandLine, CommandLineEnd};
pub use error::{SettingError, Source};
pub use kind::{Kind, LAST_DATABASE};
pub use quantity::bytes_with_unit;
pub use render::{print_config, readme_table};
pub use resolve::{Resolved, resolve};
pub use secret::Secret;
pub use setting::{Change, Setting};
pub use snapshot_line::SnapshotAction;
pub use snapshots::SnapshotsSetting;
pub use table::{ENCRYPTIONS, PATH_STYLES, POLICIES, SETTINGS, setting};
pub use truth::TruthSetting;
pub use values::{Config, LogFormat, LogLevel};
