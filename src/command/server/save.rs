//! SAVE: writes a snapshot and waits for it.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "save",
    syntax: "",
    summary: "Writes a snapshot of everything and answers when it is there; other clients go on meanwhile.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(keys), beside the commands of all clients",
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::BLOCKING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("SAVE", "(error) ERR there are no snapshots (--snapshots none)")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let writing = context.ports.snapshots.write();
    let protocol = context.session.protocol;
    Ok(Outcome::Suspend(Box::pin(async move {
        let written = writing.await;
        let mut answer = Vec::new();
        let mut reply = ReplyWriter::new(&mut answer, protocol);
        match written {
            Ok(_) => reply.ok(),
            Err(text) => reply.error(&format!("ERR {text}")),
        }
        answer
    })))
}
