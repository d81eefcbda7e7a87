//! QUOTA.PEEK: what a subject has used of each of its limits.

use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::value::Kind;

pub(super) static SPEC: Spec = Spec {
    name: "quota.peek",
    syntax: "subject",
    summary: "Tells every limit of the subject: name, maximum, used, remaining, milliseconds until it is fresh (-1: never).",
    group: Group::Quota,
    since: "0.1.0",
    complexity: "O(limits)",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("QUOTA.PEEK team", "(empty array)"),
        example(
            "QUOTA.TAKE team 2 BUDGET 5 PER DAY",
            "1) (integer) 1\n2) (integer) 2\n3) (integer) 3\n4) (integer) 0\n5) (integer) 43200000\n\
             6) \"requests:budget:day\"\n7) (integer) 0\n8) (integer) 0",
        ),
        example(
            "QUOTA.PEEK team",
            "1)  1) \"limit\"\n    2) \"requests:budget:day\"\n    3) \"maximum\"\n    4) (integer) 5\n    5) \"used\"\n    \
             6) (integer) 2\n    7) \"remaining\"\n    8) (integer) 3\n    9) \"reset_ms\"\n   10) (integer) 43200000",
        )
        .resp3(
            "1) 1# \"limit\" => \"requests:budget:day\"\n   2# \"maximum\" => (integer) 5\n   3# \"used\" => (integer) 2\n   \
             4# \"remaining\" => (integer) 3\n   5# \"reset_ms\" => (integer) 43200000",
        ),
    ],
    subcommands: &[],
    run,
};

/// A throttle keeps one time and no limit, so what is left of it can be told to those only who name the limit.
const OF_THROTTLE: &str = "WRONGTYPE the key is a throttle of CL.THROTTLE or GCRA, which keeps no limits to tell: CL.THROTTLE key \
    max_burst count period 0 asks without taking, and so does GCRA key max_burst tokens_per_period period TOKENS 0";

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let subject = args.next_bytes()?;
    let slots = context.read(subject, |view| match view.kind() {
        Kind::Quota => Ok(view.quota_slots()),
        Kind::Throttle => Err(CommandError::Coded(OF_THROTTLE.into())),
        Kind::String => Err(CommandError::WrongType),
    })?;
    let slots = slots.transpose()?.unwrap_or_default();
    let spans = &mut context.scratch.spans;
    let reply = &mut context.reply;
    reply.array(slots.len());
    for slot in &slots {
        let look = slot.limit.rule.look(&slot.state, 0, context.now, spans);
        reply.map(5);
        reply.text("limit");
        reply.text(&slot.limit.name().to_string());
        reply.text("maximum");
        reply.amount(slot.limit.maximum());
        reply.text("used");
        reply.amount(look.used);
        reply.text("remaining");
        reply.amount(look.available);
        reply.text("reset_ms");
        reply.integer(look.reset_as_reply_ms());
    }
    Ok(Outcome::Reply)
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn keys_of_another_type_are_told_apart() {
        let mut server = Harness::new(crate::command::table());
        server.feed(b"SET text 1\r\nCL.THROTTLE throttle 1 1 60\r\nGCRA gcra 1 1 60\r\n");
        assert!(server.call("QUOTA.PEEK text").starts_with(b"-WRONGTYPE Operation against a key"));
        for key in ["throttle", "gcra"] {
            let error = server.call(&format!("QUOTA.PEEK {key}"));
            assert!(error.starts_with(b"-WRONGTYPE the key is a throttle of CL.THROTTLE or GCRA"), "{key}");
        }
        // What the error advises takes nothing.
        let asked = b"*5\r\n:0\r\n:2\r\n:1\r\n:-1\r\n:60\r\n";
        assert_eq!(server.call("CL.THROTTLE throttle 1 1 60 0"), asked);
        assert_eq!(server.call("CL.THROTTLE throttle 1 1 60 0"), asked);
        assert!(server.call("GCRA gcra 1 1 60 TOKENS 0").starts_with(b"*5\r\n:0\r\n:2\r\n:1\r\n"));
    }
}
