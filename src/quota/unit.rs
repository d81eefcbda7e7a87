//! The name of what a limit counts.

use std::fmt;

/// The longest name of a unit, in bytes: room for `provider.model.tokens`, and a unit stays a small copy.
const MAX_UNIT_BYTES: usize = 32;

/// Name of what is counted: 1 to 32 bytes of `a-z 0-9 _ . -`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// Padded with zero bytes, which no name contains.
    name: [u8; MAX_UNIT_BYTES],
}

/// Why bytes are no name of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError {
    given: String,
}

impl Unit {
    /// `requests`, which is counted where no unit is named.
    pub const REQUESTS: Self = Self::from_literal(b"requests");

    const fn from_literal(text: &[u8]) -> Self {
        let mut name = [0; MAX_UNIT_BYTES];
        let mut at = 0;
        while at < text.len() {
            name[at] = text[at];
            at += 1;
        }
        Self { name }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`UnitError`] for an empty or too long name, or another byte than those allowed.
    pub fn parse(text: &[u8]) -> Result<Self, UnitError> {
        let allowed = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
        if text.is_empty() || text.len() > MAX_UNIT_BYTES || !text.iter().all(allowed) {
            return Err(UnitError { given: super::error::shown(text) });
        }
        let mut name = [0; MAX_UNIT_BYTES];
        name[..text.len()].copy_from_slice(text);
        Ok(Self { name })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.name.iter().position(|&byte| byte == 0).unwrap_or(MAX_UNIT_BYTES);
        std::str::from_utf8(&self.name[..length]).expect("only ASCII was let in")
    }
}

impl Default for Unit {
    fn default() -> Self {
        Self::REQUESTS
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Display for UnitError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "unit '{}' must be 1 to {MAX_UNIT_BYTES} bytes of a-z (lower case), 0-9, '_', '.' and '-'",
            self.given
        )
    }
}

impl std::error::Error for UnitError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for name in ["requests", "usd_micro", "a", "gpt-4.1_tokens", "01234567890123456789012345678901"] {
            assert_eq!(Unit::parse(name.as_bytes()).unwrap().as_str(), name);
        }
        assert_eq!(Unit::parse(b"requests").unwrap(), Unit::REQUESTS);
        assert_ne!(Unit::parse(b"request").unwrap(), Unit::REQUESTS);
    }

    #[test]
    fn other_names_are_refused_with_their_text() {
        for name in
            [&b""[..], b"012345678901234567890123456789012", b"Tokens", b"a b", b"a:b", b"\0", b"\xff"]
        {
            let error = Unit::parse(name).unwrap_err().to_string();
            assert!(error.contains("1 to 32 bytes"), "{error}");
        }
        let error = Unit::parse(b"Tokens").unwrap_err().to_string();
        assert!(error.contains("'Tokens'") && error.contains("lower case"), "{error}");
    }
}
