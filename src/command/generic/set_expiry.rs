//! What EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT share: setting when a key ends, under conditions.

use crate::command::expiry::{Term, of_millis};
use crate::command::live;
use crate::dispatch::args::is_keyword;
use crate::dispatch::{Args, CommandError, Context, Handled, Outcome};
use crate::engine::value::Kind;
use crate::engine::{Expiry, Slot};

/// Which of NX, XX, GT and LT were named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Conditions {
    only_without: bool,
    only_with: bool,
    only_later: bool,
    only_earlier: bool,
}

impl Conditions {
    /// Reads all that is left.
    fn read(args: Args<'_>) -> Result<Self, CommandError> {
        let mut conditions = Self::default();
        for word in args.rest() {
            let known = [
                ("nx", &mut conditions.only_without),
                ("xx", &mut conditions.only_with),
                ("gt", &mut conditions.only_later),
                ("lt", &mut conditions.only_earlier),
            ];
            match known.into_iter().find(|(keyword, _)| is_keyword(word, keyword)) {
                Some((_, condition)) => *condition = true,
                None => {
                    let word = String::from_utf8_lossy(word).into_owned();
                    return Err(CommandError::other(format!("Unsupported option {word}")));
                }
            }
        }
        if conditions.only_without
            && (conditions.only_with || conditions.only_later || conditions.only_earlier)
        {
            return Err(CommandError::other(
                "NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if conditions.only_later && conditions.only_earlier {
            return Err(CommandError::other("GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// Whether `next` may take the place of `current`. A key without expiry ends later than any other.
    fn allow(self, current: Expiry, next: i64) -> bool {
        let current = current.as_millis();
        let next = u64::try_from(next).unwrap_or(0);
        let held_back = (self.only_without && current.is_some())
            || (self.only_with && current.is_none())
            || (self.only_later && current.is_none_or(|current| next <= current))
            || (self.only_earlier && current.is_some_and(|current| next >= current));
        !held_back
    }
}

/// Sets the expiry that the second argument tells in `term`; a past one deletes the key.
pub(super) fn run(context: &mut Context<'_>, mut args: Args<'_>, term: Term) -> Handled {
    let key = args.next_bytes()?;
    let number = args.next_bytes()?;
    let conditions = Conditions::read(args)?;
    let number = crate::dispatch::args::integer(number)?;
    let millis = term.millis(number, context.now);
    let millis = millis.ok_or_else(|| CommandError::InvalidExpire(context.name().to_owned()))?;
    let expiry = of_millis(millis);
    let now = context.now;
    let result = live::edit(context, key, |slot| {
        let Some(current) = expiry_of(slot)? else { return Ok((false, None)) };
        if !conditions.allow(current, millis) {
            return Ok((false, None));
        }
        if expiry.has_passed(now) {
            return Ok((true, slot.remove()));
        }
        Ok::<_, CommandError>((slot.set_expiry(expiry), None))
    })?;
    let (set, _removed) = result?;
    context.reply.integer(i64::from(set));
    Ok(Outcome::Reply)
}

/// The expiry of the key in the slot; `None` when it is absent.
///
/// # Errors
/// [`CommandError::ExpiryOfQuota`] for a quota state, whose end follows from its limits.
pub(super) fn expiry_of(slot: &Slot<'_>) -> Result<Option<Expiry>, CommandError> {
    match slot.view() {
        None => Ok(None),
        Some(view) => match view.kind() {
            Kind::String => Ok(Some(view.expiry())),
            Kind::Throttle | Kind::Quota => Err(CommandError::ExpiryOfQuota),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare_with_the_expiry_that_is_set() {
        let none = Conditions::default();
        let check = |conditions: Conditions, current: Expiry, next: i64, expected: bool| {
            assert_eq!(conditions.allow(current, next), expected, "{conditions:?} {current:?} {next}");
        };
        let at = Expiry::at_millis;
        check(none, Expiry::NEVER, 5, true);
        check(Conditions { only_without: true, ..none }, Expiry::NEVER, 5, true);
        check(Conditions { only_without: true, ..none }, at(9), 5, false);
        check(Conditions { only_with: true, ..none }, Expiry::NEVER, 5, false);
        check(Conditions { only_with: true, ..none }, at(9), 5, true);
        check(Conditions { only_later: true, ..none }, Expiry::NEVER, 5, false);
        check(Conditions { only_later: true, ..none }, at(5), 5, false);
        check(Conditions { only_later: true, ..none }, at(5), 6, true);
        check(Conditions { only_earlier: true, ..none }, Expiry::NEVER, 5, true);
        check(Conditions { only_earlier: true, ..none }, at(5), 5, false);
        check(Conditions { only_earlier: true, ..none }, at(5), -4, true);
        check(Conditions { only_with: true, only_earlier: true, ..none }, Expiry::NEVER, 5, false);
    }
}
