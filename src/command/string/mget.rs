//! MGET: the values of several strings.

use super::reply_old;
use super::shared::OldString;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::engine::View;

pub(super) static SPEC: Spec = Spec {
    name: "mget",
    syntax: "key [key ...]",
    summary: "Answers the strings under the keys, all as of one point in time; null for what is no string.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(n)",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::range(1, -1, 1),
    examples: &[
        example("MSET first 1 second 2", "OK"),
        example(
            "MGET first absent second",
            "1) \"1\"
2) (nil)
3) \"2\"",
        ),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let keys: Vec<&[u8]> = args.rest().collect();
    let mut found: Vec<Option<OldString>> = Vec::with_capacity(keys.len());
    // Beyond this the reply is refused: then nothing more is copied.
    let mut room = context.reply.room();
    let note = |_: usize, view: Option<View<'_>>| {
        let string = view.filter(|_| room > 0).and_then(|view| view.string()).map(OldString::from);
        room = room.saturating_sub(string.as_ref().map_or(0, OldString::bytes));
        found.push(string);
    };
    let engine = &context.ports.engine;
    if context.session.no_touch {
        engine.peek_many(context.session.database, &keys, context.now, note)?;
    } else {
        engine.read_many(context.session.database, &keys, context.now, note)?;
    }
    context.reply.array(found.len());
    for string in &found {
        context.count_lookup(string.is_some());
        reply_old(&mut context.reply, string.as_ref());
    }
    Ok(Outcome::Reply)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::dispatch::testing::Harness;

    #[test]
    fn a_reply_over_the_output_limit_is_refused_and_ends_the_connection() {
        let mut harness = Harness::new(crate::command::table());
        harness.outside.output_buffer_limit_bytes.store(10_000, Ordering::Relaxed);
        for length in [1_000, 20_000] {
            let value = vec![b'x'; length];
            harness.call_words(&[b"SET", b"k", &value]);
            let fit = 9_000 / length;
            let reply = harness
                .call_words(&[&[b"MGET".as_slice()][..], &vec![b"k".as_slice(); fit.max(1)][..]].concat());
            assert_eq!(reply.len() > 9_000, fit > 0, "{length}");
            assert_eq!(harness.session.close, fit == 0, "{length}");
            harness.session.close = false;
            let reply =
                harness.call_words(&[&[b"MGET".as_slice()][..], &vec![b"k".as_slice(); 1_000][..]].concat());
            assert_eq!(reply, b"-ERR the reply is over client-output-buffer-limit\r\n");
            assert!(harness.session.close);
            harness.session.close = false;
        }
        let docs = [&[b"COMMAND".as_slice(), b"DOCS"][..], &vec![b"client".as_slice(); 100][..]].concat();
        assert_eq!(harness.call_words(&docs), b"-ERR the reply is over client-output-buffer-limit\r\n");
        assert!(harness.call("PING hello").ends_with(b"hello\r\n"));
    }
}
