//! QUOTA.VERIFY: compares memory with the truth.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "quota.verify",
    syntax: "",
    summary: "Compares every key in memory with the truth, after a flush; answers how many were compared, kept changing and differ, and the first that differ: database, key, in memory, in the truth.",
    group: Group::Quota,
    since: "0.1.0",
    complexity: "O(keys), beside the commands of all clients",
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.with(Flags::BLOCKING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example(
        "QUOTA.VERIFY",
        "(error) ERR there is no truth (--truth none): all data is in memory only",
    )],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let verifying = context.ports.durability.verify();
    let protocol = context.session.protocol;
    Ok(Outcome::Suspend(Box::pin(async move {
        let verified = verifying.await;
        let mut answer = Vec::new();
        let mut reply = ReplyWriter::new(&mut answer, protocol);
        match verified {
            Err(text) => reply.error(&format!("ERR {text}")),
            Ok(verified) => {
                reply.array(4);
                reply.amount(verified.compared);
                reply.amount(verified.unsettled);
                reply.amount(verified.differing);
                reply.array(verified.differences.len());
                for (database, key, memory, truth) in &verified.differences {
                    reply.array(4);
                    reply.integer(i64::from(*database));
                    reply.bulk(key);
                    reply.text(memory);
                    reply.text(truth);
                }
            }
        }
        answer
    })))
}
