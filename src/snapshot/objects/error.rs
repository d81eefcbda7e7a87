//! Why an operation on objects failed, in words for people: with the place, the object and what can be done, and no secret.

use std::fmt;

/// Why an operation on objects failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectsError {
    /// The store does not answer, or says that it cannot now: later it may.
    Unavailable(String),
    /// The store refuses: credentials, rights, a bucket that is missing, a region that is another. Somebody must do something.
    Denied(String),
    /// The store cannot do what is needed at all.
    Unsupported(String),
    /// There is no such object.
    NotFound(String),
    /// An object, or a list of them, is larger than it may be.
    TooLarge(String),
    /// An object, or its name, is not what it should be.
    Damaged(String),
}

impl ObjectsError {
    /// Whether the same may succeed later with nobody doing anything.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether the object is gone, or not what it should be.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::NotFound(_) | Self::TooLarge(_) | Self::Damaged(_))
    }
}

impl fmt::Display for ObjectsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(text)
            | Self::Denied(text)
            | Self::Unsupported(text)
            | Self::NotFound(text)
            | Self::TooLarge(text)
            | Self::Damaged(text) => formatter.write_str(text),
        }
    }
}

impl std::error::Error for ObjectsError {}
