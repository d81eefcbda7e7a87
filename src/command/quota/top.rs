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
