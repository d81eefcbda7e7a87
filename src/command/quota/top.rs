//! QUOTA.TOP: the subjects that are denied, used up or asked for most.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::dispatch::outcome::yield_now;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Ports, Spec, example,
};
use crate::engine::{Cursor, View};
use crate::metrics::Heavy;
use crate::quota::SpanCache;
use crate::resp::{Protocol, ReplyWriter};

pub(super) static SPEC: Spec = Spec {
    name: "quota.top",
    syntax: "<DENIED | USED | HOT> count",
    summary: "Tells the subjects denied most, closest to a limit, or asked for most, in the selected database.",
    group: Group::Quota,
    since: "0.1.0",
    complexity: "O(count) for DENIED and HOT, O(keys) for USED, in slices that let other clients run",
    arity: Arity::Exactly(3),
    flags: Flags::READONLY,
    keys: Keys::NONE,
    examples: &[
        example("QUOTA.TOP DENIED 3", "(empty array)"),
        example(
            "CL.THROTTLE user:7 0 1 60",
            "1) (integer) 0\n2) (integer) 1\n3) (integer) 0\n4) (integer) -1\n5) (integer) 60",
        ),
        example(
            "CL.THROTTLE user:7 0 1 60",
            "1) (integer) 1\n2) (integer) 1\n3) (integer) 0\n4) (integer) 60\n5) (integer) 60",
        ),
        example("QUOTA.TOP DENIED 3", "1) 1) \"user:7\"\n   2) (integer) 1\n   3) (integer) 0"),
        example("QUOTA.TOP HOT 1", "1) 1) \"user:7\"\n   2) (integer) 2\n   3) (integer) 0"),
    ],
    subcommands: &[],
    run,
};

/// The most subjects told: as many as each thread counts of DENIED and HOT.
const MAX_COUNT: usize = 256;

/// Entries looked at before other clients of the thread run: some 100 us.
const SLICE_ENTRIES: usize = 1_000;

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let order = args.next_bytes()?.to_ascii_lowercase();
    let text = args.next_bytes()?;
    let count = crate::dispatch::args::integer(text).ok().and_then(|count| usize::try_from(count).ok());
    let Some(count) = count.filter(|count| (1..=MAX_COUNT).contains(count)) else {
        return Err(CommandError::other(format!(
            "invalid count '{}': an integer from 1 to {MAX_COUNT}",
            String::from_utf8_lossy(&text[..text.len().min(64)])
        ))
        .into());
    };
    let metrics = &context.ports.metrics;
    let heavy = match order.as_slice() {
        b"denied" => metrics.top(MAX_COUNT, |worker| &worker.denied_subjects),
        b"hot" => metrics.top(MAX_COUNT, |worker| &worker.hot_subjects),
        b"used" => {
            let ports = Arc::clone(context.ports);
            let answer = used(ports, context.session.database, count, context.session.protocol);
            return Ok(Outcome::Suspend(Box::pin(answer)));
        }
        _ => return Err(CommandError::other("the first argument is DENIED, USED or HOT").into()),
    };
    let database = context.session.database;
    let heavy: Vec<Heavy> =
        heavy.into_iter().filter(|heavy| heavy.database == database).take(count).collect();
    context.reply.array(heavy.len());
    for heavy in &heavy {
        context.reply.array(3);
        context.reply.bulk(&heavy.subject);
        context.reply.amount(heavy.count);
        context.reply.amount(heavy.error);
    }
    Ok(Outcome::Reply)
}

/// A limit by the share of it that is used.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Used {
    /// Used in millionths of the maximum; more than a million after a forced charge.
    millionths: u128,
    /// Descending, so that equal shares come in the order of their subjects.
    subject: Reverse<Box<[u8]>>,
    limit: Reverse<String>,
    used: u64,
    maximum: u64,
}

/// Looks at every subject in slices and tells the limits used most.
async fn used(ports: Arc<Ports>, database: u8, count: usize, protocol: Protocol) -> Vec<u8> {
    let mut most = BinaryHeap::new();
    let mut cursor = Some(Cursor::default());
    let mut spans = SpanCache::default();
    while let Some(from) = cursor {
        let now = ports.clock.now();
        let page = ports.engine.scan(database, from, SLICE_ENTRIES, now, |subject, view| {
            let fullest = fullest(subject, view, &mut |slot| {
                let look = slot.limit.rule.look(&slot.state, 0, now, &mut spans);
                (look.used, slot.limit.maximum())
            });
            most.extend(fullest.map(Reverse));
            if most.len() > count {
                most.pop();
            }
        });
        cursor = page.next;
        yield_now().await;
    }
    let mut output = Vec::new();
    let mut reply = ReplyWriter::new(&mut output, protocol);
    let sorted = most.into_sorted_vec();
    reply.array(sorted.len());
    for Reverse(used) in sorted {
        reply.array(4);
        reply.bulk(&used.subject.0);
        reply.text(&used.limit.0);
        reply.amount(used.used);
        reply.amount(used.maximum);
    }
    output
}

/// The limit of a subject that is used most, if any is used at all.
fn fullest(
    subject: &[u8],
    view: View<'_>,
    usage: &mut dyn FnMut(&crate::engine::value::QuotaSlot) -> (u64, u64),
) -> Option<Used> {
    let slots = view.quota_slots();
    let used = slots.iter().filter_map(|slot| {
        let (used, maximum) = usage(slot);
        let millionths = u128::from(used) * 1_000_000 / u128::from(maximum.max(1));
        (used > 0).then(|| Used {
            millionths,
            subject: Reverse(subject.into()),
            limit: Reverse(slot.limit.name().to_string()),
            used,
            maximum,
        })
    });
    used.max()
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    /// Asks three times for one unit a minute, so that two are denied.
    fn deny(server: &mut Harness, subject: &str) {
        (0..3).for_each(|_| drop(server.call(&format!("CL.THROTTLE {subject} 0 1 60"))));
    }

    #[track_caller]
    fn check(server: &mut Harness, expected: &[&str]) {
        for (order, count) in [("DENIED", 2), ("HOT", 3)] {
            let told: String = expected
                .iter()
                .map(|subject| format!("*3\r\n${}\r\n{subject}\r\n:{count}\r\n:0\r\n", subject.len()))
                .collect();
            let reply = String::from_utf8(server.call(&format!("QUOTA.TOP {order} 100"))).unwrap();
            assert_eq!(reply, format!("*{}\r\n{told}", expected.len()), "{order}");
        }
    }

    #[test]
    fn subjects_are_forgotten_when_they_are_reset_deleted_or_flushed() {
        let mut server = Harness::new(crate::command::table());
        ["a", "b", "c", "d", "e", "f"].into_iter().for_each(|subject| deny(&mut server, subject));
        server.call("SELECT 1");
        deny(&mut server, "a");
        server.call("SELECT 0");
        check(&mut server, &["a", "b", "c", "d", "e", "f"]);
        assert_eq!(server.call("QUOTA.RESET a"), b":1\r\n");
        check(&mut server, &["b", "c", "d", "e", "f"]);
        assert_eq!(server.call("DEL b absent"), b":1\r\n");
        assert_eq!(server.call("UNLINK c"), b":1\r\n");
        check(&mut server, &["d", "e", "f"]);
        // Those that have ended by themselves are forgotten too.
        server.clock.advance_micros(60_000_000);
        assert_eq!(server.call("DEL d"), b":0\r\n");
        server.call("QUOTA.RESET e");
        check(&mut server, &["f"]);
        server.call("FLUSHDB");
        check(&mut server, &[]);
        server.call("SELECT 1");
        check(&mut server, &["a"]);
        server.call("FLUSHALL");
        check(&mut server, &[]);
    }

    #[test]
    fn what_is_deleted_in_its_own_turn_is_not_told_of() {
        let mut server = Harness::new(crate::command::table());
        for end in ["DEL t", "QUOTA.RESET t", "FLUSHDB", "FLUSHALL"] {
            server.feed(format!("CL.THROTTLE t 0 1 60\r\nCL.THROTTLE t 0 1 60\r\n{end}\r\n").as_bytes());
            check(&mut server, &[]);
        }
    }
}
