//! What INCR, DECR, INCRBY and DECRBY share: an addition to the integer under a key.

use crate::dispatch::{CommandError, Context, Handled, Outcome};
use crate::engine::AddError;

/// Adds `delta` and answers the sum.
#[inline]
pub(super) fn run(context: &mut Context<'_>, key: &[u8], delta: i64) -> Handled {
    match context.engine().add(context.session.database, key, delta, context.now) {
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
