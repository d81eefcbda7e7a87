//! INCREX: adds to a number within bounds and sets when it ends.

use std::cmp::Ordering;

use super::extended::Extended;
use super::incrbyfloat::number_of;
use super::options::Lifetime;
use crate::command::live;
use crate::dispatch::args::{integer, is_keyword};
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};
use crate::engine::value::Content;
use crate::engine::{Expiry, Slot, StringView};
use crate::resp::Protocol;

pub(super) static SPEC: Spec = Spec {
    name: "increx",
    syntax: "key [BYFLOAT increment | BYINT increment] [LBOUND lowerbound] [UBOUND upperbound] [SATURATE] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] [ENX]",
    summary: "Adds to the number under the key; answers the new value and what was added. Out of bounds nothing changes, or with SATURATE as much as fits.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("INCREX used BYINT 7 UBOUND 10 EX 60 ENX", "1) (integer) 7\n2) (integer) 7"),
        example("INCREX used BYINT 7 UBOUND 10", "1) (integer) 7\n2) (integer) 0"),
        example("INCREX used BYINT 7 UBOUND 10 SATURATE", "1) (integer) 10\n2) (integer) 3"),
        example("TTL used", "(integer) 60"),
        example("INCREX price BYFLOAT 0.1", "1) \"0.1\"\n2) \"0.1\"")
            .resp3("1) (double) 0.1\n2) (double) 0.1"),
    ],
    subcommands: &[],
    run,
};

/// By how much, and between which bounds.
#[derive(Clone, Copy)]
enum Step {
    Integer { increment: i64, lower: i64, upper: i64 },
    Float { increment: Extended, lower: Extended, upper: Extended },
}

/// A number of a reply.
enum Amount {
    Integer(i64),
    Float(String),
}

/// The value to store, if any is, and the two numbers of the reply.
type Stepped = (Option<Content>, Amount, Amount);

/// All options of a call.
struct Options<'a> {
    step: Step,
    saturate: bool,
    lifetime: Lifetime<'a>,
    only_without_expiry: bool,
}

impl<'a> Options<'a> {
    fn read(mut args: Args<'a>) -> Result<Self, CommandError> {
        let (mut by_integer, mut by_float, mut lower, mut upper) = (None, None, None, None);
        let (mut saturate, mut only_without_expiry, mut lifetime) = (false, false, Lifetime::Unnamed);
        while let Some(word) = args.try_next() {
            let named = [
                ("byint", &mut by_integer),
                ("byfloat", &mut by_float),
                ("lbound", &mut lower),
                ("ubound", &mut upper),
            ];
            if let Some((_, value)) = named.into_iter().find(|(keyword, _)| is_keyword(word, keyword)) {
                if value.replace(args.next_bytes()?).is_some() {
                    return Err(CommandError::Syntax);
                }
            } else if is_keyword(word, "saturate") {
                saturate = true;
            } else if is_keyword(word, "enx") {
                only_without_expiry = true;
            } else if !lifetime.read(word, ("persist", Lifetime::Persist), &mut args)? {
                return Err(CommandError::Syntax);
            }
        }
        if only_without_expiry && !matches!(lifetime, Lifetime::Until(..)) {
            return Err(CommandError::Syntax);
        }
        let step = match (by_integer, by_float) {
            (Some(_), Some(_)) => return Err(CommandError::Syntax),
            (_, Some(increment)) => Step::by_float(increment, lower, upper)?,
            (increment, None) => Step::by_integer(increment, lower, upper)?,
        };
        Ok(Self { step, saturate, lifetime, only_without_expiry })
    }
}

impl Step {
    fn by_integer(
        increment: Option<&[u8]>,
        lower: Option<&[u8]>,
        upper: Option<&[u8]>,
    ) -> Result<Self, CommandError> {
        let increment = increment.map_or(Ok(1), integer)?;
        let (lower, upper) = (lower.map_or(Ok(i64::MIN), integer)?, upper.map_or(Ok(i64::MAX), integer)?);
        if lower > upper { Err(bounds_crossed()) } else { Ok(Self::Integer { increment, lower, upper }) }
    }

    fn by_float(increment: &[u8], lower: Option<&[u8]>, upper: Option<&[u8]>) -> Result<Self, CommandError> {
        let number = |word: &[u8]| Extended::parse(word).ok_or(CommandError::NotAFloat);
        let increment = number(increment)?;
        if !increment.is_finite() {
            return Err(CommandError::NotFinite);
        }
        let lower = lower.map_or(Ok(Extended::LOWEST), number)?;
        let upper = upper.map_or(Ok(Extended::HIGHEST), number)?;
        if lower.compare(upper) == Ordering::Greater {
            return Err(bounds_crossed());
        }
        Ok(Self::Float { increment, lower, upper })
    }

    /// What becomes of the value in the slot.
    fn apply(self, slot: &Slot<'_>, saturate: bool) -> Result<Stepped, CommandError> {
        match self {
            Self::Integer { increment, lower, upper } => {
                let current = match slot.view().map(|view| view.string()) {
                    None => 0,
                    Some(None) => return Err(CommandError::WrongType),
                    Some(Some(StringView::Integer(integer))) => integer,
                    Some(Some(StringView::Text(_))) => return Err(CommandError::NotAnInteger),
                };
                let sum = i128::from(current) + i128::from(increment);
                let kept = sum.clamp(lower.into(), upper.into());
                if kept != sum && !saturate {
                    return Ok((None, Amount::Integer(current), Amount::Integer(0)));
                }
                let fits = |number: i128| i64::try_from(number).map_err(|_| CommandError::Overflow);
                let (new, applied) = (fits(kept)?, fits(kept - i128::from(current))?);
                Ok((Some(Content::Integer(new)), Amount::Integer(new), Amount::Integer(applied)))
            }
            Self::Float { increment, lower, upper } => {
                let (current, _) = number_of(slot)?;
                if !current.is_finite() {
                    return Err(CommandError::NotFinite);
                }
                let sum = current.plus(increment);
                let within = |sum: &Extended| {
                    sum.compare(lower) != Ordering::Less && sum.compare(upper) != Ordering::Greater
                };
                let new = match sum.filter(within) {
                    Some(sum) => sum,
                    None if !saturate => {
                        let nothing = Amount::Float(Extended::ZERO.to_text());
                        return Ok((None, Amount::Float(current.to_text()), nothing));
                    }
                    // A sum beyond all numbers went where the increment points.
                    None if sum.unwrap_or(increment).compare(lower) == Ordering::Less => lower,
                    None => upper,
                };
                let applied = new.minus(current).ok_or(CommandError::NotFinite)?;
                let text = new.to_text();
                let content = Content::string(text.as_bytes());
                Ok((Some(content), Amount::Float(text), Amount::Float(applied.to_text())))
            }
        }
    }
}

fn bounds_crossed() -> CommandError {
    CommandError::other("LBOUND is greater than UBOUND")
}

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let options = Options::read(args)?;
    let named = options.lifetime.expiry(context)?;
    let result = live::edit(context, key, |slot| {
        let (content, value, applied) = options.step.apply(slot, options.saturate)?;
        if let Some(content) = content {
            let current = slot.view().map_or(Expiry::NEVER, |view| view.expiry());
            let expiry = match named {
                Some(_) if options.only_without_expiry && current != Expiry::NEVER => current,
                Some(named) => named,
                None if options.lifetime == Lifetime::Persist => Expiry::NEVER,
                None => current,
            };
            slot.put(content, expiry);
        }
        Ok::<_, CommandError>([value, applied])
    })?;
    let amounts = result?;
    context.reply.array(amounts.len());
    for amount in &amounts {
        match (amount, context.reply.protocol()) {
            (Amount::Integer(number), _) => context.reply.integer(*number),
            (Amount::Float(text), Protocol::Resp2) => context.reply.text(text),
            (Amount::Float(text), Protocol::Resp3) => {
                context.reply.raw_reply(format!(",{text}\r\n").as_bytes())
            }
        }
    }
    Ok(Outcome::Reply)
}
