//! SCAN: walks the keys in pages.

use crate::command::glob;
use crate::dispatch::args::is_keyword;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::{Cursor, View};

pub(super) static SPEC: Spec = Spec {
    name: "scan",
    syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
    summary: "Answers a cursor for the next page, 0 at the end, and keys; a key that is there throughout is answered at least once.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(count) for every call",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    keys: Keys::NONE,
    examples: &[
        example("SCAN 0", "1) \"0\"\n2) (empty array)"),
        example("SET user:1 a", "OK"),
        example("SCAN 0 MATCH user:* COUNT 100", "1) \"0\"\n2) 1) \"user:1\""),
    ],
    subcommands: &[],
    run,
};

/// Keys that a page looks at where COUNT does not say otherwise, as in Redis.
const DEFAULT_COUNT: usize = 10;

/// The most keys that one call looks at: about a millisecond. COUNT is a hint, so a client sees no difference but more pages.
const MAX_COUNT: usize = 10_000;

/// What a page answers of the keys it looks at.
struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    count: usize,
}

impl<'a> Filter<'a> {
    fn read(mut args: Args<'a>) -> Result<Self, CommandError> {
        let mut filter = Self { pattern: None, kind: None, count: DEFAULT_COUNT };
        while let Some(word) = args.try_next() {
            if is_keyword(word, "count") && args.left() > 0 {
                let count = args.next_integer()?;
                if count < 1 {
                    return Err(CommandError::Syntax);
                }
                filter.count = usize::try_from(count).unwrap_or(MAX_COUNT).min(MAX_COUNT);
            } else if is_keyword(word, "match") && args.left() > 0 {
                filter.pattern = Some(args.next_bytes()?);
            } else if is_keyword(word, "type") && args.left() > 0 {
                filter.kind = Some(args.next_bytes()?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(filter)
    }

    fn admits(&self, key: &[u8], view: View<'_>) -> bool {
        self.kind.is_none_or(|kind| is_keyword(kind, view.kind().name()))
            && self.pattern.is_none_or(|pattern| glob::matches(pattern, key))
    }
}

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let number = cursor(args.next_bytes()?)?;
    let filter = Filter::read(args)?;
    let mut keys: Vec<Box<[u8]>> = Vec::new();
    // A number that no page has answered lies behind the last key.
    let mut next = None;
    if let Some(cursor) = Cursor::from_number(number) {
        let (now, spans) = (context.now, &mut context.scratch.spans);
        let engine = &context.ports.engine;
        let page = engine.scan(context.session.database, cursor, filter.count, now, |key, view| {
            if filter.admits(key, view) && !view.has_ended(now, spans) {
                keys.push(key.into());
            }
        });
        next = page.next;
    }
    context.reply.array(2);
    context.reply.text(itoa::Buffer::new().format(next.map_or(0, Cursor::to_number)));
    context.reply.array(keys.len());
    for key in &keys {
        context.reply.bulk(key);
    }
    Ok(Outcome::Reply)
}

/// Reads a cursor as Redis does: a number of 64 bits.
fn cursor(word: &[u8]) -> Result<u64, CommandError> {
    let digits = word.strip_prefix(b"+").unwrap_or(word);
    if !digits.first().is_some_and(u8::is_ascii_digit) {
        return Err(CommandError::InvalidCursor);
    }
    let text = std::str::from_utf8(digits).map_err(|_| CommandError::InvalidCursor)?;
    text.parse().map_err(|_| CommandError::InvalidCursor)
}
