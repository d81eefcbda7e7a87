//! Names of objects: a few segments of plain letters, which every store keeps as they are.

/// Longer names than any of a snapshot's objects; a name in a bucket has up to 1,024 bytes with its prefix.
const MOST_NAME_BYTES: usize = 512;

/// Whether `name` is one: segments of letters, digits, `-`, `_` and `.` with slashes between them. Others are escaped by some
/// stores, hidden by others, and `..` would leave the folder.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= MOST_NAME_BYTES && name.split('/').all(is_segment)
}

/// Whether `text` is a name up to a slash; nothing is the folder of all.
pub(super) fn is_folder(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

fn is_segment(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !segment.is_empty() && !segment.bytes().all(|byte| byte == b'.') && segment.bytes().all(is_plain)
}

/// What may be shown of a name: one that is none comes from elsewhere, and may be anything.
pub(super) fn shown(name: &str) -> String {
    const MOST_SHOWN: usize = 80;
    let mut text: String = name.escape_debug().take(MOST_SHOWN).collect();
    if text.len() < name.len() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for name in ["a", "a/b", "2026-11-26T10.00.00Z/part-000001", "a..b", ".hidden", "A_b-C.d"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(513);
        for name in
            ["", "/", "a/", "/a", "a//b", "..", "a/../b", ".", "a b", "a#1", "a%2F", "ä", "a\0", &long]
        {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_folder("") && is_folder("a/b") && !is_folder("a/"));
        assert_eq!(shown(&long), format!("{}...", &long[..80]));
        assert_eq!(shown("a\nb"), "a\\nb");
    }
}
