//! CLIENT NO-EVICT: spares the connection when memory for clients runs short.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "client|no-evict",
    syntax: "ON | OFF",
    summary: "Spares this connection when connections are closed for memory.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT).with(Flags::ADMIN).with(Flags::DANGEROUS),
    keys: Keys::NONE,
    examples: &[
        example("CLIENT NO-EVICT ON", "OK"),
        example("CLIENT NO-EVICT maybe", "(error) ERR syntax error"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let on = super::on_or_off(args.next_bytes()?)?;
    context.session.client.set_no_evict(on);
    context.reply.ok();
    Ok(Outcome::Reply)
}
