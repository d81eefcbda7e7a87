//! The names that clients give themselves and their libraries.

use crate::dispatch::CommandError;

/// The most bytes of a name. Redis has no such limit; names are kept as long as the connection and repeated in every CLIENT
/// LIST, where this is ten times what any client library sends.
const MAX_LABEL_BYTES: usize = 1_024;

/// The label, if it is one word of printable ASCII characters, as Redis demands; it may be empty. `what` names it in the error.
///
/// # Errors
/// When it is something else, or too long.
pub(in crate::command) fn checked(label: &[u8], what: &str) -> Result<Box<str>, CommandError> {
    if label.len() > MAX_LABEL_BYTES {
        return Err(CommandError::other(format!("{what} can be at most {MAX_LABEL_BYTES} bytes long.")));
    }
    match std::str::from_utf8(label) {
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.into()),
        _ => {
            Err(CommandError::other(format!("{what} cannot contain spaces, newlines or special characters.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(&*checked(b"", "Names").unwrap(), "");
        assert_eq!(&*checked(b"worker-1!~", "Names").unwrap(), "worker-1!~");
        for bad in [&b"a b"[..], b"a\n", b"\x00", b"\x7f", "\u{e9}".as_bytes(), b"\xff"] {
            let error = checked(bad, "Names").unwrap_err().to_string();
            assert_eq!(error, "ERR Names cannot contain spaces, newlines or special characters.");
        }
        assert!(checked(&[b'a'; MAX_LABEL_BYTES], "Names").is_ok());
        assert!(checked(&[b'a'; MAX_LABEL_BYTES + 1], "Names").is_err());
    }
}
