//! What a command says of itself: everything that is checked, listed, documented or measured is derived from it.

use super::{Args, Context, Handled};

/// One command, or one subcommand of a container.
pub struct Spec {
    /// In lower case; a subcommand carries its container's name: `client|list`.
    pub name: &'static str,
    /// The arguments as in a manual page, without the name.
    pub syntax: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The chapter of the manual.
    pub group: Group,
    /// The version of quotad it came with.
    pub since: &'static str,
    /// How its work grows.
    pub complexity: &'static str,
    /// How many words a call has, its name included.
    pub arity: Arity,
    /// What it does and when it may run.
    pub flags: Flags,
    /// Which arguments are keys.
    pub keys: Keys,
    /// Calls with their replies, run in order as a test over RESP2 and RESP3 on an empty server.
    pub examples: &'static [Example],
    /// The subcommands of a container; empty for a plain command.
    pub subcommands: &'static [&'static Spec],
    /// Does the work. A container's is run when it is called without a subcommand.
    pub run: Handler,
}

/// Reads its arguments, works on the context, writes exactly one reply.
pub type Handler = fn(&mut Context<'_>, Args<'_>) -> Handled;

/// A call and what it answers, in redis-cli's notation.
pub struct Example {
    /// The line as typed.
    pub call: &'static str,
    /// The reply over RESP2.
    pub reply: &'static str,
    /// The reply over RESP3 where it differs.
    pub resp3: Option<&'static str>,
}

/// An example whose reply is the same over RESP2 and RESP3.
#[must_use]
pub const fn example(call: &'static str, reply: &'static str) -> Example {
    Example { call, reply, resp3: None }
}

impl Example {
    /// The same example with another reply over RESP3.
    #[must_use]
    pub const fn resp3(self, reply: &'static str) -> Self {
        Self { resp3: Some(reply), ..self }
    }
}

/// How many words a call has, the name (and a subcommand's both names) included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Just as many.
    Exactly(usize),
    /// That many or more.
    AtLeast(usize),
}

impl Arity {
    /// Whether a call of `words` words is right.
    #[must_use]
    #[inline]
    pub const fn allows(self, words: usize) -> bool {
        match self {
            Self::Exactly(number) => words == number,
            Self::AtLeast(number) => words >= number,
        }
    }

    /// As `COMMAND` tells it: negative for a minimum.
    #[must_use]
    #[expect(clippy::cast_possible_wrap, reason = "arities are small")]
    pub const fn as_number(self) -> i64 {
        match self {
            Self::Exactly(number) => number as i64,
            Self::AtLeast(number) => -(number as i64),
        }
    }
}

/// The chapter of the manual; also the group's access category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Limits: what quotad is for.
    Quota,
    /// Keys of any type.
    Generic,
    /// Strings and counters.
    String,
    /// The client's own connection.
    Connection,
    /// The server.
    Server,
}

impl Group {
    /// As `COMMAND DOCS` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Generic => "generic",
            Self::String => "string",
            Self::Connection => "connection",
            Self::Server => "server",
        }
    }
}

/// A set of properties of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// No property.
    pub const NONE: Self = Self(0);
    /// May change keys.
    pub const WRITE: Self = Self(1);
    /// Never changes keys.
    pub const READONLY: Self = Self(1 << 1);
    /// Refused when memory is full.
    pub const DENYOOM: Self = Self(1 << 2);
    /// For operators.
    pub const ADMIN: Self = Self(1 << 3);
    /// Takes bounded time: it is not measured alone, and the clock is not read around it.
    pub const FAST: Self = Self(1 << 4);
    /// Runs before authentication.
    pub const NO_AUTH: Self = Self(1 << 5);
    /// Runs while data is loaded.
    pub const LOADING: Self = Self(1 << 6);
    /// May answer later than the commands behind it could.
    pub const BLOCKING: Self = Self(1 << 7);
    /// Not for scripts.
    pub const NO_SCRIPT: Self = Self(1 << 8);
    /// May hurt: long, or for all clients.
    pub const DANGEROUS: Self = Self(1 << 9);
    /// Runs even while clients are paused.
    pub const NO_PAUSE: Self = Self(1 << 10);
    /// Its arguments may hold a password: they are never kept.
    pub const SECRET: Self = Self(1 << 11);

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags' names as `COMMAND` lists them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [(Flags, &str); 9] = [
            (Flags::WRITE, "write"),
            (Flags::READONLY, "readonly"),
            (Flags::DENYOOM, "denyoom"),
            (Flags::ADMIN, "admin"),
            (Flags::FAST, "fast"),
            (Flags::NO_AUTH, "no_auth"),
            (Flags::LOADING, "loading"),
            (Flags::BLOCKING, "blocking"),
            (Flags::NO_SCRIPT, "noscript"),
        ];
        NAMES.into_iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, name)| name)
    }
}

/// Which arguments are keys, counted with the name as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The first key; 0: none.
    pub first: usize,
    /// The last key; negative counts from the end, -1 is the last argument.
    pub last: isize,
    /// From one key to the next.
    pub step: usize,
}

impl Keys {
    /// No key.
    pub const NONE: Self = Self { first: 0, last: 0, step: 0 };

    /// One key at `position`.
    #[must_use]
    #[expect(clippy::cast_possible_wrap, reason = "positions are small")]
    pub const fn one(position: usize) -> Self {
        Self { first: position, last: position as isize, step: 1 }
    }

    /// Keys at `first`, `first + step`, up to `last`.
    #[must_use]
    pub const fn range(first: usize, last: isize, step: usize) -> Self {
        Self { first, last, step }
    }

    /// The positions of the keys in a call of `words` words.
    #[inline]
    pub fn positions(self, words: usize) -> impl Iterator<Item = usize> {
        let end = if self.first == 0 {
            0
        } else if self.last < 0 {
            words.saturating_sub(self.last.unsigned_abs() - 1)
        } else {
            (self.last.unsigned_abs() + 1).min(words)
        };
        (self.first..end).step_by(self.step.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_positions() {
        let check = |keys: Keys, words: usize, expected: &[usize]| {
            assert_eq!(keys.positions(words).collect::<Vec<_>>(), expected, "{keys:?} of {words}");
        };
        check(Keys::NONE, 5, &[]);
        check(Keys::one(1), 3, &[1]);
        check(Keys::one(2), 2, &[]);
        check(Keys::range(1, -1, 1), 4, &[1, 2, 3]);
        check(Keys::range(1, -1, 2), 5, &[1, 3]);
        check(Keys::range(1, 2, 1), 3, &[1, 2]);
    }
}
