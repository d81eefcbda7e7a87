//! Bytes as hexadecimal digits.

use std::fmt::Write;

/// Two lower-case digits for each byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
    }
    text
}

/// Reads exactly `N` bytes; digits of either case.
pub(super) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut digits = text.bytes().map(|digit| char::from(digit).to_digit(16));
    let mut digit = || u8::try_from(digits.next()??).ok();
    let mut bytes = [0; N];
    for byte in &mut bytes {
        *byte = (digit()? << 4) | digit()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_back() {
        assert_eq!(hex(&[0, 0xa5, 255]), "00a5ff");
        assert_eq!(parse_hex("00A5ff"), Some([0, 0xa5, 255]));
        for text in ["", "0", "00", "0000f", "00000g", "0000000", "+1+1+1", "ää"] {
            assert_eq!(parse_hex::<3>(text), None, "{text}");
        }
    }
}
