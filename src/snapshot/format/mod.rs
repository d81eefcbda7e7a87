//! What the bytes of a snapshot mean.
