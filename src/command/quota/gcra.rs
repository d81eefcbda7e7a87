//! GCRA: a rate limit with fractions of seconds in its reply.

use super::verdict;
use crate::dispatch::{Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Spec, example};
use crate::quota::{Throttle, ThrottleVerdict};

pub(super) static SPEC: Spec = Spec {
    name: "gcra",
    syntax: "key max_burst tokens_per_period period [TOKENS n | NUM_REQUESTS n]",
    summary: "Takes tokens of a rate; the period and the times in the reply are seconds with fractions.",
    group: Group::Quota,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example(
            "GCRA user:7 15 30 60",
            "1) (integer) 0\n2) (integer) 16\n3) (integer) 15\n4) \"-1\"\n5) \"2\"",
        )
        .resp3("1) (integer) 0\n2) (integer) 16\n3) (integer) 15\n4) (double) -1\n5) (double) 2"),
        example(
            "GCRA user:7 15 30 60 TOKENS 16",
            "1) (integer) 1\n2) (integer) 16\n3) (integer) 15\n4) \"2\"\n5) \"2\"",
        )
        .resp3("1) (integer) 1\n2) (integer) 16\n3) (integer) 15\n4) (double) 2\n5) (double) 2"),
    ],
    subcommands: &[],
    run,
};

/// Digits of a nanosecond behind the decimal point of a second; a period names no smaller part.
const FRACTION_DIGITS: usize = 9;

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let (max_burst, tokens) = (args.next_integer()?, args.next_integer()?);
    let period = period_nanos(args.next_bytes()?)?;
    let mut quantity = 1;
    if args.left() > 0 {
        if !(args.take_keyword("TOKENS") || args.take_keyword("NUM_REQUESTS")) {
            return Err(CommandError::Syntax.into());
        }
        quantity = args.next_integer()?;
        if quantity < 0 {
            return Err(CommandError::other("TOKENS must not be negative").into());
        }
    }
    args.finish()?;
    let rule = Throttle::gcra(max_burst, tokens, period).map_err(verdict::throttle_error)?;
    verdict::throttle(context, key, &rule, quantity, write)
}

fn write(context: &mut Context<'_>, verdict: &ThrottleVerdict) {
    let reply = &mut context.reply;
    reply.array(5);
    reply.integer(i64::from(verdict.limited));
    reply.integer(verdict.limit);
    reply.integer(verdict.remaining);
    reply.double(verdict.retry_after_ns.map_or(-1.0, seconds));
    reply.double(seconds(verdict.reset_after_ns));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "only shown; below 104 days every microsecond is told exactly"
)]
fn seconds(nanos: i64) -> f64 {
    (nanos / 1_000) as f64 / 1_000_000.0
}

/// Reads seconds with a fraction, at least 1, as nanoseconds without a detour over a float.
fn period_nanos(text: &[u8]) -> Result<i64, CommandError> {
    let refuse = || {
        CommandError::other(format!(
            "invalid period '{}': seconds as a decimal number of at least 1 with at most 9 digits behind the point",
            String::from_utf8_lossy(&text[..text.len().min(64)])
        ))
    };
    let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b""[..]),
    };
    let is_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || fraction.len() > FRACTION_DIGITS {
        return Err(refuse());
    }
    let mut nanos: i64 = 0;
    let padding = std::iter::repeat_n(&b'0', FRACTION_DIGITS - fraction.len());
    for digit in whole.iter().chain(fraction).chain(padding) {
        let next = nanos.checked_mul(10).and_then(|nanos| nanos.checked_add(i64::from(digit - b'0')));
        nanos = next.ok_or_else(refuse)?;
    }
    if nanos < 1_000_000_000 { Err(refuse()) } else { Ok(nanos) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_exactly() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(period_nanos(text.as_bytes()).ok(), expected, "{text}")
        };
        check("1", Some(1_000_000_000));
        check("1.5", Some(1_500_000_000));
        check("60.000000001", Some(60_000_000_001));
        for text in ["", ".5", "0.5", "-1", "1e3", "1.0000000001", "99999999999999", "1.x", "nan", " 1"] {
            check(text, None);
        }
    }
}
