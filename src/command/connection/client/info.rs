//! CLIENT INFO: this connection as CLIENT LIST tells it.

use super::line;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::resp::VerbatimFormat;

pub(super) static SPEC: Spec = Spec {
    name: "client|info",
    syntax: "",
    summary: "Answers what is known of this connection.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example(
        "CLIENT INFO now",
        "(error) ERR wrong number of arguments for 'client|info' command",
    )],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let mut text = String::new();
    line::write(&mut text, context, &context.session.client);
    text.push('\n');
    context.reply.verbatim(VerbatimFormat::Text, &text);
    Ok(Outcome::Reply)
}
