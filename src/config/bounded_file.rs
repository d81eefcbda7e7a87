//! Reading of files that settings name, up to a limit.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The bytes of the file at `path`, at most `most`. What a file says of its own length is not relied on: devices and pipes
/// say 0 and may never end.
///
/// # Errors
/// Why it cannot be read, or that it is longer.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut content = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut content).map_err(|error| error.to_string())?;
    if content.len() as u64 > most {
        return Err(format!("the file is longer than {most} bytes, the most that is read"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let too_long = "the file is longer than 4 bytes, the most that is read";
        assert_eq!(read(&path, 4).unwrap_err(), too_long);
        assert_eq!(read(Path::new("/dev/zero"), 4).unwrap_err(), too_long);
        assert!(read(dir.path(), 4).unwrap_err().contains("directory"));
    }
}
