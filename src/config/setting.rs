//! What one setting says of itself.

use super::Kind;

/// One setting: everything that names, documents, reads or shows it is derived from this.
#[derive(Debug)]
pub struct Setting {
    /// In lower case with dashes; Redis's name where Redis has the setting.
    pub name: &'static str,
    /// What it may be and where it is kept.
    pub kind: Kind,
    /// The value when nothing is said: texts as a file or flag would have them; none for a path that is not set.
    pub default: &'static [&'static str],
    /// Whether CONFIG SET may change it.
    pub change: Change,
    /// One or two sentences.
    pub help: &'static str,
}

/// When a setting can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// By CONFIG SET, while the server runs.
    Live,
    /// Only before the start.
    AtStart,
}

/// What environment variables begin with.
pub(super) const VARIABLE_PREFIX: &str = "QUOTAD_";

impl Setting {
    /// The environment variable: `QUOTAD_MAX_KEY_BYTES`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.replace('-', "_").to_ascii_uppercase())
    }

    /// The default as people read it.
    #[must_use]
    pub fn default_text(&self) -> String {
        if self.default.is_empty() { "none".to_owned() } else { self.default.join(" ") }
    }
}
