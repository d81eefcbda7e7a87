//! Where the truth is, as settings name it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::postgres_address::{check, is_meant, shown, without_rest};

/// What an SQLite file's path follows.
const SQLITE_PREFIX: &str = "sqlite:";

/// The file in the data directory, where no other is named.
const SQLITE_FILE: &str = "truth.sqlite";

/// The store that wins on restart.
#[derive(Clone, PartialEq, Eq)]
pub enum TruthSetting {
    /// Memory is all there is.
    None,
    /// An SQLite file; without a path the one in the data directory.
    Sqlite(Option<PathBuf>),
    /// A Postgres database, by an address that may hold a password.
    Postgres(String),
}

impl TruthSetting {
    /// What [`parse`](Self::parse) takes, for error texts.
    pub const ALLOWED: &'static str =
        "sqlite, sqlite:PATH, postgres://user:password@host:port/database or none";

    /// The same without none, for what needs a store.
    pub const ALLOWED_STORES: &'static str =
        "sqlite, sqlite:PATH or postgres://user:password@host:port/database";

    /// Reads a truth's address; of Postgres's only the beginning is looked at, the rest when it is checked.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if is_meant(text) {
            return Some(Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix(SQLITE_PREFIX) {
            Some("") => Some(Self::Sqlite(None)),
            Some(path) => Some(Self::Sqlite(Some(PathBuf::from(path)))),
            None if text == "sqlite" => Some(Self::Sqlite(None)),
            None if text == "none" => Some(Self::None),
            None => None,
        }
    }

    /// Whether the address has the form of one, and parameters that exist; nothing is looked up.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Postgres(address) => check(address),
            Self::None | Self::Sqlite(_) => Ok(()),
        }
    }

    /// The SQLite file, where that is the truth.
    #[must_use]
    pub fn sqlite_path(&self, data_dir: &Path) -> Option<PathBuf> {
        match self {
            Self::Sqlite(path) => Some(path.clone().unwrap_or_else(|| data_dir.join(SQLITE_FILE))),
            Self::None | Self::Postgres(_) => None,
        }
    }
}

/// What was given as a truth, right or wrong, without what may be a password.
pub(super) fn without_password(text: &str) -> String {
    match TruthSetting::parse(text) {
        Some(setting) => setting.to_string(),
        None => without_rest(text),
    }
}

impl fmt::Display for TruthSetting {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::Sqlite(None) => formatter.write_str("sqlite"),
            Self::Sqlite(Some(path)) => write!(formatter, "{SQLITE_PREFIX}{}", path.display()),
            Self::Postgres(address) => formatter.write_str(&shown(address)),
        }
    }
}

impl fmt::Debug for TruthSetting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truths_are_named_and_passwords_hidden() {
        for (text, shown) in [
            ("none", "none"),
            ("sqlite", "sqlite"),
            ("sqlite:", "sqlite"),
            ("sqlite:/a/b", "sqlite:/a/b"),
            ("postgres://h/base", "postgres://h/base"),
            ("postgres://u@h:5/base", "postgres://u@h:5/base"),
            ("postgres://u:secret@h/base?schema=b", "postgres://u:(hidden)@h/base?schema=b"),
            ("postgres://u@h/base?password=secret", "postgres://u@h/base?password=(hidden)"),
            ("postgresql://u:se/cr@et@h/base", "postgresql://(hidden)"),
        ] {
            assert_eq!(TruthSetting::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "nothing", "postgres://", "mysql://u:p@h/b", "sqlite3"] {
            assert_eq!(TruthSetting::parse(text), None, "{text}");
        }
        assert_eq!(without_password("postgre://u:secret@h/b"), "postgre://(hidden)");
    }

    #[test]
    fn the_file_is_in_the_data_directory_unless_named() {
        let path = |text: &str| TruthSetting::parse(text).unwrap().sqlite_path(Path::new("/data"));
        assert_eq!(path("sqlite"), Some(PathBuf::from("/data/truth.sqlite")));
        assert_eq!(path("sqlite:other"), Some(PathBuf::from("other")));
        assert_eq!(path("none"), None);
    }
}
