//! CLIENT TRACKINGINFO: that tracking is off.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "client|trackinginfo",
    syntax: "",
    summary: "Answers the state of tracking, which is always off.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example(
        "CLIENT TRACKINGINFO",
        "1) \"flags\"\n2) 1) \"off\"\n3) \"redirect\"\n4) (integer) -1\n5) \"prefixes\"\n6) (empty array)",
    )
    .resp3("1# \"flags\" => 1~ \"off\"\n2# \"redirect\" => (integer) -1\n3# \"prefixes\" => (empty array)")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let reply = &mut context.reply;
    reply.map(3);
    reply.text("flags");
    reply.set(1);
    reply.text("off");
    reply.text("redirect");
    reply.integer(-1);
    reply.text("prefixes");
    reply.array(0);
    Ok(Outcome::Reply)
}
