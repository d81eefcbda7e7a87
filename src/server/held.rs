//! Bytes that a connection holds between turns: unread requests, or replies the socket did not take.

/// A buffer that grows at its end and is used up at its beginning. Empty, it holds no memory.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    used: usize,
}

/// Memory set aside at once for bytes that are only announced.
const ANNOUNCED_BYTES: usize = 64 * 1024;

impl Held {
    /// What is held.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.used
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes `count` bytes off the beginning.
    pub(super) fn consume(&mut self, count: usize) {
        self.used += count;
        if self.used >= self.bytes.len() {
            *self = Self::default();
        }
    }

    /// Adds `more`. `announced` bytes are expected behind it; memory for them is set aside only in proportion to what has
    /// arrived, so that announcing costs the client as much as sending.
    pub(super) fn append(&mut self, more: &[u8], announced: usize) {
        if more.is_empty() {
            return;
        }
        // Moving what is left costs no more than using up what was before it did.
        if self.used >= self.len() {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        if self.bytes.is_empty() && announced == 0 {
            self.bytes.reserve_exact(more.len());
        } else if announced > 0 {
            let proportionate = announced.min((self.bytes.len() + more.len()).max(ANNOUNCED_BYTES));
            self.bytes.reserve(more.len() + proportionate);
        }
        self.bytes.extend_from_slice(more);
    }

    /// Holds `bytes` from `used` on, without copying them.
    pub(super) fn take_over(&mut self, bytes: Vec<u8>, used: usize) {
        debug_assert!(self.is_empty(), "what was held would be lost");
        *self = Self { bytes, used };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_its_memory_back_when_empty() {
        let mut held = Held::default();
        held.append(b"hello", 0);
        held.consume(2);
        assert_eq!(held.bytes(), b"llo");
        held.append(b" world", 0);
        assert_eq!(held.bytes(), b"llo world");
        held.consume(9);
        assert!(held.is_empty() && held.bytes.capacity() == 0);
    }

    #[test]
    fn a_small_piece_holds_little_whatever_is_announced() {
        let mut held = Held::default();
        held.append(b"$", 0);
        assert!(held.bytes.capacity() <= 8);
        held.append(b"5", 512 << 20);
        assert!(held.bytes.capacity() <= 2 * ANNOUNCED_BYTES);
    }

    #[test]
    fn used_bytes_do_not_pile_up() {
        let mut held = Held::default();
        held.append(&[0; 100], 0);
        for _ in 0..100_000 {
            held.append(&[1; 10], 0);
            held.consume(10);
        }
        assert_eq!(held.len(), 100);
        assert!(held.bytes.capacity() < 1_000);
    }
}
