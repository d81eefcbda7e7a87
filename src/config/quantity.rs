//! Amounts with units: bytes as Redis writes them, and durations.

/// The units of bytes, as Redis's configuration file has them: `k` is a thousand, `kb` is 1,024.
const BYTE_UNITS: [(&str, u64); 8] = [
    ("kb", 1 << 10),
    ("mb", 1 << 20),
    ("gb", 1 << 30),
    ("k", 1_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("b", 1),
    ("", 1),
];

/// The units of durations.
const TIME_UNITS: [(&str, u64); 5] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("", 1)];

/// Reads bytes such as `1048576`, `100mb` or `1GB`.
#[must_use]
pub(super) fn bytes(text: &str) -> Option<u64> {
    with_unit(text, &BYTE_UNITS)
}

/// Reads seconds such as `300`, `30s` or `5m`.
#[must_use]
pub(super) fn seconds(text: &str) -> Option<u64> {
    with_unit(text, &TIME_UNITS)
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Bytes in the largest unit that tells them exactly: `1gb`, `1500b` as `1500`.
#[must_use]
pub fn bytes_with_unit(bytes: u64) -> String {
    let exact = BYTE_UNITS[..3].iter().rev().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    match exact {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_redis_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1k", Some(1_000)),
            ("1kb", Some(1_024)),
            ("5MB", Some(5 << 20)),
            ("2g", Some(2_000_000_000)),
            ("1Gb", Some(1 << 30)),
            ("7b", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("17179869184gb", None),
            ("-1", None),
            ("+1", None),
            ("1.5gb", None),
            ("1 gb", None),
            ("gb", None),
            ("", None),
            ("1tb", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_are_read() {
        for (text, expected) in [
            ("300", Some(300)),
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("1h", Some(3_600)),
            ("2D", Some(172_800)),
            ("1w", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn bytes_are_shown_exactly() {
        for (number, expected) in
            [(0, "0"), (1_500, "1500"), (1_024, "1kb"), (1_025, "1025"), (3 << 20, "3mb"), (5 << 30, "5gb")]
        {
            assert_eq!(bytes_with_unit(number), expected);
            assert_eq!(bytes(expected), Some(number));
        }
    }
}
