//! What is said of a setting that is wrong: one line with its name, where it came from, its value, and what is allowed.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody gave one.
    Default,
    /// The file.
    File(PathBuf),
    /// The environment variable of this name.
    Variable(String),
    /// The flag of this name.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("the default"),
            Self::File(path) => write!(formatter, "file {}", path.display()),
            Self::Variable(name) => write!(formatter, "variable {name}"),
            Self::Flag(name) => write!(formatter, "flag --{name}"),
        }
    }
}

/// A wrong setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingError {
    /// A value that is not allowed.
    Value {
        /// The setting's name.
        setting: &'static str,
        /// Where the value came from.
        source: Source,
        /// The value.
        value: String,
        /// What may be given.
        allowed: String,
    },
    /// A name that no setting has.
    Unknown {
        /// Where it was given.
        source: Source,
        /// The name as given.
        name: String,
        /// The name that was probably meant, as it would be written there.
        near: Option<String>,
    },
    /// A setting whose value is allowed but cannot be used.
    Unusable {
        /// The setting's name.
        setting: &'static str,
        /// Where the value came from.
        source: Source,
        /// The value.
        value: String,
        /// Why.
        reason: String,
    },
    /// A command line that is none.
    CommandLine(String),
}

impl fmt::Display for SettingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { setting, source, value, allowed } => {
                write!(formatter, "{setting} cannot be {value:?} ({source}): allowed is {allowed}")
            }
            Self::Unusable { setting, source, value, reason } => {
                write!(formatter, "{setting} cannot be {value:?} ({source}): {reason}")
            }
            Self::Unknown { source, name, near } => {
                let (place, prefix) = match source {
                    Source::Flag(_) => ("command line".to_owned(), "--"),
                    Source::Variable(_) => ("environment".to_owned(), ""),
                    other => (other.to_string(), ""),
                };
                write!(formatter, "{prefix}{name} is no setting ({place})")?;
                match near {
                    Some(near) => write!(formatter, ": did you mean {prefix}{near}?"),
                    None => formatter.write_str(": quotad --help lists all settings"),
                }
            }
            Self::CommandLine(text) => formatter.write_str(text),
        }
    }
}

impl std::error::Error for SettingError {}
