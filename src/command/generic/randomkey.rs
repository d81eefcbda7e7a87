//! RANDOMKEY: a key chosen at random.

use std::sync::Arc;

use crate::command::live;
use crate::dispatch::outcome::yield_now;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Ports, Spec, example};
use crate::engine::Cursor;
use crate::quota::SpanCache;
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "randomkey",
    syntax: "",
    summary: "Answers a key of the database, chosen at random; null when it has none.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1); where most keys are quotas that have ended, O(n) in slices between which other clients are served",
    arity: Arity::Exactly(1),
    flags: Flags::READONLY,
    keys: Keys::NONE,
    examples: &[example("RANDOMKEY", "(nil)"), example("SET only 1", "OK"), example("RANDOMKEY", "\"only\"")],
    subcommands: &[],
    run,
};

/// How many keys are tried while they turn out to be quota states that have ended, which are swept in time; then the next that has
/// not is looked for.
const TRIES: usize = 100;

/// Keys that are looked at before other clients of the thread are served: about a hundred microseconds.
const SLICE_KEYS: usize = 1_000;

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let database = context.session.database;
    for _ in 0..TRIES {
        let random = context.scratch.random();
        let Some(key) = context.engine().random_key(database, random, context.now) else {
            context.reply.null();
            return Ok(Outcome::Reply);
        };
        if !live::has_ended(context, &key)? {
            context.reply.bulk(&key);
            return Ok(Outcome::Reply);
        }
    }
    let begin = Cursor::at_random(context.scratch.random());
    let (ports, protocol) = (Arc::clone(context.ports), context.reply.protocol());
    Ok(Outcome::Suspend(Box::pin(async move {
        let key = next_live(&ports, database, begin).await;
        let mut answer = Vec::new();
        let mut reply = ReplyWriter::new(&mut answer, protocol);
        match key {
            Some(key) => reply.bulk(&key),
            None => reply.null(),
        }
        answer
    })))
}

/// The first key at or behind `begin` that has not ended, or else the first one before it.
async fn next_live(ports: &Ports, database: u8, begin: Cursor) -> Option<Box<[u8]>> {
    let mut spans = SpanCache::default();
    for (first, end) in [(begin, None), (Cursor::default(), Some(begin))] {
        let mut cursor = Some(first);
        while let Some(from) = cursor.filter(|cursor| end.is_none_or(|end| *cursor < end)) {
            let now = ports.clock.now();
            let mut found = None;
            let page = ports.engine.scan(database, from, SLICE_KEYS, now, |key, view| {
                if found.is_none() && !view.has_ended(now, &mut spans) {
                    found = Some(key.into());
                }
            });
            if found.is_some() {
                return found;
            }
            cursor = page.next;
            yield_now().await;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn a_live_key_among_many_ended_quotas_is_found() {
        let mut server = Harness::new(crate::command::table());
        let mut input = Vec::new();
        for number in 0..5_000 {
            input.extend_from_slice(format!("CL.THROTTLE ended:{number} 0 1 1\r\n").as_bytes());
        }
        server.feed(&input);
        server.clock.advance_micros(1_000_000);
        for _ in 0..20 {
            assert_eq!(server.call("RANDOMKEY"), b"$-1\r\n", "nothing is left that has not ended");
        }
        server.call("SET alive 1");
        for _ in 0..20 {
            assert_eq!(server.call("RANDOMKEY"), b"$5\r\nalive\r\n");
        }
    }
}
