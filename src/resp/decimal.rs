//! Reads the decimal numbers of the protocol.

/// A decimal number as Redis's `string2ll` takes it: no plus sign, blank or leading zero, no `-0`, within 64 bits.
pub(super) fn decimal(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits == b"0" && !is_negative {
        return Some(0);
    }
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    digits.iter().try_fold(0_i64, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => i64::from(byte - b'0'),
            _ => return None,
        };
        let shifted = number.checked_mul(10)?;
        if is_negative { shifted.checked_sub(digit) } else { shifted.checked_add(digit) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(decimal(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn canonical_numbers_are_read() {
        for number in [0, 1, -1, 9, 10, -10, 99, 1_048_576, i64::MAX, i64::MIN] {
            check(&number.to_string(), Some(number));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1a", "a", "0x1", "1.0", "--1"] {
            check(text, None);
        }
        check("9223372036854775808", None);
        check("-9223372036854775809", None);
        check(&"1".repeat(70_000), None);
    }
}
