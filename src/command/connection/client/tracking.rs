//! CLIENT TRACKING: invalidation messages for caches in clients, which quotad does not send.

use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "client|tracking",
    syntax: "ON | OFF [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    summary: "Refuses to turn tracking on: a cached quota would be a wrong one.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(3),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[
        example("CLIENT TRACKING ON", "(error) ERR client tracking is not supported"),
        example("CLIENT TRACKING OFF", "OK"),
        example("CLIENT TRACKING maybe", "(error) ERR syntax error"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    if super::on_or_off(args.next_bytes()?)? {
        return Err(CommandError::other("client tracking is not supported").into());
    }
    context.reply.ok();
    Ok(Outcome::Reply)
}
