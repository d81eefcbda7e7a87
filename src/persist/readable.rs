//! Values as people read them, where memory and truth are compared.

use std::fmt::Write;

use super::content::encode;
use super::record::StoredValue;
use super::usage::{SlotUsage, usage_of};
use crate::clock::Timestamp;
use crate::engine::value::Content;
use crate::quota::SpanCache;

/// Characters of a value that are told.
const MOST_CHARACTERS: usize = 200;

/// Bytes of a value as it is packed that are told, two characters each.
const MOST_PACKED_BYTES: usize = 64;

/// Two values that differ, as they are at `now`. Where that reads alike, by a fraction of a unit or what a limit has forgotten, the bytes
/// are told too.
pub(super) fn pair(
    one: Option<&StoredValue>,
    other: Option<&StoredValue>,
    now: Timestamp,
) -> (String, String) {
    let (mut texts, values) = ([value(one, now), value(other, now)], [one, other]);
    if texts[0] == texts[1] {
        for (text, value) in texts.iter_mut().zip(values) {
            text.push_str(&value.map_or_else(String::new, packed));
        }
    }
    texts.into()
}

/// A value as it is at `now`, in one line.
#[must_use]
pub fn readable_value(found: &StoredValue, now: Timestamp) -> String {
    value(Some(found), now)
}

/// A value as it is at `now`.
pub(super) fn value(value: Option<&StoredValue>, now: Timestamp) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = match &value.content {
        Content::Integer(integer) => format!("integer {integer}"),
        Content::Text(text) => format!("string {}", string(text.as_bytes())),
        Content::Throttle(nanos) => {
            let micros = u64::try_from(nanos / 1_000).unwrap_or(u64::MAX);
            format!("throttle that is full at {}", time(Timestamp::from_micros(micros)))
        }
        Content::Quota(..) | Content::Quotas(_) => {
            let slots = usage_of(&value.content, now, &mut SpanCache::new());
            format!("quota {}", cut(slots.iter().map(slot).collect::<Vec<_>>().join("; ")))
        }
    };
    match value.expiry.as_millis() {
        None => text,
        Some(millis) => format!("{text}, ends at {}", time(Timestamp::from_millis(millis))),
    }
}

fn slot(slot: &SlotUsage) -> String {
    let resets =
        slot.resets_at.map_or_else(|| "never fresh again".to_owned(), |at| format!("fresh at {}", time(at)));
    format!("{} {} of {} used, {resets}", slot.limit.name(), slot.used, slot.maximum)
}

fn string(bytes: &[u8]) -> String {
    // Each character has at least a byte, so no more than these are looked at.
    let beginning = &bytes[..bytes.len().min(MOST_CHARACTERS * 4)];
    let text = cut(format!("{:?}", String::from_utf8_lossy(beginning)));
    if text.ends_with('"') {
        return text;
    }
    format!("{text} ({} bytes)", bytes.len())
}

/// At most so many characters, and whether there were more.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MOST_CHARACTERS) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

fn packed(value: &StoredValue) -> String {
    let mut bytes = Vec::new();
    encode(&value.content, &mut bytes);
    let mut text = " (packed as ".to_owned();
    for byte in bytes.iter().take(MOST_PACKED_BYTES) {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
    }
    text.push_str(if bytes.len() > MOST_PACKED_BYTES { "...)" } else { ")" });
    text
}

/// In UTC; what no calendar has, as microseconds.
fn time(time: Timestamp) -> String {
    let micros = time.as_micros();
    let instant =
        i64::try_from(micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    instant.map_or_else(|| format!("{micros} us since 1970"), |instant| instant.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Expiry;
    use crate::engine::value::Text;
    use crate::persist::contract::{NOON, used};

    fn stored(content: Content) -> StoredValue {
        StoredValue { content, expiry: Expiry::NEVER }
    }

    fn shown(content: Content) -> String {
        value(Some(&stored(content)), NOON)
    }

    #[test]
    fn values_are_told_by_type_use_and_end() {
        assert_eq!(value(None, NOON), "nothing");
        assert_eq!(shown(Content::Integer(-2)), "integer -2");
        assert_eq!(shown(Content::Text(Text::new(b"a\"b\n"))), "string \"a\\\"b\\n\"");
        let noon = time(NOON);
        assert!(noon.starts_with("20") && noon.ends_with('Z'), "{noon}");
        let throttle = Content::Throttle(u128::from(NOON.as_micros()) * 1_000);
        assert_eq!(shown(throttle), format!("throttle that is full at {noon}"));
        let budget = value(Some(&used("BUDGET 9 PER TOTAL UNIT usd_micro", 4)), NOON);
        assert_eq!(budget, "quota usd_micro:budget:total 4 of 9 used, never fresh again");
        let ending =
            StoredValue { content: Content::Integer(1), expiry: Expiry::at_millis(NOON.as_millis()) };
        assert_eq!(value(Some(&ending), NOON), format!("integer 1, ends at {noon}"));
        assert_eq!(time(Timestamp::from_micros(u64::MAX)), format!("{} us since 1970", u64::MAX));
    }

    #[test]
    fn long_values_are_cut() {
        for character in ["x", "\u{1F600}", "\0"] {
            let text = shown(Content::Text(Text::new(character.repeat(10_000).as_bytes())));
            assert!(text.len() < 4 * MOST_CHARACTERS + 50 && text.contains("..."), "{text}");
            assert!(text.ends_with(&format!("({} bytes)", 10_000 * character.len())), "{text}");
        }
    }

    #[test]
    fn values_that_read_alike_are_told_apart() {
        let throttle = |nanos| stored(Content::Throttle(nanos));
        let (one, other) = pair(Some(&throttle(1_000)), Some(&throttle(1_001)), NOON);
        assert_ne!(one, other);
        assert!(one.contains("(packed as 0103"), "{one}");
        let (one, other) = pair(Some(&stored(Content::Integer(1))), None, NOON);
        assert_eq!((one.as_str(), other.as_str()), ("integer 1", "nothing"));
    }
}
