//! QUOTA.TAKE: spends from one or several limits of a subject, all or nothing.

use std::rc::Rc;

use smallvec::SmallVec;

use super::verdict;
use crate::dispatch::args::is_keyword;
use crate::dispatch::ports::NO_TRUTH;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, ParsedLimits, Spec, example,
};
use crate::engine::{Charge, Engine};
use crate::quota::{self, Mode, Status, Unit, Verdict};
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "quota.take",
    syntax: "subject amount [unit amount ...] \
             <RATE n PER t [BURST b] | WINDOW n PER t [FIXED | SLIDING | LOG] | \
             BUDGET n PER <HOUR | DAY | WEEK | MONTH | YEAR | TOTAL> [TZ zone] [ANCHOR a]> [UNIT u] ... \
             [ATMOST | FORCE | PEEK] [DURABLE]",
    summary: "Spends the amounts from every limit, or from none.",
    group: Group::Quota,
    since: "0.1.0",
    complexity: "O(limits)",
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example(
            "QUOTA.TAKE org/acme/agent/7 1 RATE 10 PER 1s",
            "1) (integer) 1\n2) (integer) 1\n3) (integer) 9\n4) (integer) 0\n5) (integer) 100\n6) \"requests:rate:1s\"\n\
             7) (integer) 0\n8) (integer) 0",
        ),
        example(
            "QUOTA.TAKE org/acme 1 tokens 700 RATE 10 PER 1s WINDOW 1000 PER 1m SLIDING UNIT tokens",
            "1) (integer) 1\n2) (integer) 700\n3) (integer) 300\n4) (integer) 0\n5) (integer) 120000\n\
             6) \"tokens:sliding:1m\"\n7) (integer) 0\n8) (integer) 0",
        ),
        example(
            "QUOTA.TAKE org/acme 1 tokens 301 RATE 10 PER 1s WINDOW 1000 PER 1m SLIDING UNIT tokens PEEK",
            "1) (integer) 0\n2) (integer) 0\n3) (integer) 300\n4) (integer) 60086\n5) (integer) 120000\n\
             6) \"tokens:sliding:1m\"\n7) (integer) 4\n8) (integer) 0",
        ),
        example(
            "QUOTA.TAKE team 8 BUDGET 5 PER DAY ATMOST",
            "1) (integer) 2\n2) (integer) 5\n3) (integer) 0\n4) (integer) 0\n5) (integer) 43200000\n\
             6) \"requests:budget:day\"\n7) (integer) 1\n8) (integer) 0",
        ),
    ],
    subcommands: &[],
    run,
};

/// Amounts of a call by unit; most calls have one.
type Amounts = SmallVec<[(Unit, u64); 2]>;

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let subject = args.next_bytes()?;
    let amounts = amounts(&mut args)?;
    let parsed = limits(context, args)?;
    let charges = charges(&amounts, &parsed)?;
    if parsed.durable && context.ports.durability.copies().replicas == 0 {
        return Err(CommandError::other(format!("DURABLE cannot be had: {NO_TRUTH}")).into());
    }
    let database = context.session.database;
    let engine = &context.ports.engine;
    let is_tracked = engine.is_tracked(database);
    if parsed.durable && !is_tracked {
        let reason = format!("DURABLE cannot be had: database {database} is ephemeral, no truth gets it");
        return Err(CommandError::other(reason).into());
    }
    let taken =
        engine.take(database, subject, &charges, parsed.mode, context.now, &mut context.scratch.spans);
    let verdict = taken.map_err(verdict::refusal)?;
    let kind = parsed.limits[verdict.decided_by].limit.rule.kind();
    verdict::count_take(context, subject, kind, &verdict);
    let name = &parsed.names[verdict.decided_by];
    // Read after the take: the open batch carries it, and none is closed within a turn.
    let token = if is_tracked { context.ports.durability.open_flush() } else { 0 };
    if parsed.durable && verdict.status != Status::Denied {
        return Ok(after_commit(context, subject, &verdict, name, token));
    }
    write(&mut context.reply, &verdict, name, token);
    Ok(Outcome::Reply)
}

/// Answers once the truth has the take.
#[cold]
fn after_commit(context: &Context<'_>, subject: &[u8], verdict: &Verdict, name: &str, token: u64) -> Outcome {
    let protocol = context.session.protocol;
    let mut answer = Vec::new();
    write(&mut ReplyWriter::new(&mut answer, protocol), verdict, name, token);
    let commit = context.ports.durability.commit(context.session.database, subject);
    Outcome::Later(Box::pin(async move {
        if let Err(text) = commit.await {
            answer.clear();
            ReplyWriter::new(&mut answer, protocol).error(&text);
        }
        answer
    }))
}

/// Reads `amount [unit amount ...]`: the first is of requests.
#[inline]
fn amounts(args: &mut Args<'_>) -> Result<Amounts, CommandError> {
    let mut amounts = Amounts::new();
    amounts.push((Unit::REQUESTS, amount(args.next_bytes()?)?));
    while let Some(word) = args.peek().filter(|word| !begins_limits(word)) {
        args.skip(1);
        let unit = Unit::parse(word).map_err(|error| {
            CommandError::other(format!("{error}, or a limit (RATE, WINDOW, BUDGET) must follow the amounts"))
        })?;
        let Some(text) = args.try_next() else {
            return Err(CommandError::other(format!("an amount must follow the unit '{}'", unit.as_str())));
        };
        if amounts.len() == quota::MAX_LIMITS {
            return Err(CommandError::other(format!("at most {} units in a call", quota::MAX_LIMITS)));
        }
        if amounts.iter().any(|(known, _)| *known == unit) {
            let hint = if unit == Unit::REQUESTS { " (the first amount is of requests)" } else { "" };
            return Err(CommandError::other(format!("two amounts of the unit '{}'{hint}", unit.as_str())));
        }
        amounts.push((unit, amount(text)?));
    }
    Ok(amounts)
}

fn begins_limits(word: &[u8]) -> bool {
    ["RATE", "WINDOW", "BUDGET", "ATMOST", "FORCE", "PEEK", "DURABLE"]
        .iter()
        .any(|keyword| is_keyword(word, keyword))
}

#[inline]
fn amount(text: &[u8]) -> Result<u64, CommandError> {
    let integer = crate::dispatch::args::integer(text).ok();
    integer.and_then(|integer| u64::try_from(integer).ok()).ok_or_else(|| {
        let shown = String::from_utf8_lossy(&text[..text.len().min(64)]).into_owned();
        CommandError::other(format!("invalid amount '{shown}': an integer from 0 to {}", quota::MAX_AMOUNT))
    })
}

/// The limits and the mode that are left in `args`, parsed now or remembered.
#[inline]
fn limits(context: &mut Context<'_>, args: Args<'_>) -> Result<Rc<ParsedLimits>, CommandError> {
    let request = args.request();
    let text = request.bytes_of(args.position()..request.len());
    let engine = &context.ports.engine;
    context.scratch.limits.parsed(text, || parse(engine, args))
}

fn parse(engine: &Engine, mut args: Args<'_>) -> Result<ParsedLimits, CommandError> {
    let (list, used) = quota::limits(args.rest()).map_err(|error| CommandError::other(error.to_string()))?;
    args.skip(used);
    let mut mode = Mode::Exact;
    let mut durable = false;
    while let Some(word) = args.try_next() {
        if is_keyword(word, "DURABLE") && !durable {
            durable = true;
            continue;
        }
        let named = [("ATMOST", Mode::AtMost), ("FORCE", Mode::Force), ("PEEK", Mode::Peek)];
        let Some((_, found)) = named.into_iter().find(|(keyword, _)| is_keyword(word, keyword)) else {
            let shown = String::from_utf8_lossy(&word[..word.len().min(64)]).into_owned();
            return Err(CommandError::other(if mode == Mode::Exact {
                format!(
                    "unexpected '{shown}': RATE, WINDOW, BUDGET, ATMOST, FORCE, PEEK or DURABLE is allowed here"
                )
            } else {
                format!("unexpected '{shown}': ATMOST, FORCE and PEEK come after the limits, at the end")
            }));
        };
        if mode != Mode::Exact {
            return Err(CommandError::other("ATMOST, FORCE and PEEK exclude each other"));
        }
        mode = found;
    }
    if durable && mode == Mode::Peek {
        return Err(CommandError::other("PEEK changes nothing, so DURABLE has nothing to wait for"));
    }
    if list.is_empty() {
        return Err(CommandError::other("no limit is named: at least one of RATE, WINDOW, BUDGET"));
    }
    Ok(ParsedLimits {
        limits: list.iter().map(|limit| engine.number(limit)).collect(),
        names: list.iter().map(|limit| limit.name().to_string().into()).collect(),
        mode,
        durable,
    })
}

/// Pairs each limit with the amount of its unit. Every amount must be limited and every limit have its amount: a unit that
/// is misspelt would be spent without a limit.
#[inline]
fn charges(amounts: &Amounts, parsed: &ParsedLimits) -> Result<SmallVec<[Charge; 4]>, CommandError> {
    let mut charges: SmallVec<[Charge; 4]> = SmallVec::new();
    let mut used = 0_u32;
    for limit in &parsed.limits {
        let unit = limit.limit.unit;
        let Some(position) = amounts.iter().position(|(known, _)| *known == unit) else {
            return Err(CommandError::other(format!(
                "a limit counts '{}', but no amount of it is given",
                unit.as_str()
            )));
        };
        used |= 1 << position;
        charges.push(Charge { limit: *limit, amount: amounts[position].1 });
    }
    for (position, (unit, amount)) in amounts.iter().enumerate() {
        // The leading amount of requests may be 0 where only other units are spent.
        let is_empty_lead = position == 0 && *amount == 0;
        if used & (1 << position) == 0 && !is_empty_lead {
            return Err(CommandError::other(format!(
                "no limit counts '{}'; add UNIT {0} to one",
                unit.as_str()
            )));
        }
    }
    if parsed.mode == Mode::AtMost
        && charges.iter().any(|charge| charge.limit.limit.unit != parsed.limits[0].limit.unit)
    {
        return Err(CommandError::other("ATMOST takes amounts of one unit only"));
    }
    Ok(charges)
}

#[inline]
fn write(reply: &mut ReplyWriter<'_>, verdict: &Verdict, name: &str, token: u64) {
    reply.array(8);
    reply.integer(verdict.status.as_reply());
    reply.amount(verdict.granted);
    reply.amount(verdict.remaining);
    reply.integer(verdict.retry.as_reply_ms());
    reply.integer(verdict.reset_as_reply_ms());
    reply.text(name);
    reply.integer(i64::from(verdict.flags.bits()));
    reply.amount(token);
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn mistakes_are_told_with_the_syntax_and_the_order() {
        let mut harness = Harness::new(crate::command::table());
        let mut check = |call: &str, expected: &str| {
            let reply = String::from_utf8(harness.call(call)).unwrap();
            assert!(reply.starts_with("-ERR ") && reply.contains(expected), "{call}: {reply}");
        };
        for call in ["QUOTA.TAKE", "QUOTA.TAKE user:7 1 RATE 10"] {
            check(call, "wrong number of arguments for 'quota.take' command: QUOTA.TAKE ");
            check(call, super::SPEC.syntax);
        }
        let order = "ATMOST, FORCE and PEEK come after the limits, at the end";
        check("QUOTA.TAKE user:7 1 ATMOST RATE 10 PER 1s", &format!("unexpected 'RATE': {order}"));
        check("QUOTA.TAKE user:7 1 RATE 10 PER 1s PEEK UNIT a", &format!("unexpected 'UNIT': {order}"));
        check("QUOTA.TAKE user:7 1 RATE 10 PER 1s PEEK FORCE", "ATMOST, FORCE and PEEK exclude each other");
        check("QUOTA.TAKE user:7 1 RATE 10 PER 1s SOON", "unexpected 'SOON': RATE, WINDOW, BUDGET, ATMOST");
        check("QUOTA.TAKE user:7 1 TOKENS 1 RATE 10 PER 1s", "a-z (lower case)");
        for call in [
            "CL.THROTTLE user:7 15 30 9223372037",
            "CL.THROTTLE user:7 9223372036 1 1 1",
            "GCRA user:7 9223372036 1 1",
        ] {
            check(call, "at most 9223372036 seconds");
        }
        check("CL.THROTTLE user:7 15 30 60 9223372036854775807", "before the year 2262");
        assert!(
            harness.call("CL.THROTTLE user:7 9223372035 1 1 1").starts_with(b"*5"),
            "as much as is told is allowed"
        );
    }
}
