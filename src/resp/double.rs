//! Writes floating-point numbers as Redis does.

use std::io::Write;

/// Whole numbers are written without an exponent while it is below the amount of digits plus this.
const PLAIN_ZEROS: i32 = 7;

/// Appends `value` with the fewest digits that read back as the same number.
///
/// The layout is that of Redis 7.2 and later: `3.1`, `100`, `1e+30`, `1.5e-9`, `inf`, `-inf`, `nan`. (Redis 7.0 wrote 17
/// digits, `3.1000000000000001`, which reads back as the same number.)
pub(super) fn write_double(buffer: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return buffer.extend_from_slice(b"nan");
    }
    if value.is_sign_negative() {
        buffer.push(b'-');
    }
    if value.is_infinite() {
        return buffer.extend_from_slice(b"inf");
    }
    // Rust writes the shortest digits as `d.ddde-n`; 17 digits, a point and an exponent fit easily.
    let mut text = [0_u8; 32];
    let mut rest = &mut text[..];
    write!(rest, "{:e}", value.abs()).expect("a shortest number fits 32 bytes");
    let unused = rest.len();
    let written = &text[..text.len() - unused];
    let mark = written.iter().position(|&byte| byte == b'e').expect("the format has an exponent");
    let exponent: i32 = std::str::from_utf8(&written[mark + 1..])
        .ok()
        .and_then(|exponent| exponent.parse().ok())
        .expect("the exponent is a number");
    let mut digits = [0_u8; 32];
    let mut count = 0;
    for &digit in written[..mark].iter().filter(|byte| byte.is_ascii_digit()) {
        digits[count] = digit;
        count += 1;
    }
    lay_out(buffer, &digits[..count], exponent);
}

/// Appends the number `d.ddd * 10^exponent`.
fn lay_out(buffer: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    let count = i32::try_from(digits.len()).expect("a number has at most 17 digits");
    // How many zeros are behind the digits; if negative, how many digits are behind the point.
    let scale = exponent - count + 1;
    if scale >= 0 && exponent < count + PLAIN_ZEROS {
        buffer.extend_from_slice(digits);
        buffer.extend((0..scale).map(|_| b'0'));
    } else if scale < 0 && (scale > -7 || exponent.abs() < 4) {
        if exponent < 0 {
            buffer.extend_from_slice(b"0.");
            buffer.extend((0..-exponent - 1).map(|_| b'0'));
            buffer.extend_from_slice(digits);
        } else {
            let (whole, fraction) = digits.split_at(usize::try_from(exponent + 1).unwrap_or_default());
            buffer.extend_from_slice(whole);
            buffer.push(b'.');
            buffer.extend_from_slice(fraction);
        }
    } else {
        let (first, fraction) = digits.split_at(1);
        buffer.extend_from_slice(first);
        if !fraction.is_empty() {
            buffer.push(b'.');
            buffer.extend_from_slice(fraction);
        }
        buffer.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        buffer.extend_from_slice(itoa::Buffer::new().format(exponent.abs()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        let mut buffer = Vec::new();
        write_double(&mut buffer, value);
        String::from_utf8(buffer).unwrap()
    }

    fn check(value: f64, expected: &str) {
        assert_eq!(text(value), expected);
    }

    #[test]
    fn numbers_read_as_redis_writes_them() {
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(-1.5, "-1.5");
        check(3.1, "3.1");
        check(100.0, "100");
        check(1234.5678, "1234.5678");
        check(0.1, "0.1");
        check(0.001, "0.001");
        check(0.000_012_5, "1.25e-5");
        check(1e-6, "0.000001");
        check(1e-7, "1e-7");
        check(1.5e-9, "1.5e-9");
        check(1e7, "10000000");
        check(1e8, "1e+8");
        check(1.25e8, "125000000");
        check(1e300, "1e+300");
        check(1.797_693_134_862_315_7e308, "1.7976931348623157e+308");
        check(5e-324, "5e-324");
        check(0.1 + 0.2, "0.30000000000000004");
        check(f64::INFINITY, "inf");
        check(f64::NEG_INFINITY, "-inf");
        check(f64::NAN, "nan");
        check(-f64::NAN, "nan");
    }

    proptest! {
        #[test]
        fn every_number_reads_back_as_itself(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(text(value).parse::<f64>().unwrap().to_bits(), bits);
        }
    }
}
