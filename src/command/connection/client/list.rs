//! CLIENT LIST: the open connections.

use super::kind::is_normal;
use super::line;
use crate::dispatch::args::integer;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::resp::VerbatimFormat;

pub(super) static SPEC: Spec = Spec {
    name: "client|list",
    syntax: "[TYPE NORMAL | MASTER | REPLICA | PUBSUB] [ID client-id [client-id ...]]",
    summary: "Answers a line for each open connection.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(N) with the number of connections.",
    arity: Arity::AtLeast(2),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[
        example("CLIENT LIST TYPE robot", "(error) ERR Unknown client type 'robot'"),
        example("CLIENT LIST TYPE", "(error) ERR syntax error"),
        example("CLIENT LIST ID", "(error) ERR syntax error"),
        example("CLIENT LIST ID one", "(error) ERR Invalid client ID"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let mut clients = context.ports.clients.list();
    clients.sort_unstable_by_key(|client| client.id);
    if args.left() == 2 && args.take_keyword("type") {
        if !is_normal(args.next_bytes()?)? {
            clients.clear();
        }
    } else if args.left() >= 2 && args.take_keyword("id") {
        let mut chosen = Vec::new();
        for id in args.rest() {
            let id = integer(id).map_err(|_| CommandError::other("Invalid client ID"))?;
            let found = clients.iter().find(|client| i64::try_from(client.id) == Ok(id));
            chosen.extend(found.cloned());
        }
        clients = chosen;
    } else {
        args.finish()?;
    }
    let mut text = String::new();
    for client in &clients {
        line::write(&mut text, context, client);
        text.push('\n');
    }
    context.reply.verbatim(VerbatimFormat::Text, &text);
    Ok(Outcome::Reply)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::dispatch::ClientRecord;
    use crate::dispatch::testing::{HARNESS_START, Harness};

    #[test]
    fn lines() {
        let mut harness = Harness::new(crate::command::table());
        let other = ClientRecord::new(7, "10.0.0.1:4000", "10.0.0.2:6379", HARNESS_START);
        other.label(|labels| labels.name = "other".into());
        harness.outside.clients.lock().insert(0, Arc::new(other));
        harness.clock.advance_micros(3_500_000);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let list = text(harness.call("CLIENT LIST"));
        let lines: Vec<_> = list.lines().skip(1).collect();
        assert!(lines[0].starts_with("id=1 addr=127.0.0.1:50000 laddr=127.0.0.1:6379 "), "{list}");
        assert!(
            lines[0].contains(" idle=0 ") && lines[0].contains(" cmd=client|list user=default "),
            "{list}"
        );
        assert!(
            lines[1].starts_with("id=7 addr=10.0.0.1:4000 ") && lines[1].contains(" cmd=NULL "),
            "{list}"
        );
        assert!(lines[1].contains(" name=other age=3 idle=3 flags=N db=0 "), "{list}");
        assert_eq!(text(harness.call("CLIENT LIST ID 7 9 7")).matches("id=7 ").count(), 2);
        assert_eq!(text(harness.call("CLIENT LIST TYPE normal")).matches("addr=").count(), 4);
        assert_eq!(harness.call("CLIENT LIST TYPE pubsub"), b"$0\r\n\r\n");
        harness.speak_resp3();
        assert!(text(harness.call("CLIENT INFO")).contains("\r\ntxt:id=1 "));
    }
}
