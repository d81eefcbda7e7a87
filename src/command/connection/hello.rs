//! HELLO: negotiates the protocol, and authenticates and names the connection in the same call.

use super::auth::authenticate;
use super::client::label::checked;
use crate::command::REDIS_VERSION;
use crate::dispatch::args::integer;
use crate::dispatch::args::is_keyword;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::resp::Protocol;

pub(super) static SPEC: Spec = Spec {
    name: "hello",
    syntax: "[protover [AUTH username password] [SETNAME clientname]]",
    summary: "Negotiates RESP2 or RESP3 and tells about the server.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(1),
    flags: Flags::FAST
        .with(Flags::LOADING)
        .with(Flags::NO_AUTH)
        .with(Flags::NO_SCRIPT)
        .with(Flags::NO_PAUSE)
        .with(Flags::SECRET),
    keys: Keys::NONE,
    examples: &[example("HELLO 4", "(error) NOPROTO unsupported protocol version")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let asked = Asked::read(&mut args)?;
    if let Some((user, password)) = asked.credentials {
        authenticate(context, user, password)?;
    }
    if !context.session.authenticated && context.ports.settings.password_required() {
        return Err(CommandError::Coded(NOT_AUTHENTICATED.into()).into());
    }
    if let Some(name) = asked.name {
        context.session.client.label(|labels| labels.name = name);
    }
    if let Some(protocol) = asked.protocol {
        context.session.speak(protocol);
        context.reply.set_protocol(protocol);
    }
    reply(context);
    Ok(Outcome::Reply)
}

const NOT_AUTHENTICATED: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise \
    the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP \
    protocol version at the same time";

/// What a call asks for. All of it is read before anything is done.
#[derive(Default)]
struct Asked<'a> {
    protocol: Option<Protocol>,
    credentials: Option<(&'a [u8], &'a [u8])>,
    name: Option<Box<str>>,
}

impl<'a> Asked<'a> {
    fn read(args: &mut Args<'a>) -> Result<Self, CommandError> {
        let mut asked = Self::default();
        let Some(version) = args.try_next() else { return Ok(asked) };
        asked.protocol = Some(match integer(version) {
            Ok(2) => Protocol::Resp2,
            Ok(3) => Protocol::Resp3,
            Ok(_) => return Err(CommandError::NoProtocol),
            Err(_) => {
                return Err(CommandError::other("Protocol version is not an integer or out of range"));
            }
        });
        while let Some(option) = args.try_next() {
            if is_keyword(option, "auth") && args.left() >= 2 {
                asked.credentials = Some((args.next_bytes()?, args.next_bytes()?));
            } else if is_keyword(option, "setname") && args.left() >= 1 {
                asked.name = Some(checked(args.next_bytes()?, "Client names")?);
            } else {
                let option = String::from_utf8_lossy(option);
                return Err(CommandError::other(format!("Syntax error in HELLO option '{option}'")));
            }
        }
        Ok(asked)
    }
}

fn reply(context: &mut Context<'_>) {
    let id = context.session.client.id;
    let version = if context.reply.protocol() == Protocol::Resp3 { 3 } else { 2 };
    let reply = &mut context.reply;
    reply.map(7);
    reply.text("server");
    reply.text("redis");
    reply.text("version");
    reply.text(REDIS_VERSION);
    reply.text("proto");
    reply.integer(version);
    reply.text("id");
    reply.amount(id);
    reply.text("mode");
    reply.text("standalone");
    reply.text("role");
    reply.text("master");
    reply.text("modules");
    reply.array(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::testing::Harness;

    #[test]
    fn negotiates() {
        let mut harness = Harness::new(crate::command::table());
        assert!(harness.call("HELLO").starts_with(b"*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n"));
        let reply = harness.call("HELLO 3 SETNAME me");
        assert!(reply.starts_with(b"%7\r\n") && reply.ends_with(b"modules\r\n*0\r\n"));
        assert!(harness.session.client.is_resp3());
        assert_eq!(harness.call("CLIENT GETNAME"), b"$2\r\nme\r\n");
        assert!(harness.call("HELLO").starts_with(b"%7\r\n"), "without a version the protocol stays");
        assert!(harness.call("HELLO 2").starts_with(b"*14\r\n"));
    }

    #[test]
    fn refusals_change_nothing() {
        let mut harness = Harness::new(crate::command::table());
        for (call, error) in [
            ("HELLO 4", "NOPROTO unsupported protocol version"),
            ("HELLO 1 SETNAME a", "NOPROTO unsupported protocol version"),
            ("HELLO x", "ERR Protocol version is not an integer or out of range"),
            ("HELLO 3 FOO", "ERR Syntax error in HELLO option 'FOO'"),
            ("HELLO 3 AUTH me", "ERR Syntax error in HELLO option 'AUTH'"),
            ("HELLO 3 SETNAME", "ERR Syntax error in HELLO option 'SETNAME'"),
            (
                "HELLO 3 SETNAME \"a b\"",
                "ERR Client names cannot contain spaces, newlines or special characters.",
            ),
            ("HELLO 3 AUTH me x", "WRONGPASS invalid username-password pair or user is disabled."),
        ] {
            assert_eq!(String::from_utf8(harness.call(call)).unwrap(), format!("-{error}\r\n"), "{call}");
            assert_eq!(harness.session.protocol, Protocol::Resp2, "{call}");
            assert_eq!(harness.call("CLIENT GETNAME"), b"$-1\r\n", "{call}");
        }
    }

    #[test]
    fn authenticates_in_the_same_call() {
        let mut harness = Harness::new(crate::command::table());
        *harness.outside.password.lock() = Some("secret".to_owned());
        harness.session.authenticated = false;
        assert!(harness.call("HELLO 3").starts_with(b"-NOAUTH HELLO must be called"));
        assert!(harness.call("HELLO 3 AUTH default guess").starts_with(b"-WRONGPASS "));
        assert!(harness.call("HELLO 3 AUTH default secret SETNAME me").starts_with(b"%7\r\n"));
        assert_eq!(harness.call("PING"), b"+PONG\r\n");
    }
}
