//! Reading a command's arguments one after the other, each as what it should be.

use super::CommandError;
use crate::engine::value::canonical_integer;
use crate::resp::Request;

/// A cursor over the arguments of a call, behind its name (and its subcommand's).
#[derive(Clone, Copy)]
pub struct Args<'a> {
    request: Request<'a>,
    next: usize,
}

impl<'a> Args<'a> {
    /// The arguments from position `next` on; the name is at 0.
    #[must_use]
    #[inline]
    pub const fn new(request: Request<'a>, next: usize) -> Self {
        Self { request, next }
    }

    /// The whole call.
    #[must_use]
    pub const fn request(&self) -> Request<'a> {
        self.request
    }

    /// The position of the next argument in the call, the name being 0.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.next
    }

    /// How many arguments are left.
    #[must_use]
    #[inline]
    pub fn left(&self) -> usize {
        self.request.len().saturating_sub(self.next)
    }

    /// Leaves out `count` arguments.
    pub fn skip(&mut self, count: usize) {
        self.next = (self.next + count).min(self.request.len());
    }

    /// The next argument, if there is one.
    #[inline]
    pub fn try_next(&mut self) -> Option<&'a [u8]> {
        if self.next >= self.request.len() {
            return None;
        }
        let argument = self.request.arg(self.next);
        self.next += 1;
        Some(argument)
    }

    /// The next argument without moving on.
    #[must_use]
    pub fn peek(&self) -> Option<&'a [u8]> {
        (self.next < self.request.len()).then(|| self.request.arg(self.next))
    }

    /// The next argument.
    ///
    /// # Errors
    /// A syntax error when none is left.
    #[inline]
    pub fn next_bytes(&mut self) -> Result<&'a [u8], CommandError> {
        self.try_next().ok_or(CommandError::Syntax)
    }

    /// The next argument as a signed 64-bit integer.
    ///
    /// # Errors
    /// When none is left or it is not one.
    #[inline]
    pub fn next_integer(&mut self) -> Result<i64, CommandError> {
        integer(self.next_bytes()?)
    }

    /// The next argument as a number.
    ///
    /// # Errors
    /// When none is left or it is not a finite or infinite number.
    pub fn next_float(&mut self) -> Result<f64, CommandError> {
        float(self.next_bytes()?)
    }

    /// Whether the next argument is `keyword`, in any case; moves on if so.
    #[inline]
    pub fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|argument| is_keyword(argument, keyword));
        if found {
            self.next += 1;
        }
        found
    }

    /// All arguments that are left.
    pub fn rest(self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let request = self.request;
        (self.next.min(request.len())..request.len()).map(move |position| request.arg(position))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A syntax error when an argument is left.
    #[inline]
    pub fn finish(self) -> Result<(), CommandError> {
        if self.left() == 0 { Ok(()) } else { Err(CommandError::Syntax) }
    }
}

/// Whether `argument` is `keyword`, in any case.
#[must_use]
#[inline]
pub fn is_keyword(argument: &[u8], keyword: &str) -> bool {
    argument.eq_ignore_ascii_case(keyword.as_bytes())
}

/// Reads a signed 64-bit integer in canonical form.
///
/// # Errors
/// When it is not one.
#[inline]
pub fn integer(argument: &[u8]) -> Result<i64, CommandError> {
    canonical_integer(argument).ok_or(CommandError::NotAnInteger)
}

/// Reads a number as Redis does: decimal or exponent form, `inf`, no spaces, not `nan`.
///
/// # Errors
/// When it is not one.
pub fn float(argument: &[u8]) -> Result<f64, CommandError> {
    let text = std::str::from_utf8(argument).map_err(|_| CommandError::NotAFloat)?;
    let number: f64 = text.parse().map_err(|_| CommandError::NotAFloat)?;
    if number.is_nan() { Err(CommandError::NotAFloat) } else { Ok(number) }
}
