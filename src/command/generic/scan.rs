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

/// Reads a cursor as Redis does, with C's `strtoul`: a number of 64 bits, which a minus turns around; nothing is 0.
fn cursor(word: &[u8]) -> Result<u64, CommandError> {
    let (negative, digits) = match word {
        [] => return Ok(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(CommandError::InvalidCursor);
    }
    let text = std::str::from_utf8(digits).map_err(|_| CommandError::InvalidCursor)?;
    let number: u64 = text.parse().map_err(|_| CommandError::InvalidCursor)?;
    Ok(if negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::testing::Harness;
    use crate::resp::write_request;

    /// The lines of a reply: cursor first, then keys.
    fn page(server: &mut Harness, call: &str) -> (String, Vec<String>) {
        let reply = String::from_utf8(server.call(call)).unwrap();
        let mut lines = reply.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with(['*', '$']));
        (lines.next().unwrap().to_owned(), lines.map(str::to_owned).collect())
    }

    #[test]
    fn every_key_that_stays_is_answered_while_others_come_and_go() {
        let mut server = Harness::new(crate::command::table());
        let mut input = Vec::new();
        for number in 0..5_000 {
            write_request(&mut input, &[b"SET", format!("stays:{number}").as_bytes(), b"v"]);
            write_request(&mut input, &[b"SET", format!("goes:{number}").as_bytes(), b"v"]);
        }
        server.feed(&input);
        let (mut cursor, mut met, mut round) = ("0".to_owned(), std::collections::HashSet::new(), 0);
        loop {
            let (next, keys) = page(&mut server, &format!("SCAN {cursor} COUNT 37 MATCH stays:*"));
            met.extend(keys);
            server.call(&format!("DEL goes:{round} goes:{}", round + 2_500));
            server.call(&format!("SET comes:{round} v"));
            round += 1;
            cursor = next;
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(met.len(), 5_000);
    }

    #[test]
    fn one_call_looks_at_a_limited_number_of_keys() {
        let mut server = Harness::new(crate::command::table());
        let mut input = Vec::new();
        for number in 0..MAX_COUNT + 10 {
            write_request(&mut input, &[b"SET", format!("key:{number}").as_bytes(), b"v"]);
        }
        server.feed(&input);
        let (next, keys) = page(&mut server, "SCAN 0 COUNT 9223372036854775807");
        assert_eq!(keys.len(), MAX_COUNT);
        assert_eq!(page(&mut server, &format!("SCAN {next} COUNT 100")).1.len(), 10);
    }

    #[test]
    fn a_cursor_that_no_page_answered_ends_the_walk() {
        let mut server = Harness::new(crate::command::table());
        server.call("SET key v");
        assert_eq!(page(&mut server, "SCAN -1"), ("0".to_owned(), Vec::new()));
        assert_eq!(page(&mut server, "SCAN 18446744073709551615"), ("0".to_owned(), Vec::new()));
    }
}
