//! QUOTA.SNAPSHOT: writes a snapshot and tells what it is.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "quota.snapshot",
    syntax: "",
    summary: "Writes a snapshot of everything that was changed before; answers its id, entries, bytes, milliseconds, whether the truth has confirmed it, and whether all of it is of one moment.",
    group: Group::Quota,
    since: "0.1.0",
    complexity: "O(keys), beside the commands of all clients",
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::BLOCKING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("QUOTA.SNAPSHOT", "(error) ERR there are no snapshots (--snapshots none)")],
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
            Err(text) => reply.error(&format!("ERR {text}")),
            Ok(snapshot) => {
                reply.map(6);
                reply.text("id");
                reply.text(&snapshot.id);
                let facts = [
                    ("entries", snapshot.entries),
                    ("bytes", snapshot.bytes),
                    ("millis", snapshot.millis),
                    ("confirmed", u64::from(snapshot.is_confirmed)),
                    ("exact", u64::from(snapshot.is_exact)),
                ];
                for (name, value) in facts {
                    reply.text(name);
                    reply.amount(value);
                }
            }
        }
        answer
    })))
}
