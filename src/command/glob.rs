//! Matching keys against patterns: `*`, `?`, `[a-z]`, `[^x]` and `\` as an escape, byte by byte, as Redis matches.

/// Whether all of `text` matches `pattern`. Takes at most the product of their lengths: after a mismatch only the last star
/// takes one byte more, since a match that needs an earlier star to take more exists only if one exists without.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        // In Redis an empty key is matched by one star, but not by two.
        return matches!(pattern, b"" | b"*");
    }
    let (mut pattern_at, mut text_at) = (0, 0);
    let mut last_star = None;
    while let Some(&byte) = text.get(text_at) {
        if pattern.get(pattern_at) == Some(&b'*') {
            pattern_at += 1;
            last_star = Some((pattern_at, text_at));
            continue;
        }
        if let Some(length) = step(&pattern[pattern_at..], byte) {
            pattern_at += length;
            text_at += 1;
            continue;
        }
        let Some((behind_star, taken)) = last_star else { return false };
        if behind_star == pattern.len() {
            return true;
        }
        (pattern_at, text_at) = (behind_star, taken + 1);
        last_star = Some((behind_star, taken + 1));
    }
    pattern[pattern_at..].iter().all(|&byte| byte == b'*')
}

/// Matches one byte against the beginning of a pattern that does not begin with a star; answers how much of the pattern that was.
fn step(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => {
            let (matched, length) = class_matches(class, byte);
            matched.then_some(1 + length)
        }
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

/// Matches one byte against what follows a `[`; answers also how long the class is, with its `]`. A class that is not closed
/// ends with the pattern.
fn class_matches(class: &[u8], byte: u8) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut matched = false;
    loop {
        match class.get(at..).unwrap_or_default() {
            [] => break,
            [b'\\', escaped, ..] => {
                matched |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [from, b'-', to, ..] => {
                matched |= (*from.min(to)..=*from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                matched |= *literal == byte;
                at += 1;
            }
        }
    }
    (matched != negated, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
    }

    #[test]
    fn patterns_match_as_in_redis() {
        check("", "", true);
        check("", "a", false);
        check("*", "", true);
        check("**", "", false);
        check("**", "a", true);
        check("*", "anything", true);
        check("a*", "a", true);
        check("a*c", "abbc", true);
        check("a*c", "abbd", false);
        check("*a*b*", "xxaxxbxx", true);
        check("*ab", "aab", true);
        check("h?llo", "hello", true);
        check("h?llo", "hllo", false);
        check("h[ae]llo", "hallo", true);
        check("h[ae]llo", "hillo", false);
        check("h[^e]llo", "hello", false);
        check("h[^e]llo", "hallo", true);
        check("h[a-c]llo", "hbllo", true);
        check("h[c-a]llo", "hbllo", true);
        check("\\*", "*", true);
        check("\\*", "a", false);
        check("a\\", "a\\", true);
        check("[\\]]", "]", true);
        check("[a", "a", true);
        check("[a-", "-", true);
        check("[a-]", "]", true);
        check("[]a]", "a]", false);
        check("[^]", "x", true);
        check("[", "[", false);
    }

    /// The rule of a star as it is said: it stands for any number of bytes.
    fn matches_by_the_rule(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|taken| matches_by_the_rule(rest, &text[taken..])),
            ([first, rest @ ..], [byte, text @ ..]) => {
                (*first == b'?' || first == byte) && matches_by_the_rule(rest, text)
            }
            _ => false,
        }
    }

    /// Every word of up to `most` of these bytes, the empty one left out.
    fn words(bytes: &[u8], most: usize) -> Vec<Vec<u8>> {
        let mut words = vec![Vec::new()];
        let mut from = 0;
        for _ in 0..most {
            let longest = words[from..].to_vec();
            from = words.len();
            words.extend(
                longest.iter().flat_map(|word| bytes.iter().map(|&byte| [&word[..], &[byte]].concat())),
            );
        }
        words.split_off(1)
    }

    #[test]
    fn stars_match_by_the_rule_wherever_they_stand() {
        let texts = words(b"ab", 5);
        for pattern in words(b"ab*?", 5) {
            for text in &texts {
                let expected = matches_by_the_rule(&pattern, text);
                assert_eq!(matches(&pattern, text), expected, "{pattern:?} {text:?}");
            }
        }
    }

    #[test]
    fn many_stars_take_no_more_than_the_product_of_lengths() {
        let pattern = "a*".repeat(1_000) + "b";
        let text = "a".repeat(20_000);
        check(&pattern, &text, false);
    }

    #[test]
    fn any_bytes_match_themselves_escaped() {
        let text: Vec<u8> = (0..=255).collect();
        let pattern: Vec<u8> = text.iter().flat_map(|&byte| [b'\\', byte]).collect();
        assert!(matches(&pattern, &text));
    }
}
