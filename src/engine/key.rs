//! The key of an entry: short ones lie inside the entry, longer ones on the heap.

/// Keys up to this many bytes need no allocation; with the length and the tag they fill 24 bytes.
const INLINE_BYTES: usize = 22;

/// A key, owned by its entry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Key {
    Inline { length: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<[u8]>),
}

impl Key {
    pub(super) const EMPTY: Self = Self::Inline { length: 0, bytes: [0; INLINE_BYTES] };

    pub(super) fn new(key: &[u8]) -> Self {
        match u8::try_from(key.len()) {
            Ok(length) if key.len() <= INLINE_BYTES => {
                let mut bytes = [0; INLINE_BYTES];
                bytes[..key.len()].copy_from_slice(key);
                Self::Inline { length, bytes }
            }
            _ => Self::Heap(key.into()),
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { length, bytes } => &bytes[..usize::from(*length).min(INLINE_BYTES)],
            Self::Heap(bytes) => bytes,
        }
    }

    /// Whether these are its bytes. Short keys are compared in words: a call of `memcmp` for them takes several times as long.
    #[inline]
    pub(super) fn is(&self, key: &[u8]) -> bool {
        let own = self.as_bytes();
        own.len() == key.len()
            && match key.len() {
                4..8 => words::<4>(own, key),
                8..=16 => words::<8>(own, key),
                17..=INLINE_BYTES => own[..8] == key[..8] && words::<8>(&own[8..], &key[8..]),
                _ => own == key,
            }
    }

    /// Bytes on the heap, without the allocator's own.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(bytes) => bytes.len(),
        }
    }
}

/// Whether two slices of one length, `N` to `2 * N`, are equal: their first and their last `N` bytes are.
#[inline]
fn words<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<N>() == other.first_chunk::<N>() && one.last_chunk::<N>() == other.last_chunk::<N>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_length_come_back() {
        for length in 0..100 {
            let bytes: Vec<u8> = (0..length).collect();
            let key = Key::new(&bytes);
            assert_eq!(key.as_bytes(), bytes);
            assert!(key.is(&bytes) && !key.is(&[&bytes[..], b"x"].concat()));
            for place in 0..bytes.len() {
                let mut other = bytes.clone();
                other[place] ^= 0x80;
                assert!(!key.is(&other), "{length} bytes, differing at {place}");
            }
            assert_eq!(key.heap_bytes(), if bytes.len() > INLINE_BYTES { bytes.len() } else { 0 });
        }
        assert_eq!(size_of::<Key>(), 24);
    }
}
