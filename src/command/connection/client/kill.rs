//! CLIENT KILL: closes connections.

use super::super::auth::DEFAULT_USER;
use super::kind::is_normal;
use super::line::MICROS_PER_SECOND;
use crate::clock::Timestamp;
use crate::dispatch::args::integer;
use crate::dispatch::args::is_keyword;
use crate::dispatch::{
    Args, Arity, ClientRecord, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "client|kill",
    syntax: "ip:port | [ID client-id] [TYPE type] [USER username] [ADDR ip:port] [LADDR ip:port] [SKIPME YES | NO] [MAXAGE seconds]",
    summary: "Closes the connections that fit.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(N) with the number of connections.",
    arity: Arity::AtLeast(3),
    flags: Flags::ADMIN
        .with(Flags::DANGEROUS)
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::NO_PAUSE),
    keys: Keys::NONE,
    examples: &[
        example("CLIENT KILL 1.2.3.4:5", "(error) ERR No such client"),
        example("CLIENT KILL ID 0", "(error) ERR client-id should be greater than 0"),
        example("CLIENT KILL TYPE robot", "(error) ERR Unknown client type 'robot'"),
        example("CLIENT KILL USER root", "(error) ERR No such user 'root'"),
        example("CLIENT KILL ID 99 SKIPME maybe", "(error) ERR syntax error"),
        example("CLIENT KILL ID 99 ADDR", "(error) ERR syntax error"),
        example("CLIENT KILL MAXAGE 0", "(error) ERR maxage should be greater than 0"),
        example("CLIENT KILL ID 99", "(integer) 0"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    if args.left() == 1 {
        let filter = Filter { address: Some(args.next_bytes()?), ..Filter::default() };
        if kill(context, &filter) == 0 {
            return Err(CommandError::other("No such client").into());
        }
        context.reply.ok();
    } else {
        let filter = Filter::read(&mut args)?;
        let killed = kill(context, &filter);
        context.reply.count(killed);
    }
    Ok(Outcome::Reply)
}

/// Ends the connections that fit; the client's own after its reply.
fn kill(context: &mut Context<'_>, filter: &Filter<'_>) -> usize {
    let own = context.session.client.id;
    let mut clients = context.ports.clients.list();
    clients.retain(|client| filter.fits(client, own, context.now));
    for client in &clients {
        if client.id == own {
            context.session.close = true;
        } else {
            client.kill();
        }
    }
    clients.len()
}

/// Which connections to end: those that fit every condition.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    at_least_age_secs: u64,
    /// A type that no connection has here was named.
    nobody: bool,
    skip_own: bool,
}

impl<'a> Filter<'a> {
    fn read(args: &mut Args<'a>) -> Result<Self, CommandError> {
        let mut filter = Self { skip_own: true, ..Self::default() };
        while let Some(option) = args.try_next() {
            let value = args.next_bytes()?;
            if is_keyword(option, "id") {
                let id = integer(value).ok().and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0);
                filter.id =
                    Some(id.ok_or_else(|| CommandError::other("client-id should be greater than 0"))?);
            } else if is_keyword(option, "type") {
                filter.nobody |= !is_normal(value)?;
            } else if is_keyword(option, "addr") {
                filter.address = Some(value);
            } else if is_keyword(option, "laddr") {
                filter.local_address = Some(value);
            } else if is_keyword(option, "user") {
                check_user(value)?;
            } else if is_keyword(option, "skipme") {
                filter.skip_own = yes_or_no(value)?;
            } else if is_keyword(option, "maxage") {
                filter.at_least_age_secs = max_age(value)?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(filter)
    }

    fn fits(&self, client: &ClientRecord, own: u64, now: Timestamp) -> bool {
        if self.nobody || (self.skip_own && client.id == own) {
            return false;
        }
        self.id.is_none_or(|id| id == client.id)
            && self.address.is_none_or(|address| address == client.address.as_bytes())
            && self.local_address.is_none_or(|address| address == client.local_address.as_bytes())
            && now.micros_since(client.connected_at) / MICROS_PER_SECOND >= self.at_least_age_secs
    }
}

/// Every connection is the one user's, so a known user excludes none.
fn check_user(name: &[u8]) -> Result<(), CommandError> {
    if name == DEFAULT_USER.as_bytes() {
        return Ok(());
    }
    Err(CommandError::other(format!("No such user '{}'", String::from_utf8_lossy(name))))
}

fn yes_or_no(value: &[u8]) -> Result<bool, CommandError> {
    match value {
        _ if is_keyword(value, "yes") => Ok(true),
        _ if is_keyword(value, "no") => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

fn max_age(value: &[u8]) -> Result<u64, CommandError> {
    let seconds =
        integer(value).map_err(|_| CommandError::other("maxage is not an integer or out of range"))?;
    let seconds = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0);
    seconds.ok_or_else(|| CommandError::other("maxage should be greater than 0"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dispatch::testing::{HARNESS_START, Harness};

    /// A harness with another client, which has number 7 and is 10 seconds old.
    fn with_other() -> (Harness, Arc<ClientRecord>) {
        let harness = Harness::new(crate::command::table());
        let other = Arc::new(ClientRecord::new(7, "10.0.0.1:4000", "10.0.0.2:6379", HARNESS_START));
        harness.outside.clients.lock().push(Arc::clone(&other));
        harness.clock.advance_micros(10_000_000);
        (harness, other)
    }

    #[test]
    fn filters() {
        for (call, killed, closed) in [
            ("ID 7", 1, false),
            ("ID 8", 0, false),
            ("ID 1", 0, false),
            ("ID 1 SKIPME no", 1, true),
            ("ADDR 10.0.0.1:4000", 1, false),
            ("ADDR 10.0.0.1:4000 ID 8", 0, false),
            ("LADDR 10.0.0.2:6379", 1, false),
            ("TYPE normal", 1, false),
            ("TYPE replica", 0, false),
            ("USER default skipme NO", 2, true),
            ("MAXAGE 10", 1, false),
            ("MAXAGE 11", 0, false),
        ] {
            let (mut harness, other) = with_other();
            let reply = harness.call(&format!("CLIENT KILL {call}"));
            assert_eq!(reply, format!(":{killed}\r\n").into_bytes(), "{call}");
            assert_eq!(harness.session.close, closed, "{call}");
            assert_eq!(usize::from(other.is_killed()), killed - usize::from(closed), "{call}");
        }
    }

    #[test]
    fn the_old_form_reaches_the_own_connection_too() {
        let (mut harness, other) = with_other();
        assert_eq!(harness.call("CLIENT KILL 10.0.0.1:4000"), b"+OK\r\n");
        assert!(other.is_killed() && !harness.session.close);
        assert_eq!(harness.call("CLIENT KILL 127.0.0.1:50000"), b"+OK\r\n");
        assert!(harness.session.close);
    }
}
