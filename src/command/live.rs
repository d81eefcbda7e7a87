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
