//! What INCR, DECR, INCRBY and DECRBY share: an addition to the integer under a key.

use crate::command::live;
use crate::dispatch::{CommandError, Context, Handled, Outcome};
use crate::engine::AddError;

/// Adds `delta` and answers the sum.
#[inline]
pub(super) fn run(context: &mut Context<'_>, key: &[u8], delta: i64) -> Handled {
    let added = match context.engine().add(context.session.database, key, delta, context.now) {
        Err(AddError::WrongType) => add_after_quota(context, key, delta),
        added => added,
    };
    match added {
        Ok(sum) => {
            context.reply.integer(sum);
            Ok(Outcome::Reply)
        }
        Err(AddError::Overflow) => Err(CommandError::Overflow.into()),
        Err(AddError::NotAnInteger) => Err(CommandError::NotAnInteger.into()),
        Err(AddError::WrongType) => Err(CommandError::WrongType.into()),
        Err(AddError::Missing(missing)) => Err(missing.into()),
    }
}

/// Adds once more, to nothing if the value of another type was a quota state that has ended.
#[cold]
fn add_after_quota(context: &mut Context<'_>, key: &[u8], delta: i64) -> Result<i64, AddError> {
    live::edit(context, key, |_| ()).map_err(AddError::Missing)?;
    context.engine().add(context.session.database, key, delta, context.now)
}
