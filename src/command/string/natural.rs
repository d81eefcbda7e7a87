//! Whole numbers of any size, as far as reading and writing of decimal numbers needs them.

use std::cmp::Ordering;

/// The largest power of ten in 64 bits, and its exponent.
const TEN_POWER: u64 = 10_000_000_000_000_000_000;
const TEN_EXPONENT: u32 = 19;

/// A number in words of 64 bits, the lowest first, without zeros at the top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Natural {
    words: Vec<u64>,
}

impl Natural {
    /// The number that these digits are in `radix`, which is at most 16.
    pub(super) fn of_digits(digits: impl Iterator<Item = u8>, radix: u64) -> Self {
        let mut number = Self::default();
        for digit in digits {
            number.multiply_add(radix, u64::from(digit));
        }
        number
    }

    /// This times ten to the `exponent`.
    pub(super) fn times_ten_to(mut self, exponent: u32) -> Self {
        for _ in 0..exponent / TEN_EXPONENT {
            self.multiply_add(TEN_POWER, 0);
        }
        self.multiply_add(10_u64.pow(exponent % TEN_EXPONENT), 0);
        self
    }

    /// This times two to the `bits`.
    pub(super) fn shifted(&self, bits: u32) -> Self {
        let (words, bits) = (usize::try_from(bits / 64).expect("32 bits fit a usize"), bits % 64);
        let mut shifted = Self { words: vec![0; words] };
        let mut carry = 0;
        for &word in &self.words {
            let (low, high) = halves(u128::from(word) << bits);
            shifted.words.push(low | carry);
            carry = high;
        }
        shifted.words.push(carry);
        shifted.trim();
        shifted
    }

    /// How many bits the number has.
    pub(super) fn bits(&self) -> u32 {
        let words = u32::try_from(self.words.len()).expect("numbers have a few hundred words");
        self.words.last().map_or(0, |top| words * 64 - top.leading_zeros())
    }

    /// The highest bits, at most 128, how many bits are below them, and whether one of those is set.
    pub(super) fn top(&self) -> (u128, u32, bool) {
        let below = self.bits().saturating_sub(128);
        let (words, bits) = (usize::try_from(below / 64).expect("32 bits fit a usize"), below % 64);
        let word = |at: usize| u128::from(self.words.get(at).copied().unwrap_or(0));
        let low = word(words) | (word(words + 1) << 64);
        let top = if bits == 0 { low } else { (low >> bits) | (word(words + 2) << (128 - bits)) };
        let rest =
            self.words.iter().take(words).any(|&word| word != 0) || word(words) & ((1 << bits) - 1) != 0;
        (top, below, rest)
    }

    /// The quotient of this and `divisor`, which has fewer than 128 bits, and whether a rest is left.
    pub(super) fn divided(self, divisor: &Self) -> (u128, bool) {
        let mut rest = self;
        let mut quotient = 0_u128;
        for bit in (0..=rest.bits().saturating_sub(divisor.bits())).rev() {
            let part = divisor.shifted(bit);
            if rest.compare(&part) != Ordering::Less {
                rest.subtract(&part);
                quotient |= 1 << bit;
            }
        }
        (quotient, !rest.words.is_empty())
    }

    /// The decimal digits.
    pub(super) fn to_decimal(mut self) -> String {
        let mut groups = Vec::new();
        while !self.words.is_empty() {
            let mut rest = 0_u128;
            for word in self.words.iter_mut().rev() {
                let part = (rest << 64) | u128::from(*word);
                (*word, _) = halves(part / u128::from(TEN_POWER));
                rest = part % u128::from(TEN_POWER);
            }
            self.trim();
            groups.push(rest);
        }
        let mut text = groups.pop().unwrap_or(0).to_string();
        for group in groups.iter().rev() {
            text.push_str(&format!("{group:019}"));
        }
        text
    }

    fn multiply_add(&mut self, factor: u64, summand: u64) {
        let mut carry = summand;
        for word in &mut self.words {
            (*word, carry) = halves(u128::from(*word) * u128::from(factor) + u128::from(carry));
        }
        if carry > 0 {
            self.words.push(carry);
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_length = self.words.len().cmp(&other.words.len());
        by_length.then_with(|| self.words.iter().rev().cmp(other.words.iter().rev()))
    }

    /// Takes off `other`, which is not larger.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (at, word) in self.words.iter_mut().enumerate() {
            let (difference, first) = word.overflowing_sub(other.words.get(at).copied().unwrap_or(0));
            let (difference, second) = difference.overflowing_sub(u64::from(borrow));
            (*word, borrow) = (difference, first || second);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }
}

impl From<u64> for Natural {
    fn from(number: u64) -> Self {
        let mut natural = Self { words: vec![number] };
        natural.trim();
        natural
    }
}

/// The low and the high word.
#[expect(clippy::cast_possible_truncation, reason = "each half is taken alone")]
fn halves(wide: u128) -> (u64, u64) {
    (wide as u64, (wide >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_decimal(text: &str) -> Natural {
        Natural::of_digits(text.bytes().map(|digit| digit - b'0'), 10)
    }

    #[test]
    fn digits_read_and_written_are_the_same() {
        for text in
            ["1", "18446744073709551616", "10000000000000000000000000000000000000000", "99999999999999999999"]
        {
            assert_eq!(of_decimal(text).to_decimal(), text);
        }
        assert_eq!(Natural::default().to_decimal(), "0");
        assert_eq!(Natural::from(7).times_ten_to(40).to_decimal(), format!("7{}", "0".repeat(40)));
        assert_eq!(
            Natural::from(1).shifted(200).to_decimal(),
            (0..200).fold("1".to_owned(), |text, _| { of_decimal(&text).shifted(1).to_decimal() })
        );
    }

    #[test]
    fn the_top_tells_of_what_is_below() {
        assert_eq!(Natural::from(5).top(), (5, 0, false));
        let large = Natural::from(3).shifted(300);
        assert_eq!(large.top(), (3 << 126, 302 - 128, false));
        let mut odd = large;
        odd.multiply_add(1, 1);
        assert_eq!(odd.top(), (3 << 126, 302 - 128, true));
    }

    #[test]
    fn division_tells_of_a_rest() {
        let check = |number: &str, divisor: &str, expected: (u128, bool)| {
            assert_eq!(of_decimal(number).divided(&of_decimal(divisor)), expected, "{number} / {divisor}");
        };
        check("100", "10", (10, false));
        check("101", "10", (10, true));
        check("9", "10", (0, true));
        check("340282366920938463463374607431768211456", "18446744073709551616", (1 << 64, false));
        check("340282366920938463463374607431768211455", "18446744073709551616", ((1 << 64) - 1, true));
    }
}
