//! AUTH: says who the client is.

use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "auth",
    syntax: "[username] password",
    summary: "Authenticates the connection.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(2),
    flags: Flags::FAST
        .with(Flags::LOADING)
        .with(Flags::NO_AUTH)
        .with(Flags::NO_SCRIPT)
        .with(Flags::NO_PAUSE)
        .with(Flags::SECRET),
    keys: Keys::NONE,
    examples: &[
        example(
            "AUTH secret",
            "(error) ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        ),
        example("AUTH root secret", "(error) WRONGPASS invalid username-password pair or user is disabled."),
        example("AUTH default secret", "OK"),
    ],
    subcommands: &[],
    run,
};

/// The one user there is.
pub(in crate::command) const DEFAULT_USER: &str = "default";

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let first = args.next_bytes()?;
    let second = args.try_next();
    args.finish()?;
    if second.is_none() && !context.ports.settings.password_required() {
        return Err(CommandError::other(
            "AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )
        .into());
    }
    let (user, password) = match second {
        Some(password) => (first, password),
        None => (DEFAULT_USER.as_bytes(), first),
    };
    authenticate(context, user, password)?;
    context.reply.ok();
    Ok(Outcome::Reply)
}

/// Authenticates the session; as in Redis, a wrong password leaves it as it was.
///
/// # Errors
/// [`CommandError::WrongPassword`].
pub(super) fn authenticate(
    context: &mut Context<'_>,
    user: &[u8],
    password: &[u8],
) -> Result<(), CommandError> {
    if !context.ports.settings.check_password(user, password) {
        // Neither what was given nor as whom: passwords are typed into the wrong place.
        let pace = &context.ports.metrics.server.password_lines;
        if let Some(left_out) = pace.is_due(context.now.as_micros()) {
            tracing::warn!(client = %context.session.client.address, left_out, "AUTH failed: a wrong user name or password");
        }
        return Err(CommandError::WrongPassword);
    }
    context.session.authenticated = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    fn locked() -> Harness {
        let mut harness = Harness::new(crate::command::table());
        *harness.outside.password.lock() = Some("secret".to_owned());
        harness.session.authenticated = false;
        harness
    }

    #[test]
    fn one_argument_or_two() {
        let mut harness = locked();
        let wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
        assert_eq!(harness.call("DBSIZE"), b"-NOAUTH Authentication required.\r\n");
        assert_eq!(harness.call("AUTH guess"), wrong);
        assert_eq!(harness.call("AUTH root secret"), wrong);
        assert_eq!(harness.call("AUTH default secret too"), b"-ERR syntax error\r\n");
        assert_eq!(harness.call("DBSIZE"), b"-NOAUTH Authentication required.\r\n");
        assert_eq!(harness.call("AUTH secret"), b"+OK\r\n");
        assert_eq!(harness.call("DBSIZE"), b":0\r\n");
        assert_eq!(harness.call("AUTH guess"), wrong);
        assert_eq!(harness.call("DBSIZE"), b":0\r\n", "a wrong password changes nothing");
        let mut harness = locked();
        assert_eq!(harness.call("AUTH default secret"), b"+OK\r\n");
        assert_eq!(harness.call("DBSIZE"), b":0\r\n");
    }
}
