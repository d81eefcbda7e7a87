//! Where snapshots are kept, as settings name it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::postgres_address::{HIDDEN, without_rest};

/// What a bucket's address begins with.
const BUCKET_PREFIX: &str = "s3://";

/// What a folder's address begins with.
const FOLDER_PREFIX: &str = "file://";

/// The folder in the data directory, where nothing else is named.
const FOLDER: &str = "snapshots";

/// The lengths of a bucket's name. Source: "Bucket naming rules" of Amazon S3.
const BUCKET_BYTES: std::ops::RangeInclusive<usize> = 3..=63;

/// The longest prefix: names with it have at most 1,024 bytes.
const MOST_PREFIX_BYTES: usize = 400;

/// The store of snapshots.
#[derive(Clone, PartialEq, Eq)]
pub enum SnapshotsSetting {
    /// There are none.
    None,
    /// A folder; without a path the one in the data directory.
    Folder(Option<PathBuf>),
    /// A bucket and a prefix, by an address that is looked at when it is checked.
    S3(String),
}

impl SnapshotsSetting {
    /// What [`parse`](Self::parse) takes, for error texts.
    pub const ALLOWED: &'static str = "data-dir (the folder snapshots in data-dir), file:///path, s3://bucket/prefix or none; \
        stores behind gs:// and az:// are not built in";

    /// Reads where snapshots are kept; of a bucket's address only the beginning is looked at, the rest when it is checked.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "data-dir" => Some(Self::Folder(None)),
            _ if text.starts_with(BUCKET_PREFIX) => Some(Self::S3(text.to_owned())),
            _ => {
                let path = text.strip_prefix(FOLDER_PREFIX).filter(|path| path.starts_with('/'))?;
                Some(Self::Folder(Some(PathBuf::from(path))))
            }
        }
    }

    /// Whether the address has the form of one; nothing is looked up.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        let Some((bucket, prefix)) = self.bucket() else { return Ok(()) };
        if prefix.contains(['?', '#']) || bucket.contains(['@', ':', '?', '#']) {
            return Err("credentials, ports and parameters do not stand in the address: keys are in AWS_ACCESS_KEY_ID \
                 and AWS_SECRET_ACCESS_KEY or a profile, another store is named by snapshot-endpoint"
                .to_owned());
        }
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_plain = bucket.bytes().all(|byte| is_letter(byte) || b"-.".contains(&byte));
        let is_edge = |byte: Option<u8>| byte.is_some_and(is_letter);
        let ends = is_edge(bucket.bytes().next()) && is_edge(bucket.bytes().next_back());
        if !is_plain || !ends || !BUCKET_BYTES.contains(&bucket.len()) {
            let (least, most) = (BUCKET_BYTES.start(), BUCKET_BYTES.end());
            return Err(format!(
                "a bucket's name has {least} to {most} small letters, digits, dots and dashes, with a letter or digit at each end"
            ));
        }
        let is_segment = |segment: &str| {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !segment.bytes().all(|byte| byte == b'.') && segment.bytes().all(is_name)
        };
        if !prefix.is_empty() && (!prefix.split('/').all(is_segment) || prefix.len() > MOST_PREFIX_BYTES) {
            return Err(format!(
                "a prefix has at most {MOST_PREFIX_BYTES} letters, digits, dots, dashes and underscores, with single slashes between them"
            ));
        }
        Ok(())
    }

    /// The bucket and the prefix, without slashes around it, where snapshots are in a bucket.
    #[must_use]
    pub fn bucket(&self) -> Option<(&str, &str)> {
        let Self::S3(address) = self else { return None };
        let rest = address.strip_prefix(BUCKET_PREFIX)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Some((bucket, prefix.strip_suffix('/').unwrap_or(prefix)))
    }

    /// The folder, where snapshots are in one.
    #[must_use]
    pub fn folder(&self, data_dir: &Path) -> Option<PathBuf> {
        match self {
            Self::Folder(path) => Some(path.clone().unwrap_or_else(|| data_dir.join(FOLDER))),
            Self::None | Self::S3(_) => None,
        }
    }
}

/// What was given for snapshots, right or wrong, without what may be a key.
pub(super) fn without_keys(text: &str) -> String {
    match SnapshotsSetting::parse(text) {
        Some(setting) => setting.to_string(),
        None if is_path(text) => text.to_owned(),
        None => without_rest(text),
    }
}

/// Whether it was meant as a path, with file: before it or without, and nothing in it stands where a key or parameter does.
fn is_path(text: &str) -> bool {
    let is_meant = ["/", "./", "../", "~/", "file:"].iter().any(|begin| text.starts_with(begin));
    is_meant && !text.contains(['@', '?', '#', '='])
}

impl fmt::Display for SnapshotsSetting {
    /// Without what may be a key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::Folder(None) => formatter.write_str("data-dir"),
            Self::Folder(Some(path)) => write!(formatter, "{FOLDER_PREFIX}{}", path.display()),
            Self::S3(address) if address[BUCKET_PREFIX.len()..].contains(['@', ':', '?', '#', '=']) => {
                write!(formatter, "{BUCKET_PREFIX}{HIDDEN}")
            }
            Self::S3(address) => formatter.write_str(address),
        }
    }
}

impl fmt::Debug for SnapshotsSetting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_and_keys_hidden() {
        for (text, shown) in [
            ("none", "none"),
            ("data-dir", "data-dir"),
            ("file:///a/b", "file:///a/b"),
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/a/b/", "s3://bucket/a/b/"),
            ("s3://ID:HUNTER@bucket/a", "s3://(hidden)"),
            ("s3://bucket/a?secret=HUNTER", "s3://(hidden)"),
        ] {
            assert_eq!(SnapshotsSetting::parse(text).unwrap().to_string(), shown);
        }
        for text in
            ["", "folder", "file://", "file://a/b", "file:/a", "/a/b", "gs://bucket", "az://container"]
        {
            assert_eq!(SnapshotsSetting::parse(text), None, "{text}");
        }
        assert_eq!(without_keys("gs://ID:HUNTER@bucket"), "gs://(hidden)");
        for path in ["/tmp/x", "./x", "file://rel", "file:/a"] {
            assert_eq!(without_keys(path), path, "a path holds no key");
        }
        for (text, shown) in [("file://ID:HUNTER@h", "file://(hidden)"), ("/a?k=HUNTER", "(hidden)")] {
            assert_eq!(without_keys(text), shown);
        }
    }

    #[test]
    fn an_address_of_a_bucket_is_taken_apart() {
        for (text, bucket, prefix) in [
            ("s3://bucket", "bucket", ""),
            ("s3://bucket/", "bucket", ""),
            ("s3://my.bucket-1/a/b_c/", "my.bucket-1", "a/b_c"),
        ] {
            let setting = SnapshotsSetting::parse(text).unwrap();
            assert_eq!(setting.check(), Ok(()), "{text}");
            assert_eq!(setting.bucket(), Some((bucket, prefix)));
        }
        for (text, expected) in [
            ("s3://", "a bucket's name has 3 to 63"),
            ("s3://Bucket", "small letters"),
            ("s3://bucket-", "at each end"),
            ("s3://ID:HUNTER@bucket/a", "AWS_ACCESS_KEY_ID"),
            ("s3://bucket:9000/a", "snapshot-endpoint"),
            ("s3://bucket/a?region=eu", "do not stand in the address"),
            ("s3://bucket//a", "single slashes"),
            ("s3://bucket/a/../b", "a prefix has"),
            ("s3://bucket/a b", "a prefix has"),
        ] {
            let error = SnapshotsSetting::parse(text).unwrap().check().unwrap_err();
            assert!(error.contains(expected) && !error.contains("HUNTER"), "{text}: {error}");
        }
    }

    #[test]
    fn the_folder_is_in_the_data_directory_unless_named() {
        let folder = |text: &str| SnapshotsSetting::parse(text).unwrap().folder(Path::new("/data"));
        assert_eq!(folder("data-dir"), Some(PathBuf::from("/data/snapshots")));
        assert_eq!(folder("file:///other"), Some(PathBuf::from("/other")));
        assert_eq!(folder("none"), None);
    }
}
