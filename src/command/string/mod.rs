//! Commands on strings and counters.

mod add;
mod get;
mod incr;

use crate::dispatch::{CommandError, Context, Spec, Stop};

pub(super) static COMMANDS: &[&Spec] = &[&get::SPEC, &incr::SPEC];

/// Answers the string under `key`, null where there is none. A large value is shared under the guard and copied after it.
fn reply_string(context: &mut Context<'_>, key: &[u8]) -> Result<(), Stop> {
    let found = context.reply_from(key, |view, reply| match view.string() {
        None => Err(CommandError::WrongType),
        Some(string) => match string.shared() {
            Some(shared) => Ok(Some(shared)),
            None => {
                string.with_bytes(|bytes| reply.bulk(bytes));
                Ok(None)
            }
        },
    })?;
    match found {
        None => context.reply.null(),
        Some(Err(error)) => return Err(error.into()),
        Some(Ok(None)) => {}
        Some(Ok(Some(shared))) => context.reply.bulk(&shared),
    }
    Ok(())
}
