//! What several string commands share: reading a string, and answering one that was just replaced.

use std::sync::Arc;

use crate::command::live;
use crate::dispatch::{CommandError, Context, Stop};
use crate::engine::value::Content;
use crate::engine::{Slot, StringView};
use crate::resp::ReplyWriter;

/// The most bytes of a string: the default of Redis's `proto-max-bulk-len`, which is also the longest a client can send.
pub(super) const MAX_STRING_BYTES: usize = 512 * 1024 * 1024;

/// The error for a string that would be longer than [`MAX_STRING_BYTES`].
pub(super) const STRING_TOO_LONG: &str = "string exceeds maximum allowed size (proto-max-bulk-len)";

/// Answers the string under `key`, null where there is none. A large value is shared under the guard and copied after it.
pub(super) fn reply_string(context: &mut Context<'_>, key: &[u8]) -> Result<(), Stop> {
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
        Some(Err(error)) => {
            if !live::has_ended(context, key)? {
                return Err(error.into());
            }
            context.reply.null();
        }
        Some(Ok(None)) => {}
        Some(Ok(Some(shared))) => context.reply.bulk(&shared),
    }
    Ok(())
}

/// Runs `read` on the string under `key`; `None` where there is none.
pub(super) fn read_string<R>(
    context: &mut Context<'_>,
    key: &[u8],
    read: impl FnOnce(StringView<'_>) -> R,
) -> Result<Option<R>, Stop> {
    match context.read(key, |view| view.string().map(read))? {
        None => Ok(None),
        Some(Some(result)) => Ok(Some(result)),
        Some(None) if live::has_ended(context, key)? => Ok(None),
        Some(None) => Err(CommandError::WrongType.into()),
    }
}

/// A string that was read under a guard, to be answered after it.
pub(super) enum OldString {
    Integer(i64),
    Small(Vec<u8>),
    Large(Arc<Vec<u8>>),
}

impl OldString {
    /// The bytes of the string; of an integer, the most it has.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Integer(_) => "-9223372036854775808".len(),
            Self::Small(bytes) => bytes.len(),
            Self::Large(bytes) => bytes.len(),
        }
    }
}

impl From<StringView<'_>> for OldString {
    fn from(string: StringView<'_>) -> Self {
        match (string, string.shared()) {
            (_, Some(shared)) => Self::Large(shared),
            (StringView::Integer(integer), None) => Self::Integer(integer),
            (StringView::Text(text), None) => Self::Small(text.as_bytes().to_vec()),
        }
    }
}

/// The string that is in the slot, `None` where there is none.
///
/// # Errors
/// [`CommandError::WrongType`] for a value of another type.
pub(super) fn old_string(slot: &Slot<'_>) -> Result<Option<OldString>, CommandError> {
    match slot.view() {
        None => Ok(None),
        Some(view) => view.string().map(|string| Some(string.into())).ok_or(CommandError::WrongType),
    }
}

/// Answers a string that was read, or null.
pub(super) fn reply_old(reply: &mut ReplyWriter<'_>, old: Option<&OldString>) {
    match old {
        None => reply.null(),
        Some(OldString::Integer(integer)) => reply.text(itoa::Buffer::new().format(*integer)),
        Some(OldString::Small(bytes)) => reply.bulk(bytes),
        Some(OldString::Large(bytes)) => reply.bulk(bytes),
    }
}

/// A string that was taken out of its key, as GET would answer it.
pub(super) fn of_content(content: Content) -> Option<OldString> {
    match content {
        Content::Integer(integer) => Some(OldString::Integer(integer)),
        Content::Text(crate::engine::value::Text::Owned(bytes)) => Some(OldString::Small(bytes)),
        Content::Text(crate::engine::value::Text::Shared(bytes)) => Some(OldString::Large(bytes)),
        _ => None,
    }
}
