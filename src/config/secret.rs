//! A password that is never printed and is compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;

/// A password.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Keeps `password`.
    #[must_use]
    pub fn new(password: &[u8]) -> Self {
        Self(password.into())
    }

    /// The password, to be sent to the server that asks for it and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether `password` is this one. The time taken tells the length of the guess, not where it differs.
    #[must_use]
    pub fn is(&self, password: &[u8]) -> bool {
        self.0.ct_eq(password).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_is_the_password() {
        let secret = Secret::new(b"hunter2");
        assert!(secret.is(b"hunter2"));
        for guess in [&b""[..], b"hunter", b"hunter22", b"Hunter2"] {
            assert!(!secret.is(guess));
        }
        assert!(!format!("{secret:?}").contains("hunter"));
    }
}
