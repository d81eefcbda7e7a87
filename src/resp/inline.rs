//! Splits an inline request, a line as typed into a terminal, into its arguments.

use super::arguments::{Span, Spans};
use super::error::ProtocolError;

/// Splits `line`, which lies at the beginning of the buffer and has no line ending, into `spans`.
///
/// The rules are those of Redis's `sdssplitargs`: words are separated by blanks; `"..."` takes the escapes `\xHH`, `\n`,
/// `\r`, `\t`, `\b`, `\a` and `\` before any other byte; `'...'` takes `\'`; behind a closing quote there is a blank or
/// nothing. Other than there, a zero byte is a byte like any other and does not hide the rest of the line.
///
/// # Errors
/// [`ProtocolError::UnbalancedQuotes`].
pub(super) fn split(line: &[u8], spans: &mut Spans) -> Result<(), ProtocolError> {
    if line.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
        spans.read_from_text();
        return split_quoted(line, spans);
    }
    spans.read_from_line();
    let mut position = 0;
    loop {
        position += blanks(&line[position..]);
        if position == line.len() {
            return Ok(());
        }
        let rest = &line[position..];
        let length = rest.iter().position(|&byte| ends_word(byte)).unwrap_or(rest.len());
        spans.push(Span::new(position, length));
        position += length;
    }
}

fn split_quoted(line: &[u8], spans: &mut Spans) -> Result<(), ProtocolError> {
    let mut rest = line;
    loop {
        rest = &rest[blanks(rest)..];
        if rest.is_empty() {
            return Ok(());
        }
        let start = spans.text().len();
        rest = word(rest, spans.text())?;
        let length = spans.text().len() - start;
        spans.push(Span::new(start, length));
    }
}

/// Appends the word at the beginning of `rest` to `text`; returns what is behind it.
fn word<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    while let [byte, behind @ ..] = rest {
        match byte {
            b'"' => return double_quoted(behind, text),
            b'\'' => return single_quoted(behind, text),
            &byte if ends_word(byte) => return Ok(rest),
            &byte => text.push(byte),
        }
        rest = behind;
    }
    Ok(rest)
}

fn double_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'"', behind @ ..] => return after_quote(behind),
            [b'\\', b'x', high, low, behind @ ..]
                if let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) =>
            {
                text.push(high << 4 | low);
                behind
            }
            [b'\\', escaped, behind @ ..] => {
                text.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    &other => other,
                });
                behind
            }
            [byte, behind @ ..] => {
                text.push(*byte);
                behind
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'\'', behind @ ..] => return after_quote(behind),
            [b'\\', b'\'', behind @ ..] => {
                text.push(b'\'');
                behind
            }
            [byte, behind @ ..] => {
                text.push(*byte);
                behind
            }
        }
    }
}

fn after_quote(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest.first() {
        Some(&byte) if !is_blank(byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| is_blank(byte)).count()
}

/// What C's `isspace` calls a blank: it separates words.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// A word without quotes ends at fewer bytes than separate words: vertical tab and form feed stay in it, as in Redis.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
        let mut spans = Spans::new();
        split(line, &mut spans)?;
        Ok(spans.request(line).iter().map(<[u8]>::to_vec).collect())
    }

    fn check(line: &str, expected: &[&str]) {
        check_bytes(line.as_bytes(), &expected.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
    }

    fn check_bytes(line: &[u8], expected: &[&[u8]]) {
        assert_eq!(words(line).unwrap(), expected, "{}", line.escape_ascii());
    }

    fn check_unbalanced(line: &str) {
        assert_eq!(words(line.as_bytes()), Err(ProtocolError::UnbalancedQuotes), "{line}");
    }

    #[test]
    fn words_are_separated_by_blanks() {
        check("", &[]);
        check(" \t ", &[]);
        check("PING", &["PING"]);
        check("  SET \t key   value ", &["SET", "key", "value"]);
        check("a\rb", &["a", "b"]);
        check("a\x0bb \x0bc", &["a\x0bb", "c"]);
    }

    #[test]
    fn double_quotes_take_escapes() {
        check(r#"SET "a key" "it's""#, &["SET", "a key", "it's"]);
        check(r#""\n\r\t\b\a\\\"\q""#, &["\n\r\t\x08\x07\\\"q"]);
        check_bytes(br#""\x00\xFf\x0a""#, &[b"\x00\xff\x0a"]);
        check(r#""\xZ1" "\x1""#, &["xZ1", "x1"]);
        check(r#""""#, &[""]);
        check(r#"half"quoted word""#, &["halfquoted word"]);
    }

    #[test]
    fn single_quotes_take_only_the_escaped_quote() {
        check(r"'a key' 'it\'s' 'a\nb'", &["a key", "it's", r"a\nb"]);
        check("''", &[""]);
        check(r#"'"'"#, &["\""]);
    }

    #[test]
    fn quotes_must_close_and_end_the_word() {
        for line in
            ["\"", "'", "a \"b", "a 'b", "\"a\"b", "'a'b", "\"a\"\"b\"", "\"a\\", "\"a\\\"", "'a\\'", "a\""]
        {
            check_unbalanced(line);
        }
    }

    #[test]
    fn every_byte_but_blanks_and_quotes_is_kept() {
        for byte in 0..=u8::MAX {
            if is_blank(byte) || matches!(byte, b'"' | b'\'') {
                continue;
            }
            check_bytes(&[b'a', byte, b'b', b' ', b'c'], &[&[b'a', byte, b'b'], b"c"]);
        }
    }

    #[test]
    fn more_words_than_fit_inside() {
        let many: Vec<String> = (0..100).map(|number| format!("'{number}'")).collect();
        let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        check(&many.join(" "), &expected.iter().map(String::as_str).collect::<Vec<_>>());
        check(&expected.join(" "), &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
