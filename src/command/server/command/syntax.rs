//! The words of a syntax line, one argument each, as COMMAND DOCS tells them.

/// A part of a syntax line: `key`, `[EX seconds]`, or several that stand for each other, `YES | NO`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'s> {
    /// As written, without the brackets of an optional part.
    pub text: &'s str,
    /// Whether it may be left out.
    pub optional: bool,
}

/// Splits a syntax line at its spaces, except inside brackets, `<choices in angles>` and around `|`.
pub(super) fn parts(syntax: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (position, symbol) in syntax.char_indices() {
        match symbol {
            '[' | '<' => depth += 1,
            ']' | '>' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 && !is_around_bar(syntax, position) => {
                push(&mut parts, &syntax[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    push(&mut parts, &syntax[start..]);
    parts
}

fn is_around_bar(syntax: &str, space: usize) -> bool {
    syntax[..space].ends_with('|') || syntax[space..].starts_with(" |")
}

fn push<'s>(parts: &mut Vec<Part<'s>>, text: &'s str) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    let inner = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    // `[a] | [b]` begins and ends with brackets that are not each other's.
    let inner = inner.filter(|inner| is_balanced(inner));
    parts.push(Part { text: inner.unwrap_or(text), optional: inner.is_some() });
}

fn is_balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    for symbol in text.bytes() {
        depth += i32::from(symbol == b'[') - i32::from(symbol == b']');
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        let check = |syntax: &str, expected: &[(&str, bool)]| {
            let parts = parts(syntax);
            let parts: Vec<_> = parts.iter().map(|part| (part.text, part.optional)).collect();
            assert_eq!(parts, expected, "{syntax}");
        };
        check("", &[]);
        check("key", &[("key", false)]);
        check(
            "key value [EX seconds | PX ms] [GET]",
            &[("key", false), ("value", false), ("EX seconds | PX ms", true), ("GET", true)],
        );
        check("key [key ...]", &[("key", false), ("key ...", true)]);
        check("a|b c", &[("a|b", false), ("c", false)]);
        check("ON | OFF [NOLOOP]", &[("ON | OFF", false), ("NOLOOP", true)]);
        check("[a [b]] [c] | [d]", &[("a [b]", true), ("[c] | [d]", false)]);
        check("<A a | B b> c", &[("<A a | B b>", false), ("c", false)]);
        check("[unclosed", &[("[unclosed", false)]);
    }
}
