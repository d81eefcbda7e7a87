//! The files with the keys of snapshots.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Secret, bounded_file};

/// The most bytes of a key's file, so that a wrong path to a huge file is found at the start.
const MOST_FILE_BYTES: u64 = 4_096;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// What a key's file holds, for error texts.
const ALLOWED: &str = "64 hexadecimal digits, as openssl rand -hex 32 prints";

/// Keys that are read at most: each makes it longer until one is found that fits.
const MOST_KEYS: usize = 16;

/// Whether there are not too many.
///
/// # Errors
/// That there are.
pub(super) fn check_count(count: usize) -> Result<(), String> {
    if count <= MOST_KEYS { Ok(()) } else { Err(format!("at most {MOST_KEYS} files are allowed")) }
}

/// Reads a key.
///
/// # Errors
/// A file that cannot be read, that others can read too, or that holds no key; nothing of it is told.
pub(super) fn read(path: &Path) -> Result<Secret, String> {
    const OPEN_TO_OTHERS: u32 = 0o007;
    let content = bounded_file::read(path, MOST_FILE_BYTES)?;
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if found.permissions().mode() & OPEN_TO_OTHERS != 0 {
        return Err("every user of this machine may use it: chmod o= the file".to_owned());
    }
    let digits = content.trim_ascii_end();
    if digits.is_empty() {
        return Err(format!("the file is empty: allowed are {ALLOWED}"));
    }
    from_digits(digits).ok_or_else(|| format!("it holds no key: allowed are {ALLOWED}"))
}

fn from_digits(digits: &[u8]) -> Option<Secret> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(value(*high)? << 4 | value(*low)?),
        _ => None,
    });
    let key = pairs.collect::<Option<Vec<u8>>>()?;
    (key.len() == KEY_BYTES).then(|| Secret::new(&key))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_is_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let digits = "00ff".repeat(16);
        let write = |content: &str, mode: u32| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read(&path)
        };
        for (content, mode) in [(digits.as_str(), 0o600), (&format!("{digits}\r\n"), 0o440)] {
            assert_eq!(write(content, mode).unwrap().expose(), [0, 255].repeat(16));
        }
        for (content, mode, expected) in [
            (digits.as_str(), 0o604, "every user"),
            ("\n", 0o600, "the file is empty"),
            ("hunter2", 0o600, "it holds no key: allowed are 64 hexadecimal digits"),
            (&digits[2..], 0o600, "it holds no key"),
            (&digits.replace('f', "g"), 0o600, "it holds no key"),
        ] {
            let error = write(content, mode).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
        assert!(check_count(16).is_ok() && check_count(17).is_err());
    }
}
