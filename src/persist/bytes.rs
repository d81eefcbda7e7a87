//! The parts that all binary forms are made of, and why bytes are none of them.
//!
//! Numbers have seven bits a byte, the lowest first, in the fewest bytes: every value has one form, so what was read is
//! written again as the same bytes. Nothing is read behind the end, and no length is believed before the bytes are there.

use std::fmt;

/// Why bytes cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They end too early.
    Ends {
        /// In which part.
        part: &'static str,
    },
    /// More of them follow than belong to it.
    Follows {
        /// How many.
        bytes: usize,
    },
    /// They have another version than those this program reads.
    Version {
        /// Of what.
        part: &'static str,
        /// What was found.
        found: u8,
        /// The highest that is read.
        newest: u8,
    },
    /// A number stands for nothing.
    Unknown {
        /// Which number.
        part: &'static str,
        /// What was found.
        found: u64,
    },
    /// What was read cannot be, for this reason.
    Refused {
        /// Which part.
        part: &'static str,
        /// The reason.
        reason: String,
    },
}

impl DecodeError {
    /// A part that cannot be.
    pub(crate) fn refused(part: &'static str, reason: impl fmt::Display) -> Self {
        Self::Refused { part, reason: reason.to_string() }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ends { part } => write!(formatter, "the bytes end inside of the {part}"),
            Self::Follows { bytes } => write!(formatter, "{bytes} bytes follow behind the end"),
            Self::Version { part, found, newest } if found > newest => write!(
                formatter,
                "the {part} has version {found}, written by a newer quotad; this one reads versions up to {newest}"
            ),
            Self::Version { part, found, newest } => {
                write!(formatter, "the {part} has version {found}; the versions are 1 to {newest}")
            }
            Self::Unknown { part, found } => write!(formatter, "{found} is no known {part}"),
            Self::Refused { part, reason } => write!(formatter, "the {part} cannot be: {reason}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Appends a number.
#[expect(clippy::cast_possible_truncation, reason = "seven bits are taken at a time")]
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number: small ones of either sign are short.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Appends a length and so many bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a length or an amount of parts.
pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    put_number(out, u64::try_from(length).expect("a length fits 64 bits"));
}

/// Appends the bytes that `write` appends, with their length before them.
pub(crate) fn put_sized(out: &mut Vec<u8>, scratch: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    scratch.clear();
    write(scratch);
    put_bytes(out, scratch);
}

/// Reads bytes from their beginning to their end.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    // Inlined everywhere, since records are read by the hundred thousand.

    /// What is left, and is to be read still.
    #[inline]
    pub(crate) const fn left(&self) -> &'a [u8] {
        self.rest
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    #[inline]
    pub(crate) fn byte(&mut self, part: &'static str) -> Result<u8, DecodeError> {
        let (&first, rest) = self.rest.split_first().ok_or(DecodeError::Ends { part })?;
        self.rest = rest;
        Ok(first)
    }

    #[inline]
    pub(crate) fn number(&mut self, part: &'static str) -> Result<u64, DecodeError> {
        // Most lengths.
        if let Some((&byte @ ..0x80, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(byte.into());
        }
        self.long_number(part)
    }

    fn long_number(&mut self, part: &'static str) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte(part)?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(DecodeError::refused(part, "it has more than 64 bits"));
            }
            number |= bits << shift;
            if byte < 0x80 {
                // A last byte of nothing: the same number has a shorter form.
                let short = byte != 0 || shift == 0;
                return if short { Ok(number) } else { Err(DecodeError::refused(part, "it is padded")) };
            }
        }
        Err(DecodeError::refused(part, "it has more than 64 bits"))
    }

    pub(crate) fn signed(&mut self, part: &'static str) -> Result<i64, DecodeError> {
        let number = self.number(part)?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// An amount of parts, each of at least `least_bytes`: never more than the bytes that are left can hold.
    #[inline]
    pub(crate) fn count(&mut self, part: &'static str, least_bytes: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.number(part)?).unwrap_or(usize::MAX);
        if count > self.rest.len() / least_bytes {
            return Err(DecodeError::Ends { part });
        }
        Ok(count)
    }

    /// A length and so many bytes.
    #[inline]
    pub(crate) fn bytes(&mut self, part: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.count(part, 1)?;
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn word(&mut self, part: &'static str) -> Result<u128, DecodeError> {
        let (word, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Ends { part })?;
        self.rest = rest;
        Ok(u128::from_be_bytes(*word))
    }

    /// The version, which is the first byte of every form.
    pub(crate) fn version(&mut self, part: &'static str, newest: u8) -> Result<u8, DecodeError> {
        match self.byte(part)? {
            found if found == 0 || found > newest => Err(DecodeError::Version { part, found, newest }),
            found => Ok(found),
        }
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::Follows { bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        let check = |number: u64, expected: &[u8]| {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(bytes, expected);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.number("number"), Ok(number));
            assert_eq!(reader.end(), Ok(()));
        };
        check(0, &[0]);
        check(127, &[127]);
        check(128, &[0x80, 1]);
        check(u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        let refused = |bytes: &[u8]| assert!(Reader::new(bytes).number("number").is_err(), "{bytes:?}");
        refused(&[]);
        refused(&[0x80]);
        refused(&[0x80, 0]);
        refused(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2]);
        refused(&[255; 11]);
    }

    #[test]
    fn signed_numbers_come_back() {
        for number in [0, 1, -1, 63, -64, 64, i64::MIN, i64::MAX] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            assert_eq!(Reader::new(&bytes).signed("number"), Ok(number));
            assert_eq!(bytes.len() == 1, (-64..64).contains(&number), "{number}");
        }
    }

    #[test]
    fn no_length_is_believed() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, u64::MAX);
        bytes.push(1);
        assert_eq!(Reader::new(&bytes).bytes("key"), Err(DecodeError::Ends { part: "key" }));
        assert_eq!(Reader::new(&[2, 1, 1, 1]).count("keys", 2), Err(DecodeError::Ends { part: "keys" }));
        assert_eq!(Reader::new(&[2, 1, 1, 1, 1]).count("keys", 2), Ok(2));
    }
}
