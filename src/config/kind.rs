//! The kinds of settings: how each is read, checked and shown.

use std::fmt;
use std::path::PathBuf;

use super::quantity::{bytes, bytes_with_unit, seconds};
use super::snapshots::without_keys;
use super::store_address::without_user;
use super::truth::without_password;
use super::{AdminAddress, Config, ListenAddress, LogFormat, LogLevel, SnapshotsSetting, TruthSetting};

/// The place of a value in the settings.
pub type Field<T> = fn(&mut Config) -> &mut T;

/// Permissions to read, write and run for owner, group and others: a socket has no other.
const MOST_MODE: u32 = 0o777;

/// The longest name of a region or key of a store: an Amazon resource name has up to 2,048 bytes, a key's some 100.
const MOST_NAME_BYTES: usize = 2_048;

/// The last of the databases that clients can select.
pub const LAST_DATABASE: u8 = 15;

/// What a setting's value may be, and where it is kept.
pub enum Kind {
    /// Bytes, with a unit or without.
    Bytes {
        /// Where it is kept.
        field: Field<u64>,
        /// The least that is allowed.
        least: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// A duration in seconds, with a unit or without.
    Seconds {
        /// Where it is kept.
        field: Field<u64>,
        /// The most that is allowed.
        most: u64,
    },
    /// A count.
    Count {
        /// Where it is kept.
        field: Field<u64>,
        /// The least that is allowed.
        least: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// A number, -1 or more.
    Signed {
        /// Where it is kept.
        field: Field<i64>,
    },
    /// One of several words.
    Word {
        /// Where it is kept.
        field: Field<&'static str>,
        /// The words.
        words: &'static [&'static str],
    },
    /// How much is logged.
    LogLevel(Field<LogLevel>),
    /// How log lines look.
    LogFormat(Field<LogFormat>),
    /// `yes` or `no`.
    Switch(Field<bool>),
    /// As [`Switch`](Self::Switch), and the flag alone says yes.
    Flag(Field<bool>),
    /// The truth.
    Truth(Field<TruthSetting>),
    /// Where snapshots are kept.
    Snapshots(Field<SnapshotsSetting>),
    /// The address of a server that speaks HTTP, or none; it is looked at when it is checked.
    OptionalAddress(Field<Option<String>>),
    /// A name, or none.
    OptionalName(Field<Option<String>>),
    /// Permissions of a file in octal digits; 0: what the umask leaves.
    Mode(Field<u32>),
    /// A path that must be given.
    Path(Field<PathBuf>),
    /// A path, or none.
    OptionalPath(Field<Option<PathBuf>>),
    /// Any number of paths.
    Paths(Field<Vec<PathBuf>>),
    /// Any number of databases.
    Databases(Field<Vec<u8>>),
    /// One or more addresses.
    Addresses(Field<Vec<ListenAddress>>),
    /// The admin address.
    Admin(Field<AdminAddress>),
}

/// A value that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAllowed {
    /// The value, or the one of several that is wrong.
    pub value: String,
}

impl Kind {
    /// Reads `texts`, which is one text unless the kind is a list, and puts the value into `config`.
    ///
    /// # Errors
    /// The text that is not [allowed](Self::allowed); `config` is unchanged.
    pub fn set(&self, config: &mut Config, texts: &[String]) -> Result<(), NotAllowed> {
        if let Self::Addresses(field) = self {
            let addresses = texts.iter().map(|text| ListenAddress::parse(text).ok_or_else(|| not(text)));
            let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
            if addresses.is_empty() {
                return Err(not(""));
            }
            *field(config) = addresses;
            return Ok(());
        }
        if let Self::Databases(field) = self {
            let texts = texts.iter().filter(|text| !text.is_empty());
            let databases = texts.map(|text| database(text).ok_or_else(|| not(text)));
            let mut databases = databases.collect::<Result<Vec<_>, _>>()?;
            databases.sort_unstable();
            databases.dedup();
            *field(config) = databases;
            return Ok(());
        }
        if let Self::Paths(field) = self {
            *field(config) = texts.iter().filter(|text| !text.is_empty()).map(PathBuf::from).collect();
            return Ok(());
        }
        match texts {
            [] => self.set_one(config, ""),
            [text] => self.set_one(config, text),
            _ => None,
        }
        .ok_or_else(|| not(&self.told(&texts.join(" "))))
    }

    /// What was given, right or wrong, as it may be told: a password may be in what is no address.
    pub(super) fn told(&self, text: &str) -> String {
        match self {
            Self::Truth(_) => without_password(text),
            Self::Snapshots(_) => without_keys(text),
            Self::OptionalAddress(_) => without_user(text),
            _ => text.to_owned(),
        }
    }

    fn set_one(&self, config: &mut Config, text: &str) -> Option<()> {
        match self {
            Self::Bytes { field, least, most } => {
                *field(config) = bytes(text).filter(|bytes| (least..=most).contains(&bytes))?;
            }
            Self::Seconds { field, most } => {
                *field(config) = seconds(text).filter(|seconds| seconds <= most)?;
            }
            Self::Count { field, least, most } => {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let count = text.parse().ok().filter(|count| digits && (least..=most).contains(&count));
                *field(config) = count?;
            }
            Self::Signed { field } => *field(config) = text.parse().ok().filter(|number| *number >= -1)?,
            Self::Word { field, words } => *field(config) = words.iter().find(|word| **word == text)?,
            Self::LogLevel(field) => *field(config) = named(&LogLevel::NAMES, text)?,
            Self::LogFormat(field) => *field(config) = named(&LogFormat::NAMES, text)?,
            Self::Switch(field) | Self::Flag(field) => {
                *field(config) = match text {
                    "yes" | "true" => true,
                    "no" | "false" => false,
                    _ => return None,
                }
            }
            Self::Mode(field) => {
                // `from_str_radix` takes a plus sign.
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                *field(config) =
                    u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= MOST_MODE)?;
            }
            Self::Path(field) => *field(config) = Some(PathBuf::from(text)).filter(|_| !text.is_empty())?,
            Self::OptionalPath(field) => {
                *field(config) = Some(PathBuf::from(text)).filter(|_| !text.is_empty());
            }
            Self::Admin(field) => *field(config) = AdminAddress::parse(text)?,
            Self::Truth(field) => *field(config) = TruthSetting::parse(text)?,
            Self::Snapshots(field) => *field(config) = SnapshotsSetting::parse(text)?,
            Self::OptionalAddress(field) => {
                *field(config) = Some(text.to_owned()).filter(|text| !text.is_empty());
            }
            Self::OptionalName(field) => {
                let is_name =
                    text.len() <= MOST_NAME_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
                *field(config) =
                    Some(Some(text.to_owned()).filter(|text| !text.is_empty())).filter(|_| is_name)?;
            }
            Self::Addresses(_) | Self::Paths(_) | Self::Databases(_) => return None,
        }
        Some(())
    }

    /// The value as CONFIG GET answers it; several are separated by spaces.
    #[must_use]
    pub fn show(&self, config: &Config) -> String {
        self.texts(config).join(" ")
    }

    /// The value as texts that [`set`](Self::set) reads.
    #[must_use]
    pub fn texts(&self, config: &Config) -> Vec<String> {
        // A field is named by a function that can also change it, so it is read from a copy: this is no hot path.
        let config = &mut config.clone();
        let text = match self {
            Self::Bytes { field, .. } | Self::Seconds { field, .. } | Self::Count { field, .. } => {
                field(config).to_string()
            }
            Self::Signed { field } => field(config).to_string(),
            Self::Word { field, .. } => (*field(config)).to_owned(),
            Self::LogLevel(field) => name_of(&LogLevel::NAMES, *field(config)),
            Self::LogFormat(field) => name_of(&LogFormat::NAMES, *field(config)),
            Self::Switch(field) | Self::Flag(field) => if *field(config) { "yes" } else { "no" }.to_owned(),
            Self::Mode(field) => format!("{:o}", field(config)),
            Self::Path(field) => field(config).display().to_string(),
            Self::OptionalPath(field) => {
                field(config).as_ref().map_or_else(String::new, |path| path.display().to_string())
            }
            Self::Addresses(field) => return field(config).iter().map(ToString::to_string).collect(),
            Self::Databases(field) => return field(config).iter().map(ToString::to_string).collect(),
            Self::Admin(field) => field(config).to_string(),
            Self::Truth(field) => field(config).to_string(),
            Self::Snapshots(field) => field(config).to_string(),
            Self::OptionalAddress(field) => field(config).as_deref().map_or_else(String::new, without_user),
            Self::OptionalName(field) => field(config).clone().unwrap_or_default(),
            Self::Paths(field) => {
                return field(config).iter().map(|path| path.display().to_string()).collect();
            }
        };
        vec![text]
    }

    /// What may be given, as the end of the sentence "allowed is ...".
    #[must_use]
    pub fn allowed(&self) -> String {
        match self {
            Self::Bytes { least: 0, most: u64::MAX, .. } => "bytes, such as 1048576, 100mb or 2gb".to_owned(),
            Self::Bytes { least, most, .. } => format!(
                "bytes from {} to {}, such as 1048576 or 100mb",
                bytes_with_unit(*least),
                bytes_with_unit(*most)
            ),
            Self::Seconds { most, .. } => format!("seconds from 0 to {most}, such as 300 or 5m"),
            Self::Count { least, most, .. } => format!("a number from {least} to {most}"),
            Self::Signed { .. } => format!("a number from -1 to {}", i64::MAX),
            Self::Word { words, .. } => words.join(" or "),
            Self::LogLevel(_) => "error, warn, info, debug or trace".to_owned(),
            Self::LogFormat(_) => "text or json".to_owned(),
            Self::Switch(_) | Self::Flag(_) => "yes or no".to_owned(),
            Self::Truth(_) => TruthSetting::ALLOWED.to_owned(),
            Self::Snapshots(_) => SnapshotsSetting::ALLOWED.to_owned(),
            Self::OptionalAddress(_) => "https://host:port".to_owned(),
            Self::OptionalName(_) => {
                format!("a name of at most {MOST_NAME_BYTES} letters, digits and marks, without spaces")
            }
            Self::Databases(_) => {
                format!(
                    "databases from 0 to {LAST_DATABASE} with commas between them, in a file also as a list"
                )
            }
            Self::Paths(_) => "paths with commas between them, in a file also as a list".to_owned(),
            Self::Mode(_) => format!("octal digits from 0 to {MOST_MODE:o}, in a file in quotes: \"770\""),
            Self::Path(_) | Self::OptionalPath(_) => "a path".to_owned(),
            Self::Addresses(_) => format!(
                "{}; several with commas between them, in a file also as a list: [\"host:1\", \"unix:/path\"]",
                ListenAddress::ALLOWED
            ),
            Self::Admin(_) => AdminAddress::ALLOWED.to_owned(),
        }
    }

    /// The values in a text that a flag, a variable or a file gives as one: several are separated by commas or spaces.
    #[must_use]
    pub fn split(&self, text: &str) -> Vec<String> {
        if !self.is_list() {
            return vec![text.to_owned()];
        }
        text.split([',', ' ']).filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// Whether several values may be given.
    #[must_use]
    pub const fn is_list(&self) -> bool {
        matches!(self, Self::Addresses(_) | Self::Paths(_) | Self::Databases(_))
    }

    /// Whether the value is a number or a switch, which a TOML file writes without quotes.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        matches!(self, Self::Bytes { .. } | Self::Seconds { .. } | Self::Count { .. } | Self::Signed { .. })
    }

    /// The name of a value in `--help`.
    #[must_use]
    pub const fn placeholder(&self) -> &'static str {
        match self {
            Self::Bytes { .. } => "BYTES",
            Self::Seconds { .. } => "SECONDS",
            Self::Count { .. } | Self::Signed { .. } | Self::Databases(_) => "N",
            Self::Word { .. } | Self::LogLevel(_) | Self::LogFormat(_) => "WORD",
            Self::Switch(_) | Self::Flag(_) => "yes|no",
            Self::Truth(_) => "TRUTH",
            Self::Snapshots(_) => "STORE",
            Self::OptionalAddress(_) => "URL",
            Self::OptionalName(_) => "NAME",
            Self::Mode(_) => "OCTAL",
            Self::Path(_) | Self::OptionalPath(_) | Self::Paths(_) => "PATH",
            Self::Addresses(_) | Self::Admin(_) => "ADDR",
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.placeholder())
    }
}

/// The number of a database.
fn database(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|database| digits && *database <= LAST_DATABASE)
}

fn not(value: &str) -> NotAllowed {
    NotAllowed { value: value.to_owned() }
}

fn named<T: Copy>(names: &[(&str, T)], text: &str) -> Option<T> {
    names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
}

fn name_of<T: Copy + PartialEq>(names: &[(&str, T)], value: T) -> String {
    names.iter().find(|(_, known)| *known == value).map_or_else(String::new, |(name, _)| (*name).to_owned())
}
