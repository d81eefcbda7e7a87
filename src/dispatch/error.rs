//! The errors commands answer, with Redis's own texts where Redis has the error.

use std::borrow::Cow;
use std::fmt;

/// An error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// Unknown command.
    UnknownCommand {
        /// The name as it came, cut.
        name: String,
        /// The first arguments, quoted, cut.
        arguments: String,
    },
    /// Unknown subcommand of a container.
    UnknownSubcommand {
        /// The container's name.
        container: String,
        /// The subcommand as it came, cut.
        name: String,
    },
    /// Too few or too many words; the name in lower case.
    WrongArity(String),
    /// Words that do not fit the command's grammar.
    Syntax,
    /// The key holds another type.
    WrongType,
    /// Not a signed 64-bit integer.
    NotAnInteger,
    /// Not a number.
    NotAFloat,
    /// The sum does not fit.
    Overflow,
    /// The sum is no number.
    NotFinite,
    /// An expiry of zero, below zero or beyond what can be told; the command in lower case.
    InvalidExpire(String),
    /// The source key of a rename or copy does not exist.
    NoSuchKey,
    /// A database number that is out of range.
    DatabaseIndex,
    /// Commands before AUTH.
    NoAuth,
    /// AUTH with a wrong name or password.
    WrongPassword,
    /// Memory is full.
    OutOfMemory,
    /// Data is being loaded.
    Loading,
    /// HELLO with a version that is not 2 or 3.
    NoProtocol,
    /// A cursor that is no number.
    InvalidCursor,
    /// A key over its limit.
    KeyTooLong {
        /// Its bytes.
        length: usize,
        /// The most allowed.
        limit: usize,
    },
    /// EXPIRE and its kin on a quota, whose expiry follows from its limits.
    ExpiryOfQuota,
    /// Any other error: `ERR` and this text.
    Other(Cow<'static, str>),
    /// An error with another code, written as it is.
    Coded(Cow<'static, str>),
}

impl CommandError {
    /// `ERR` and `text`.
    pub fn other(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Other(text.into())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCommand { name, arguments } => {
                write!(formatter, "ERR unknown command '{name}', with args beginning with: {arguments}")?;
                way_out(name).map_or(Ok(()), |way| write!(formatter, "({way})"))
            }
            Self::UnknownSubcommand { container, name } => write!(
                formatter,
                "ERR unknown subcommand '{name}'. Try {} HELP.",
                container.to_ascii_uppercase()
            ),
            Self::WrongArity(name) => {
                write!(formatter, "ERR wrong number of arguments for '{name}' command")?;
                if name == "quota.take" { write!(formatter, ": {TAKE_SYNTAX}") } else { Ok(()) }
            }
            Self::Syntax => formatter.write_str("ERR syntax error"),
            Self::WrongType => {
                formatter.write_str("WRONGTYPE Operation against a key holding the wrong kind of value")
            }
            Self::NotAnInteger => formatter.write_str("ERR value is not an integer or out of range"),
            Self::NotAFloat => formatter.write_str("ERR value is not a valid float"),
            Self::Overflow => formatter.write_str("ERR increment or decrement would overflow"),
            Self::NotFinite => formatter.write_str("ERR increment would produce NaN or Infinity"),
            Self::InvalidExpire(name) => write!(formatter, "ERR invalid expire time in '{name}' command"),
            Self::NoSuchKey => formatter.write_str("ERR no such key"),
            Self::DatabaseIndex => formatter.write_str("ERR DB index is out of range"),
            Self::NoAuth => formatter.write_str("NOAUTH Authentication required."),
            Self::WrongPassword => {
                formatter.write_str("WRONGPASS invalid username-password pair or user is disabled.")
            }
            Self::OutOfMemory => {
                formatter.write_str("OOM command not allowed when used memory > 'maxmemory'.")
            }
            Self::Loading => formatter.write_str("LOADING quotad is loading the dataset in memory"),
            Self::NoProtocol => formatter.write_str("NOPROTO unsupported protocol version"),
            Self::InvalidCursor => formatter.write_str("ERR invalid cursor"),
            Self::KeyTooLong { length, limit } => {
                write!(formatter, "ERR key is {length} bytes long, at most {limit} are allowed (max-key-bytes)")
            }
            Self::ExpiryOfQuota => formatter.write_str(
                "ERR the expiry of a quota follows from its limits and cannot be set; QUOTA.RESET or DEL removes it",
            ),
            Self::Other(text) => write!(formatter, "ERR {text}"),
            Self::Coded(text) => formatter.write_str(text),
        }
    }
}

impl std::error::Error for CommandError {}

/// What a call of QUOTA.TAKE looks like: nobody knows the command from elsewhere, and it is first tried by hand.
const TAKE_SYNTAX: &str = "QUOTA.TAKE subject amount [unit amount ...] <RATE n PER t [BURST b] | \
    WINDOW n PER t [FIXED | SLIDING | LOG] | BUDGET n PER <HOUR | DAY | WEEK | MONTH | YEAR | TOTAL> [TZ zone] [ANCHOR a]> \
    [UNIT u] ... [ATMOST | FORCE | PEEK] [DURABLE], as in QUOTA.TAKE user:7 1 RATE 10 PER 1s";

/// What to do without a command of Redis that clients call on their own account or that Redis's limiters are built on.
fn way_out(name: &str) -> Option<&'static str> {
    const TRANSACTIONS: &str = "transactions are not supported: send a pipeline without MULTI, in redis-py \
                                pipeline(transaction=False); QUOTA.TAKE decides several limits in one call";
    const SCRIPTS: &str = "scripts are not supported: QUOTA.TAKE, CL.THROTTLE and INCREX do in one call what limiters need them for";
    let is_any_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
    if is_any_of(&["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"]) {
        Some(TRANSACTIONS)
    } else if is_any_of(&[
        "EVAL",
        "EVAL_RO",
        "EVALSHA",
        "EVALSHA_RO",
        "SCRIPT",
        "FUNCTION",
        "FCALL",
        "FCALL_RO",
    ]) {
        Some(SCRIPTS)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(name: &str, arguments: &str) -> String {
        CommandError::UnknownCommand { name: name.to_owned(), arguments: arguments.to_owned() }.to_string()
    }

    #[test]
    fn unknown_commands_have_redis_text_and_a_way_out_behind_it() {
        assert_eq!(
            unknown("nonsense", "'a' "),
            "ERR unknown command 'nonsense', with args beginning with: 'a' "
        );
        let multi = unknown("multi", "");
        let redis = "ERR unknown command 'multi', with args beginning with: ";
        assert!(
            multi.strip_prefix(redis).is_some_and(|way| way.contains("pipeline(transaction=False)")),
            "{multi}"
        );
        for name in ["EXEC", "WATCH"] {
            assert!(unknown(name, "").contains("transactions are not supported"));
        }
        for name in ["EVAL", "evalsha"] {
            let text = unknown(name, "'return 1' '0' ");
            assert!(
                text.contains("with args beginning with: 'return 1' '0' (scripts are not supported"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_take_that_is_too_short_is_told_its_syntax_behind_redis_text() {
        let text = CommandError::WrongArity("quota.take".to_owned()).to_string();
        let redis = "ERR wrong number of arguments for 'quota.take' command: QUOTA.TAKE subject amount ";
        assert!(text.starts_with(redis), "{text}");
        let get = CommandError::WrongArity("get".to_owned()).to_string();
        assert_eq!(get, "ERR wrong number of arguments for 'get' command");
    }
}
