//! CLIENT SETINFO: what library the client uses.

use super::label::checked;
use crate::dispatch::args::is_keyword;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "client|setinfo",
    syntax: "LIB-NAME libname | LIB-VER libver",
    summary: "Says which library this connection is made with.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(4),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[
        example("CLIENT SETINFO LIB-NAME redis-py", "OK"),
        example("CLIENT SETINFO lib-ver 8.1.0", "OK"),
        example(
            "CLIENT SETINFO LIB-NAME \"a b\"",
            "(error) ERR LIB-NAME cannot contain spaces, newlines or special characters.",
        ),
        example("CLIENT SETINFO COLOR red", "(error) ERR Unrecognized option 'COLOR'"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let attribute = args.next_bytes()?;
    let value = args.next_bytes()?;
    let shown = String::from_utf8_lossy(attribute);
    let client = &context.session.client;
    if is_keyword(attribute, "lib-name") {
        let library = checked(value, &shown)?;
        client.label(|labels| labels.library = library);
    } else if is_keyword(attribute, "lib-ver") {
        let version = checked(value, &shown)?;
        client.label(|labels| labels.library_version = version);
    } else {
        return Err(CommandError::other(format!("Unrecognized option '{shown}'")).into());
    }
    context.reply.ok();
    Ok(Outcome::Reply)
}
