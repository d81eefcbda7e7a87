//! CLIENT NO-TOUCH: whether the use of keys by this connection is noted.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "client|no-touch",
    syntax: "ON | OFF",
    summary: "Keeps this connection from noting that it used a key.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[
        example("CLIENT NO-TOUCH ON", "OK"),
        example("CLIENT NO-TOUCH maybe", "(error) ERR syntax error"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let on = super::on_or_off(args.next_bytes()?)?;
    context.session.no_touch = on;
    context.session.client.set_no_touch(on);
    context.reply.ok();
    Ok(Outcome::Reply)
}
