//! Access to keys for commands that see every type: a quota state that has ended, which means that it equals an absent one,
//! counts as absent everywhere, whether it was swept yet or not.

use crate::dispatch::{Context, Stop};
use crate::engine::{Missing, Slot, Slots, View};
use crate::quota::SpanCache;

/// A database and a key in it.
pub(super) type DatabaseKey<'k> = (u8, &'k [u8]);

/// Runs `edit` on `key` in the session's database.
///
/// # Errors
/// [`Missing`] when the key must be fetched first.
pub(super) fn edit<R>(
    context: &mut Context<'_>,
    key: &[u8],
    edit: impl FnOnce(&mut Slot<'_>) -> R,
) -> Result<R, Missing> {
    let spans = &mut context.scratch.spans;
    context.ports.engine.edit(context.session.database, key, context.now, |slot| {
        slot.drop_ended(spans);
        edit(slot)
    })
}

/// Runs `edit` on several keys, all or nothing in the eyes of others.
///
/// # Errors
/// [`Missing`] when keys must be fetched first.
pub(super) fn edit_many<R>(
    context: &mut Context<'_>,
    keys: &[DatabaseKey<'_>],
    edit: impl FnOnce(&mut Slots<'_>) -> R,
) -> Result<R, Missing> {
    let spans = &mut context.scratch.spans;
    context.ports.engine.edit_many(keys, context.now, |slots| {
        for position in 0..keys.len() {
            slots.slot(position).drop_ended(spans);
        }
        edit(slots)
    })
}

/// Runs `read` on the value of `key` without noting a use, and counts the hit or miss.
///
/// # Errors
/// [`Stop::Missing`] when the key must be fetched first.
pub(super) fn peek<R>(
    context: &mut Context<'_>,
    key: &[u8],
    read: impl FnOnce(View<'_>, &mut SpanCache) -> R,
) -> Result<Option<R>, Stop> {
    let now = context.now;
    let spans = &mut context.scratch.spans;
    let found = context.ports.engine.peek(context.session.database, key, now, |view| {
        (!view.has_ended(now, spans)).then(|| read(view, spans))
    })?;
    let found = found.flatten();
    context.count_lookup(found.is_some());
    Ok(found)
}

/// Whether a quota state that has ended is under `key`, or nothing.
///
/// # Errors
/// [`Stop::Missing`] when the key must be fetched first.
#[cold]
pub(super) fn has_ended(context: &mut Context<'_>, key: &[u8]) -> Result<bool, Stop> {
    let (now, spans) = (context.now, &mut context.scratch.spans);
    let found =
        context.ports.engine.peek(context.session.database, key, now, |view| view.has_ended(now, spans))?;
    Ok(found.unwrap_or(true))
}

/// Pairs each key with the session's database.
pub(super) fn in_session<'k>(
    context: &Context<'_>,
    keys: impl Iterator<Item = &'k [u8]>,
) -> Vec<DatabaseKey<'k>> {
    let database = context.session.database;
    keys.map(|key| (database, key)).collect()
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    /// Takes one of 16 at `throttled`, which is full again after two seconds.
    const TAKE: &str = "CL.THROTTLE throttled 15 30 60 1";

    fn server() -> Harness {
        let mut server = Harness::new(crate::command::table());
        server.call(TAKE);
        server
    }

    fn check(server: &mut Harness, call: &str, expected: &str) {
        let reply = String::from_utf8(server.call(call)).unwrap();
        assert!(reply.starts_with(expected), "{call} answers {reply:?}, not {expected:?}");
    }

    #[test]
    fn a_quota_has_a_type_a_derived_end_and_refuses_another() {
        let mut server = server();
        for (call, expected) in [
            ("TYPE throttled", "+throttle\r\n"),
            ("EXISTS throttled", ":1\r\n"),
            ("PTTL throttled", ":2000\r\n"),
            ("PEXPIRETIME throttled", ":1795176002000\r\n"),
            ("EXPIRE throttled 5", "-ERR the expiry of a quota"),
            ("PEXPIREAT throttled 1", "-ERR the expiry of a quota"),
            ("PERSIST throttled", "-ERR the expiry of a quota"),
            ("GET throttled", "-WRONGTYPE"),
            ("APPEND throttled 1", "-WRONGTYPE"),
            ("INCR throttled", "-WRONGTYPE"),
            ("INCRBYFLOAT throttled 1", "-WRONGTYPE"),
            ("INCREX throttled", "-WRONGTYPE"),
            ("GETSET throttled 1", "-WRONGTYPE"),
            ("GETDEL throttled", "-WRONGTYPE"),
            ("GETEX throttled PERSIST", "-WRONGTYPE"),
            ("SET throttled 1 GET", "-WRONGTYPE"),
            ("SETNX throttled 1", ":0\r\n"),
            ("MGET throttled", "*1\r\n$-1\r\n"),
            ("OBJECT ENCODING throttled", "$4\r\nword\r\n"),
            ("SCAN 0 COUNT 100 TYPE throttle", "*2\r\n$1\r\n0\r\n*1\r\n$9\r\nthrottled\r\n"),
            ("PTTL throttled", ":2000\r\n"),
        ] {
            check(&mut server, call, expected);
        }
    }

    #[test]
    fn a_quota_that_has_ended_is_absent_everywhere() {
        for (call, expected) in [
            ("TYPE throttled", "+none\r\n"),
            ("EXISTS throttled", ":0\r\n"),
            ("TOUCH throttled", ":0\r\n"),
            ("TTL throttled", ":-2\r\n"),
            ("EXPIRETIME throttled", ":-2\r\n"),
            ("EXPIRE throttled 5", ":0\r\n"),
            ("PERSIST throttled", ":0\r\n"),
            ("DEL throttled", ":0\r\n"),
            ("UNLINK throttled other", ":0\r\n"),
            ("RENAME throttled other", "-ERR no such key\r\n"),
            ("COPY throttled other", ":0\r\n"),
            ("GET throttled", "$-1\r\n"),
            ("STRLEN throttled", ":0\r\n"),
            ("APPEND throttled ab", ":2\r\n"),
            ("INCR throttled", ":1\r\n"),
            ("INCRBYFLOAT throttled 1", "$1\r\n1\r\n"),
            ("GETSET throttled 1", "$-1\r\n"),
            ("GETDEL throttled", "$-1\r\n"),
            ("GETEX throttled", "$-1\r\n"),
            ("SET throttled 1 XX", "$-1\r\n"),
            ("SETNX throttled 1", ":1\r\n"),
            ("MSETNX throttled 1", ":1\r\n"),
            ("OBJECT IDLETIME throttled", "$-1\r\n"),
            ("KEYS *", "*0\r\n"),
            ("SCAN 0 COUNT 100", "*2\r\n$1\r\n0\r\n*0\r\n"),
            ("RANDOMKEY", "$-1\r\n"),
        ] {
            let mut server = server();
            server.clock.advance_micros(1_999_999);
            check(&mut server, "EXISTS throttled", ":1\r\n");
            server.clock.advance_micros(1);
            check(&mut server, call, expected);
        }
    }

    #[test]
    fn a_renamed_quota_keeps_what_was_used_of_it() {
        let mut server = server();
        check(&mut server, "RENAME throttled moved", "+OK\r\n");
        check(&mut server, "COPY moved copied", ":1\r\n");
        for key in ["moved", "copied"] {
            check(&mut server, &format!("CL.THROTTLE {key} 15 30 60 1"), "*5\r\n:0\r\n:16\r\n:14\r\n");
        }
    }
}
