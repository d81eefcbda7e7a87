//! The number that clients are given for a change: the batch that carries it, and the epoch of that batch.
//!
//! A batch number alone would not do: a server that crashes before a batch reaches its disk gives the same number to another batch after
//! its next start.

/// Bits of the batch's number: at ten batches a second 3,486 years. With the bits above, which an epoch has, tokens of the first 8,191
/// starts are exact in languages whose numbers are doubles.
const SEQ_BITS: u32 = 40;

/// A batch of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token {
    /// The epoch.
    pub epoch: u64,
    /// The batch's number.
    pub seq: u64,
}

impl Token {
    /// The number for clients, at most 63 bits; 0 stands for no batch.
    #[must_use]
    pub const fn to_number(self) -> u64 {
        ((self.epoch << SEQ_BITS) | (self.seq & ((1 << SEQ_BITS) - 1))) & (u64::MAX >> 1)
    }

    /// Reads the number that a client hands back.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self { epoch: number >> SEQ_BITS, seq: number & ((1 << SEQ_BITS) - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for (epoch, seq) in [(0, 0), (1, 1), (8_191, (1 << 40) - 1), ((1 << 23) - 1, 7)] {
            let token = Token { epoch, seq };
            assert_eq!(Token::from_number(token.to_number()), token);
            assert!(i64::try_from(token.to_number()).is_ok());
        }
    }
}
