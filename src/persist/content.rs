//! The durable form of a value.
//!
//! One byte of version, one of kind, then the parts. Every value has one form, and the forms are written down as bytes in
//! the tests: what was stored years ago is read by every later version.

use super::bytes::{DecodeError, Reader, put_length, put_number, put_signed};
use super::limit::{LEAST_LIMIT_BYTES, limit, put_limit};
use crate::clock::Timestamp;
use crate::engine::value::{Content, Kind, QuotaSlot, QuotaSlots, Text};
use crate::quota::{Limit, LogState, MAX_LIMITS, MAX_LOG_ENTRIES, State};

/// The version that is written.
const VERSION: u8 = 1;

/// The kinds of values, as they are numbered for good.
pub(crate) mod kind {
    pub(crate) const INTEGER: u8 = 1;
    pub(crate) const TEXT: u8 = 2;
    pub(crate) const THROTTLE: u8 = 3;
    pub(crate) const QUOTA: u8 = 4;
    pub(crate) const QUOTAS: u8 = 5;
}

/// The forms of a slot's state, as they are numbered for good.
pub(crate) mod state {
    pub(crate) const WORD: u8 = 1;
    pub(crate) const LOG: u8 = 2;
}

/// The fewest bytes of a slot: its limit, the form of its state, an empty log.
const LEAST_SLOT_BYTES: usize = LEAST_LIMIT_BYTES + 2;

/// The fewest bytes of a log's entry: a time and an amount of one byte each.
const LEAST_TAKE_BYTES: usize = 2;

/// Appends the durable form of `content`.
pub fn encode(content: &Content, out: &mut Vec<u8>) {
    out.push(VERSION);
    match content {
        Content::Integer(integer) => {
            out.push(kind::INTEGER);
            put_signed(out, *integer);
        }
        Content::Text(text) => {
            out.push(kind::TEXT);
            out.extend_from_slice(text.as_bytes());
        }
        Content::Throttle(word) => {
            out.push(kind::THROTTLE);
            out.extend_from_slice(&word.to_be_bytes());
        }
        Content::Quota(limit, word) => {
            out.push(kind::QUOTA);
            put_limit(out, limit);
            out.extend_from_slice(&word.to_be_bytes());
        }
        Content::Quotas(slots) => {
            out.push(kind::QUOTAS);
            put_length(out, slots.as_slice().len());
            for slot in slots.as_slice() {
                put_slot(out, &slot.limit, &slot.state);
            }
        }
    }
}

fn put_slot(out: &mut Vec<u8>, limit: &Limit, state: &State) {
    put_limit(out, limit);
    match state {
        State::Word(word) => {
            out.push(state::WORD);
            out.extend_from_slice(&word.to_be_bytes());
        }
        State::Log(log) => {
            out.push(state::LOG);
            put_log(out, log);
        }
    }
}

/// The amount of takes, then each as the time since the one before and its amount.
pub(crate) fn put_log(out: &mut Vec<u8>, log: &LogState) {
    put_length(out, log.takes().count());
    let mut before = 0;
    for (time, amount) in log.takes() {
        put_number(out, time.as_micros().wrapping_sub(before));
        put_number(out, amount);
        before = time.as_micros();
    }
}

/// Reads a value.
///
/// # Errors
/// [`DecodeError`] for whatever [`encode`] does not write: another version, what cannot be, bytes behind the end.
pub fn decode(bytes: &[u8]) -> Result<Content, DecodeError> {
    let reader = &mut Reader::new(bytes);
    reader.version("value", VERSION)?;
    let content = match reader.byte("kind of value")? {
        kind::INTEGER => Content::Integer(reader.signed("integer")?),
        kind::TEXT => Content::Text(Text::new(reader.rest())),
        kind::THROTTLE => Content::Throttle(reader.word("arrival time")?),
        kind::QUOTA => Content::Quota(limit(reader)?, reader.word("state")?),
        kind::QUOTAS => Content::Quotas(slots(reader)?),
        found => return Err(DecodeError::Unknown { part: "kind of value", found: found.into() }),
    };
    reader.end()?;
    Ok(content)
}

/// The limit's bytes and the state of a value of one limit; `None`: it is another value.
pub(crate) fn quota_of(bytes: &[u8]) -> Option<(&[u8], u128)> {
    let rest = bytes.strip_prefix(&[VERSION, kind::QUOTA])?;
    let (limit, word) = rest.split_last_chunk()?;
    Some((limit, u128::from_be_bytes(*word)))
}

/// The limit of these bytes.
pub(crate) fn limit_of(bytes: &[u8]) -> Result<Limit, DecodeError> {
    let reader = &mut Reader::new(bytes);
    let limit = limit(reader)?;
    reader.end()?;
    Ok(limit)
}

/// The type of the value that `bytes` are the durable form of, without reading all of it.
pub(crate) fn kind_of(bytes: &[u8]) -> Result<Kind, DecodeError> {
    let reader = &mut Reader::new(bytes);
    reader.version("value", VERSION)?;
    match reader.byte("kind of value")? {
        kind::INTEGER | kind::TEXT => Ok(Kind::String),
        kind::THROTTLE => Ok(Kind::Throttle),
        kind::QUOTA | kind::QUOTAS => Ok(Kind::Quota),
        found => Err(DecodeError::Unknown { part: "kind of value", found: found.into() }),
    }
}

fn slots(reader: &mut Reader<'_>) -> Result<QuotaSlots, DecodeError> {
    let count = reader.count("slots", LEAST_SLOT_BYTES)?;
    collect_slots(count, || Ok((limit(reader)?, read_state(reader)?)))
}

/// The slots that `next` reads, as many as a subject may have, each once.
pub(crate) fn collect_slots(
    count: usize,
    mut next: impl FnMut() -> Result<(Limit, State), DecodeError>,
) -> Result<QuotaSlots, DecodeError> {
    if count > MAX_LIMITS {
        let reason = format_args!("{count} limits are more than the {MAX_LIMITS} a subject may have");
        return Err(DecodeError::refused("slots", reason));
    }
    let mut slots = QuotaSlots::default();
    for _ in 0..count {
        let (limit, state) = next()?;
        if slots.position(&limit).is_some() {
            return Err(DecodeError::refused("slots", format_args!("{} is there twice", limit.name())));
        }
        slots.push(QuotaSlot::new(limit, state));
    }
    Ok(slots)
}

fn read_state(reader: &mut Reader<'_>) -> Result<State, DecodeError> {
    match reader.byte("form of a state")? {
        state::WORD => Ok(State::Word(reader.word("state")?)),
        state::LOG => Ok(State::Log(Box::new(log(reader)?))),
        found => Err(DecodeError::Unknown { part: "form of a state", found: found.into() }),
    }
}

/// Reads what [`put_log`] wrote, and nothing else.
pub(crate) fn log(reader: &mut Reader<'_>) -> Result<LogState, DecodeError> {
    let count = reader.count("log", LEAST_TAKE_BYTES)?;
    if count > MAX_LOG_ENTRIES {
        let reason = format_args!("{count} takes are more than the {MAX_LOG_ENTRIES} it may hold");
        return Err(DecodeError::refused("log", reason));
    }
    let mut takes = Vec::with_capacity(count);
    let mut time = 0_u64;
    for _ in 0..count {
        let passed = reader.number("time of a take")?;
        time = time
            .checked_add(passed)
            .ok_or_else(|| DecodeError::refused("time of a take", "it is behind the end of time"))?;
        takes.push((Timestamp::from_micros(time), reader.number("amount of a take")?));
    }
    LogState::from_takes(takes).ok_or_else(|| {
        DecodeError::refused("log", "its times do not rise, an amount is 0, or the sum has more than 64 bits")
    })
}

#[cfg(test)]
mod tests;
