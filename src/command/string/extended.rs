//! The numbers of INCRBYFLOAT: extended precision, as the `long double` in which Redis counts on x86, in integer arithmetic, so
//! that every answer has the same digits as Redis's.
//!
//! 64 bits of mantissa and 15 of exponent (Intel's manual, volume 1, section 4.2.2), rounded to nearest, ties to even.

use std::cmp::Ordering;

use super::natural::Natural;

/// The exponents that the lowest bit of a mantissa can have.
const MIN_EXPONENT: i32 = -16_445;
const MAX_EXPONENT: i32 = 16_320;

/// The longest text that is read, as in Redis (`MAX_LONG_DOUBLE_CHARS` with its end).
const MAX_TEXT_BYTES: usize = 5 * 1_024 - 1;

/// Decimal exponents of the highest digit beyond which a number is too large, or zero; a little outside of the true limits.
const MAX_DECIMAL: i64 = 4_940;
const MIN_DECIMAL: i64 = -4_960;

/// Digits behind the point that are written, as in Redis.
const FRACTION_DIGITS: usize = 17;
const FRACTION_SCALE: u128 = 100_000_000_000_000_000;

/// Up to this power of ten, a division fits 128 bits with enough of them for rounding.
const SHORT_POWER: u32 = 18;

/// A number: a sign, a mantissa and a power of two, or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extended {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    /// `mantissa * 2^exponent`; the highest bit is set unless the exponent is the lowest there is. Zero has mantissa 0.
    Finite {
        mantissa: u64,
        exponent: i32,
    },
    Infinite,
}

use Magnitude::{Finite, Infinite};

const ZERO: Magnitude = Finite { mantissa: 0, exponent: MIN_EXPONENT };

impl Extended {
    /// Nothing.
    pub(super) const ZERO: Self = Self { negative: false, magnitude: ZERO };

    /// The highest finite number.
    pub(super) const HIGHEST: Self =
        Self { negative: false, magnitude: Finite { mantissa: u64::MAX, exponent: MAX_EXPONENT } };

    /// The lowest finite number.
    pub(super) const LOWEST: Self = Self { negative: true, ..Self::HIGHEST };

    /// Reads a number as C's `strtold` does: decimal, hexadecimal or `inf`, without spaces; `None` for anything else, `nan`, and
    /// what is too large or too small to tell.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
            return Some(Self { negative, magnitude: Infinite });
        }
        let magnitude = match unsigned {
            [b'0', b'x' | b'X', rest @ ..] => Digits::read(rest, 16)?.hexadecimal(),
            rest => Digits::read(rest, 10)?.decimal(),
        };
        magnitude.map(|magnitude| Self { negative, magnitude })
    }

    /// The sum; `None` when it is not finite.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let (
            Finite { exponent: left, mantissa: left_bits },
            Finite { exponent: right, mantissa: right_bits },
        ) = (self.magnitude, other.magnitude)
        else {
            return None;
        };
        if left_bits == 0 || right_bits == 0 {
            return Some(if left_bits == 0 { other } else { self });
        }
        let swap = (right, right_bits) > (left, left_bits);
        let (large, small) = if swap { (other, self) } else { (self, other) };
        let distance = left.abs_diff(right);
        let (base, large_bits, small_bits) =
            if swap { (right, right_bits, left_bits) } else { (left, left_bits, right_bits) };
        let large_wide = u128::from(large_bits) << ROOM;
        let small_wide = u128::from(small_bits) << ROOM;
        let aligned = small_wide.checked_shr(distance).unwrap_or(0);
        let rest = aligned.checked_shl(distance).unwrap_or(0) != small_wide;
        let wide = if large.negative == small.negative {
            large_wide + aligned
        } else {
            // What was shifted out is taken off as well: it is the rest of one unit.
            large_wide - aligned - u128::from(rest)
        };
        let magnitude = rounded(wide, base - ROOM_EXPONENT, rest);
        let negative = large.negative && magnitude != ZERO;
        (magnitude != Infinite).then_some(Self { negative, magnitude })
    }

    /// The difference; `None` when it is not finite.
    pub(super) fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self { negative: !other.negative, ..other })
    }

    /// Whether it is a number that can be told.
    pub(super) fn is_finite(self) -> bool {
        self.magnitude != Infinite
    }

    /// Which is larger.
    pub(super) fn compare(self, other: Self) -> Ordering {
        let key = |number: Self| match number.magnitude {
            Infinite => (i32::MAX, 0),
            Finite { mantissa, exponent } => (exponent, mantissa),
        };
        match (self.sign(), other.sign()) {
            (-1, -1) => key(other).cmp(&key(self)),
            (1, 1) => key(self).cmp(&key(other)),
            (left, right) => left.cmp(&right),
        }
    }

    /// -1, 0 or 1.
    fn sign(self) -> i8 {
        match (self.magnitude == ZERO, self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// As Redis writes it: 17 digits behind the point, without zeros at their end, never with an exponent. `inf` and `-inf`.
    pub(super) fn to_text(self) -> String {
        let digits = match self.magnitude {
            Infinite => "inf".to_owned(),
            Finite { mantissa, exponent } => match u32::try_from(exponent) {
                Ok(bits) => Natural::from(mantissa).shifted(bits).to_decimal(),
                Err(_) => fraction(mantissa, exponent.unsigned_abs()),
            },
        };
        if self.negative && digits != "0" { format!("-{digits}") } else { digits }
    }
}

/// The bits that two mantissas have room for below themselves when they are added.
const ROOM: u32 = 62;
const ROOM_EXPONENT: i32 = 62;

/// Writes `mantissa / 2^bits`.
fn fraction(mantissa: u64, bits: u32) -> String {
    let scaled = u128::from(mantissa) * FRACTION_SCALE;
    let rounded = shift_rounded(scaled, bits, false);
    let (whole, fraction) = (rounded / FRACTION_SCALE, rounded % FRACTION_SCALE);
    if fraction == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{fraction:0FRACTION_DIGITS$}");
    text.trim_end_matches('0').to_owned()
}

/// `wide / 2^bits`, rounded to the nearest, ties to even; `rest` tells that the true number is a little larger than `wide`.
fn shift_rounded(wide: u128, bits: u32, rest: bool) -> u128 {
    if bits == 0 {
        return wide;
    }
    let kept = wide.checked_shr(bits).unwrap_or(0);
    let half = 1_u128.checked_shl(bits - 1);
    // Without room for the half, all that is dropped is less than it.
    let Some(half) = half else { return 0 };
    let dropped = wide - kept.checked_shl(bits).unwrap_or(0);
    let up = dropped > half || (dropped == half && (rest || kept % 2 == 1));
    kept + u128::from(up)
}

/// The number nearest to `wide * 2^exponent`, where `rest` tells that the true one is a little larger; then `wide` has at least
/// 66 bits.
fn rounded(wide: u128, exponent: i32, rest: bool) -> Magnitude {
    let bits = 128 - i32::try_from(wide.leading_zeros()).expect("128 fits");
    if bits == 0 {
        return ZERO;
    }
    let shift = (bits - 64).max(MIN_EXPONENT - exponent);
    let mut exponent = exponent + shift;
    let mut mantissa = match u32::try_from(shift) {
        Ok(shift) => shift_rounded(wide, shift, rest),
        Err(_) => wide << shift.unsigned_abs(),
    };
    if mantissa >> 64 != 0 {
        mantissa >>= 1;
        exponent += 1;
    }
    if mantissa == 0 {
        return ZERO;
    }
    let mantissa = u64::try_from(mantissa).expect("it was shifted to 64 bits");
    if exponent > MAX_EXPONENT { Infinite } else { Finite { mantissa, exponent } }
}

/// The digits of a number as they were read.
struct Digits {
    /// Without zeros in front, each below the radix.
    digits: Vec<u8>,
    /// The power (of ten, or of two) that the last digit counts.
    power: i64,
}

impl Digits {
    /// Reads digits with a point among them and an exponent behind.
    fn read(text: &[u8], radix: u32) -> Option<Self> {
        let (marks, bits_per_digit) = if radix == 16 { (b"pP", 4) } else { (b"eE", 1) };
        let exponent_at = text.iter().position(|byte| marks.contains(byte)).unwrap_or(text.len());
        let mut number = Self { digits: Vec::new(), power: 0 };
        let (mut any, mut behind_point) = (false, false);
        for &byte in &text[..exponent_at] {
            if byte == b'.' && !behind_point {
                behind_point = true;
                continue;
            }
            let digit = u8::try_from(char::from(byte).to_digit(radix)?).ok()?;
            any = true;
            if digit != 0 || !number.digits.is_empty() {
                number.digits.push(digit);
            }
            number.power -= if behind_point { bits_per_digit } else { 0 };
        }
        if let Some(exponent) = text.get(exponent_at + 1..) {
            number.power += exponent_of(exponent)?;
        }
        any.then_some(number)
    }

    /// The number with power in tens; `None` when it is too large or too small.
    fn decimal(mut self) -> Option<Magnitude> {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
            self.power += 1;
        }
        let length = i64::try_from(self.digits.len()).ok()?;
        if length == 0 {
            return Some(ZERO);
        }
        if !(MIN_DECIMAL..=MAX_DECIMAL).contains(&(length + self.power)) {
            return None;
        }
        let power = u32::try_from(self.power.unsigned_abs()).ok()?;
        let magnitude = if self.power >= 0 {
            let number = Natural::of_digits(self.digits.into_iter(), 10).times_ten_to(power);
            of_natural(&number, 0)
        } else if let (Some(number), true) = (short(&self.digits), power <= SHORT_POWER) {
            let shift = 64 + number.leading_zeros();
            let (wide, divisor) = (u128::from(number) << shift, 10_u128.pow(power));
            rounded(wide / divisor, -i32::try_from(shift).ok()?, wide % divisor != 0)
        } else {
            quotient(&Natural::of_digits(self.digits.into_iter(), 10), &Natural::from(1).times_ten_to(power))
        };
        (magnitude != Infinite && magnitude != ZERO).then_some(magnitude)
    }

    /// The number with power in twos; `None` when it is too large or too small.
    fn hexadecimal(self) -> Option<Magnitude> {
        if self.digits.is_empty() {
            return Some(ZERO);
        }
        let number = Natural::of_digits(self.digits.into_iter(), 16);
        let top = i64::from(number.bits()) + self.power;
        if !(i64::from(MIN_EXPONENT)..=i64::from(MAX_EXPONENT) + 64).contains(&top) {
            return None;
        }
        let magnitude = of_natural(&number, i32::try_from(self.power).ok()?);
        (magnitude != Infinite && magnitude != ZERO).then_some(magnitude)
    }
}

/// `number * 2^exponent`.
fn of_natural(number: &Natural, exponent: i32) -> Magnitude {
    let (wide, below, rest) = number.top();
    rounded(wide, exponent + i32::try_from(below).expect("numbers have a few thousand bits"), rest)
}

/// `number / divisor`.
fn quotient(number: &Natural, divisor: &Natural) -> Magnitude {
    // The quotient gets 66 or 67 bits: two more than are kept, so that the rest decides only ties.
    let shift = i32::try_from(divisor.bits()).expect("numbers have a few thousand bits") + 66
        - i32::try_from(number.bits()).expect("numbers have a few thousand bits");
    let (wide, rest) = match u32::try_from(shift) {
        Ok(bits) => number.shifted(bits).divided(divisor),
        Err(_) => number.clone().divided(&divisor.shifted(shift.unsigned_abs())),
    };
    rounded(wide, -shift, rest)
}

/// The digits as one word, if they fit.
fn short(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, &digit| number.checked_mul(10)?.checked_add(u64::from(digit)))
}

/// An exponent: a sign or none, and digits. One with more digits than matter is cut to what is too large anyway.
fn exponent_of(text: &[u8]) -> Option<i64> {
    const FAR: i64 = 1_000_000_000;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let exponent =
        digits.iter().fold(0_i64, |exponent, &digit| (exponent * 10 + i64::from(digit - b'0')).min(FAR));
    Some(if negative { -exponent } else { exponent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(left: &str, right: &str) -> Option<String> {
        let sum = Extended::parse(left.as_bytes())?.plus(Extended::parse(right.as_bytes())?);
        Some(sum?.to_text())
    }

    fn check(left: &str, right: &str, expected: &str) {
        assert_eq!(sum(left, right).as_deref(), Some(expected), "{left} + {right}");
        assert_eq!(sum(right, left).as_deref(), Some(expected), "{right} + {left}");
    }

    #[test]
    fn sums_have_the_digits_of_a_long_double() {
        check("0.1", "0.2", "0.3");
        check("10.5", "0.1", "10.6");
        check("5.0e3", "2.0e2", "5200");
        check("3", "-3", "0");
        check("-0", "0", "0");
        check("-0.00000000000000000001", "0", "0");
        check("1e17", "0.5", "100000000000000000.5");
        check("1e19", "0.5", "10000000000000000000");
        check("1e20", "1", "100000000000000000000");
        check("18446744073709551615", "1", "18446744073709551616");
        check("1", "-1e-17", "0.99999999999999999");
        check(".5", "5.", "5.5");
        check("+1", "0x10", "17");
        check("0x.8", "0x1p-1", "1");
        check("1e-30", "1e-30", "0");
        check("-7.125", "0.125", "-7");
        check("1e4000", "-1e4000", "0");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "abc",
            "1e",
            "1e+",
            "0x",
            "0x1p",
            "1.2.3",
            ".",
            "-",
            "--1",
            "nan",
            "1e4933",
            "1e-5000",
            "1e999999999999999999",
            "1_0",
        ] {
            assert_eq!(Extended::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Extended::parse(&b"1".repeat(MAX_TEXT_BYTES + 1)), None);
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("1e4932", "1e4932"), None);
        assert_eq!(sum("-inf", "inf"), None);
    }

    #[test]
    fn numbers_are_in_order() {
        let ordered = ["-inf", "-1e300", "-2", "-1e-300", "0", "1e-4940", "0.5", "1", "1e4000", "inf"];
        let numbers = ordered.map(|text| Extended::parse(text.as_bytes()).unwrap());
        for (left, one) in numbers.iter().enumerate() {
            for (right, other) in numbers.iter().enumerate() {
                assert_eq!(one.compare(*other), left.cmp(&right), "{} {}", ordered[left], ordered[right]);
            }
        }
    }

    #[test]
    fn the_short_way_and_the_long_way_agree() {
        for (digits, power) in
            [(1_u64, 1_u32), (3, 17), (123_456_789_012_345_678, 18), (u64::MAX, 18), (7, 5)]
        {
            let text = format!("{digits}e-{power}");
            let long = quotient(&Natural::from(digits), &Natural::from(1).times_ten_to(power));
            assert_eq!(Extended::parse(text.as_bytes()).unwrap().magnitude, long, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn integers_that_fit_the_mantissa_are_exact(left in -(1_i64 << 62)..1 << 62, right in -(1_i64 << 62)..1 << 62) {
            let exact = (left + right).to_string();
            proptest::prop_assert_eq!(sum(&left.to_string(), &right.to_string()), Some(exact));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _read = Extended::parse(text.as_bytes());
        }
    }
}
