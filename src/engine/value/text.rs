//! String values: small ones owned, large ones shared, so that a reply can be written after the guard is gone.

use std::sync::Arc;

/// Values over this many bytes are shared and written to the socket after the guard: copying 16 KiB takes about a
/// microsecond, which is as long as a guard may be held for one value.
pub const SHARED_FROM_BYTES: usize = 16 * 1024;

/// The bytes of a string value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// At most [`SHARED_FROM_BYTES`].
    Owned(Vec<u8>),
    /// Larger values; copied on write only while a reader still holds them.
    Shared(Arc<Vec<u8>>),
}

impl Text {
    /// Copies `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        if bytes.len() > SHARED_FROM_BYTES {
            Self::Shared(Arc::new(bytes.to_vec()))
        } else {
            Self::Owned(bytes.to_vec())
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// Changes the bytes in place; copies a shared value only while a reader holds it.
    pub fn change<R>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let result = match self {
            Self::Owned(bytes) => change(bytes),
            Self::Shared(bytes) => change(Arc::make_mut(bytes)),
        };
        if let Self::Owned(bytes) = self
            && bytes.len() > SHARED_FROM_BYTES
        {
            *self = Self::Shared(Arc::new(std::mem::take(bytes)));
        }
        result
    }

    /// Bytes on the heap, without the allocator's own.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let capacity = match self {
            Self::Owned(bytes) => bytes.capacity(),
            Self::Shared(bytes) => bytes.capacity() + size_of::<Vec<u8>>(),
        };
        capacity + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_over_the_border_shares_the_value() {
        let mut text = Text::new(b"x");
        text.change(|bytes| bytes.resize(SHARED_FROM_BYTES, b'x'));
        assert!(matches!(text, Text::Owned(_)));
        text.change(|bytes| bytes.push(b'y'));
        assert!(matches!(text, Text::Shared(_)));
        let reader = text.clone();
        text.change(|bytes| bytes.push(b'z'));
        assert_eq!(reader.as_bytes().len(), SHARED_FROM_BYTES + 1);
        assert_eq!(text.as_bytes().len(), SHARED_FROM_BYTES + 2);
    }
}
