//! GETRANGE: a part of a string.

use std::ops::Range;

use super::read_string;
use super::shared::OldString;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "getrange",
    syntax: "key start end",
    summary: "Answers the bytes from start to end, both included; negative positions count from the end.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(n)",
    arity: Arity::Exactly(4),
    flags: Flags::READONLY,
    keys: Keys::one(1),
    examples: &[
        example("SET greeting \"hello world\"", "OK"),
        example("GETRANGE greeting 0 4", "\"hello\""),
        example("GETRANGE greeting -5 -1", "\"world\""),
    ],
    subcommands: &[],
    run,
};

/// Answers a part of a string; SUBSTR is its old name.
pub(super) fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let start = args.next_integer()?;
    let end = args.next_integer()?;
    let string = read_string(context, key, |string| match string.shared() {
        Some(shared) => OldString::Large(shared),
        None => OldString::Small(string.with_bytes(|bytes| bytes[range(bytes.len(), start, end)].to_vec())),
    })?;
    match string {
        Some(OldString::Large(bytes)) => context.reply.bulk(&bytes[range(bytes.len(), start, end)]),
        Some(OldString::Small(part)) => context.reply.bulk(&part),
        Some(OldString::Integer(_)) | None => context.reply.bulk(b""),
    }
    Ok(Outcome::Reply)
}

/// The bytes that Redis's positions name in a string of `length` bytes.
fn range(length: usize, start: i64, end: i64) -> Range<usize> {
    let from_end = |position: i64| {
        let back = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
        if position < 0 { length.saturating_sub(back) } else { back }
    };
    if length == 0 || (start < 0 && end < 0 && start > end) {
        return 0..0;
    }
    let (first, last) = (from_end(start), from_end(end).min(length - 1));
    if first > last { 0..0 } else { first..last + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_both_ends_and_are_cut() {
        let check = |start: i64, end: i64, expected: &str| {
            assert_eq!(&"hello"[range(5, start, end)], expected, "{start} {end}");
        };
        check(0, -1, "hello");
        check(1, 3, "ell");
        check(-3, -2, "ll");
        check(-2, -3, "");
        check(3, 1, "");
        check(4, 100, "o");
        check(5, 100, "");
        check(-100, 0, "h");
        check(-100, -100, "h");
        check(0, -100, "h");
        check(i64::MIN, i64::MAX, "hello");
        check(i64::MAX, i64::MIN, "");
        assert_eq!(range(0, 0, -1), 0..0);
    }
}
