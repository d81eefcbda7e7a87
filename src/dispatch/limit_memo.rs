//! Inline limits that were parsed before: gateways send the same few texts in every call.

use std::rc::Rc;

use crate::engine::NumberedLimit;
use crate::quota::Mode;

/// Texts remembered per thread: more than the limits of a usual configuration, in some 50 KiB.
const PLACES: usize = 64;

/// Longer texts are parsed each time: comparing them would take as long.
const MAX_TEXT_BYTES: usize = 512;

/// The limits of a call and how they are to be taken.
pub struct ParsedLimits {
    /// The limits with their numbers.
    pub limits: Vec<NumberedLimit>,
    /// Their names as verdicts tell them.
    pub names: Vec<Box<str>>,
    /// How much of what is asked for is taken.
    pub mode: Mode,
    /// Whether the answer waits until the truth has the take.
    pub durable: bool,
}

/// A text and what it was parsed to.
type Remembered = (Box<[u8]>, Rc<ParsedLimits>);

/// Parsed limits by their text on the wire; a text that falls into the place of another replaces it.
#[derive(Default)]
pub struct LimitMemo {
    places: Vec<Option<Remembered>>,
}

impl LimitMemo {
    /// What `text` was parsed to, now or before.
    ///
    /// # Errors
    /// Those of `parse`.
    #[inline]
    pub fn parsed<E>(
        &mut self,
        text: Option<&[u8]>,
        parse: impl FnOnce() -> Result<ParsedLimits, E>,
    ) -> Result<Rc<ParsedLimits>, E> {
        let Some(text) = text.filter(|text| text.len() <= MAX_TEXT_BYTES) else {
            return parse().map(Rc::new);
        };
        let place = place_of(text);
        if let Some(Some((known, parsed))) = self.places.get(place)
            && **known == *text
        {
            return Ok(Rc::clone(parsed));
        }
        let parsed = Rc::new(parse()?);
        self.places.resize_with(PLACES, || None);
        self.places[place] = Some((text.into(), Rc::clone(&parsed)));
        Ok(parsed)
    }
}

/// A cheap hash of the text's length and its words, the last one read as far back as it takes to be whole: copying a shorter
/// one costs more than the rest of the hash. A poor one costs a parse, never a wrong answer.
fn place_of(text: &[u8]) -> usize {
    let mut sum = text.len() as u64;
    let mut mix = |word: [u8; 8]| {
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    };
    text.as_chunks().0.iter().for_each(|&word| mix(word));
    match text.last_chunk() {
        Some(&last) => mix(last),
        None => text.iter().for_each(|&byte| mix([byte; 8])),
    }
    usize::try_from(sum >> 58).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed() -> Result<ParsedLimits, ()> {
        Ok(ParsedLimits { limits: Vec::new(), names: Vec::new(), mode: Mode::Exact, durable: false })
    }

    #[test]
    fn a_text_is_parsed_once_and_another_never_taken_for_it() {
        let mut memo = LimitMemo::default();
        let first = memo.parsed(Some(b"RATE 1 PER 1s"), parsed).unwrap();
        let again =
            memo.parsed(Some(b"RATE 1 PER 1s"), || panic!("it is remembered")).unwrap_or_else(|()| panic!());
        assert!(Rc::ptr_eq(&first, &again));
        for number in 0..1_000 {
            let text = format!("RATE {number} PER 2s");
            let mut asked = false;
            let _parsed = memo.parsed(Some(text.as_bytes()), || {
                asked = true;
                parsed()
            });
            assert!(asked, "{text}");
        }
        assert!(memo.parsed::<&str>(Some(b"RATE x"), || Err("wrong")).is_err());
        assert!(memo.places.len() == PLACES);
    }
}
