//! The options of SET and GETEX: an expiry, and when to set.

use crate::command::expiry::Term;
use crate::dispatch::args::{integer, is_keyword};
use crate::dispatch::{Args, CommandError, Context};
use crate::engine::Expiry;

/// What becomes of the expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lifetime<'a> {
    /// No option named it.
    #[default]
    Unnamed,
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Persist,
    /// A term and its number as it came, which is read only when the command knows that it needs it.
    Until(Term, &'a [u8]),
}

/// Whether SET needs the key to be absent or present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Condition {
    #[default]
    Always,
    /// NX.
    IfAbsent,
    /// XX.
    IfPresent,
}

/// All options of SET.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SetOptions<'a> {
    pub(super) condition: Condition,
    pub(super) answer_old: bool,
    pub(super) lifetime: Lifetime<'a>,
}

impl<'a> Lifetime<'a> {
    /// Reads one option that names the lifetime, of which a call may have one kind; the last number of a kind counts, as in
    /// Redis. `false` when `word` is none of `plain`, the options without a number, nor a term.
    ///
    /// # Errors
    /// A syntax error for a second kind or a missing number.
    pub(super) fn read(
        &mut self,
        word: &[u8],
        plain: (&str, Lifetime<'a>),
        args: &mut Args<'a>,
    ) -> Result<bool, CommandError> {
        let next = if is_keyword(word, plain.0) {
            plain.1
        } else if let Some(term) = Term::of_option(word) {
            Self::Until(term, args.next_bytes()?)
        } else {
            return Ok(false);
        };
        let same_kind = match (*self, next) {
            (Self::Unnamed, _) => true,
            (Self::Until(known, _), Self::Until(term, _)) => known == term,
            (known, next) => known == next,
        };
        if !same_kind {
            return Err(CommandError::Syntax);
        }
        *self = next;
        Ok(true)
    }

    /// The expiry that was named, if one was.
    ///
    /// # Errors
    /// When the number is none, or is no time to come.
    pub(super) fn expiry(self, context: &Context<'_>) -> Result<Option<Expiry>, CommandError> {
        match self {
            Self::Until(term, number) => {
                term.positive(integer(number)?, context.now, context.name()).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl<'a> SetOptions<'a> {
    /// Reads all that is left.
    ///
    /// # Errors
    /// A syntax error for a word that is no option, or options that contradict each other.
    pub(super) fn read(mut args: Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        while let Some(word) = args.try_next() {
            if is_keyword(word, "nx") && options.condition != Condition::IfPresent {
                options.condition = Condition::IfAbsent;
            } else if is_keyword(word, "xx") && options.condition != Condition::IfAbsent {
                options.condition = Condition::IfPresent;
            } else if is_keyword(word, "get") {
                options.answer_old = true;
            } else if !options.lifetime.read(word, ("keepttl", Lifetime::Keep), &mut args)? {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}
