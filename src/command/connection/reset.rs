//! RESET: makes the connection as it was when it began.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, ReplyMode, Spec, example};
use crate::resp::Protocol;

pub(super) static SPEC: Spec = Spec {
    name: "reset",
    syntax: "",
    summary: "Forgets everything that this connection has set.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(1),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_AUTH).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("RESET", "RESET")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let session = &mut *context.session;
    session.select(0);
    session.speak(Protocol::Resp2);
    session.replies = ReplyMode::On;
    session.no_touch = false;
    session.client.set_no_touch(false);
    session.client.set_no_evict(false);
    session.client.label(|labels| labels.name = Box::default());
    session.authenticated = !context.ports.settings.password_required();
    context.reply.set_protocol(Protocol::Resp2);
    context.reply.simple("RESET");
    Ok(Outcome::Reply)
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn everything_set_before_is_forgotten() {
        let mut harness = Harness::new(crate::command::table());
        *harness.outside.password.lock() = Some("secret".to_owned());
        harness.feed(b"HELLO 3\r\nCLIENT SETNAME me\r\nSELECT 3\r\nCLIENT NO-TOUCH on\r\n");
        assert_eq!(harness.feed(b"CLIENT REPLY OFF\r\nPING\r\nRESET\r\n"), b"+RESET\r\n");
        assert_eq!(harness.session.database, 0);
        assert!(!harness.session.no_touch && !harness.session.authenticated);
        assert_eq!(harness.call("PING"), b"-NOAUTH Authentication required.\r\n");
        assert_eq!(harness.call("AUTH secret"), b"+OK\r\n");
        assert_eq!(harness.call("CLIENT GETNAME"), b"$-1\r\n");
    }
}
