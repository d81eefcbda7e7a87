//! Replies as tests read them: decoded, and written as redis-cli writes them.

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A simple string.
    Status(String),
    /// An error.
    Error(String),
    /// An integer.
    Integer(String),
    /// A double.
    Double(String),
    /// A boolean.
    Boolean(bool),
    /// Any bytes.
    Bulk(Vec<u8>),
    /// Text for people.
    Verbatim(Vec<u8>),
    /// Nothing.
    Null,
    /// An array, push, set or map, by its first byte; a map has keys and values in turn.
    Many(u8, Vec<Reply>),
}

/// Decodes the reply at the beginning of `bytes`; answers its length too. `None`: it is not whole.
pub fn decode(bytes: &[u8]) -> Option<(Reply, usize)> {
    let line_length = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = String::from_utf8_lossy(&bytes[1..line_length]).into_owned();
    let behind_line = line_length + 2;
    let reply = match bytes[0] {
        b'+' => Reply::Status(line),
        b'-' => Reply::Error(line),
        b':' => Reply::Integer(line),
        b',' => Reply::Double(line),
        b'#' => Reply::Boolean(line == "t"),
        b'_' => Reply::Null,
        b'$' | b'=' => {
            let Ok(length) = line.parse::<usize>() else { return Some((Reply::Null, behind_line)) };
            let body = bytes.get(behind_line..behind_line + length)?.to_vec();
            bytes.get(behind_line + length..behind_line + length + 2)?;
            let reply = if bytes[0] == b'$' { Reply::Bulk(body) } else { Reply::Verbatim(body) };
            return Some((reply, behind_line + length + 2));
        }
        kind @ (b'*' | b'%' | b'~' | b'>') => {
            let Ok(count) = line.parse::<usize>() else { return Some((Reply::Null, behind_line)) };
            let count = if kind == b'%' { count * 2 } else { count };
            let mut items = Vec::new();
            let mut at = behind_line;
            for _ in 0..count {
                let (item, length) = decode(bytes.get(at..).filter(|rest| !rest.is_empty())?)?;
                items.push(item);
                at += length;
            }
            return Some((Reply::Many(kind, items), at));
        }
        other => panic!("a reply does not begin with {:?}", char::from(other)),
    };
    Some((reply, behind_line))
}

impl Reply {
    /// As redis-cli writes it on a terminal.
    pub fn in_cli_notation(&self) -> String {
        match self {
            Self::Status(text) => text.clone(),
            Self::Error(text) => format!("(error) {text}"),
            Self::Integer(text) => format!("(integer) {text}"),
            Self::Double(text) => format!("(double) {text}"),
            Self::Boolean(true) => "(true)".to_owned(),
            Self::Boolean(false) => "(false)".to_owned(),
            Self::Bulk(bytes) => quoted(bytes),
            Self::Verbatim(bytes) => String::from_utf8_lossy(&bytes[4..]).into_owned(),
            Self::Null => "(nil)".to_owned(),
            Self::Many(b'%', items) if items.is_empty() => "(empty hash)".to_owned(),
            Self::Many(b'~', items) if items.is_empty() => "(empty set)".to_owned(),
            Self::Many(_, items) if items.is_empty() => "(empty array)".to_owned(),
            Self::Many(b'%', items) => {
                let pairs = items.chunks(2).map(|pair| {
                    let value = pair[1].in_cli_notation();
                    format!("{} => {value}", pair[0].in_cli_notation())
                });
                numbered('#', items.len() / 2, pairs)
            }
            Self::Many(kind, items) => {
                let mark = if *kind == b'~' { '~' } else { ')' };
                numbered(mark, items.len(), items.iter().map(Self::in_cli_notation))
            }
        }
    }
}

fn numbered(mark: char, count: usize, items: impl Iterator<Item = String>) -> String {
    let width = count.to_string().len();
    let indent = " ".repeat(width + 2);
    let lines = items.enumerate().map(|(number, item)| {
        format!("{:>width$}{mark} {}", number + 1, item.replace('\n', &format!("\n{indent}")))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            7 => text.push_str("\\a"),
            8 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text + "\""
}
