//! What differs between the versions of the protocol, and between kinds of text.

/// The version of the protocol that a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// What a connection speaks after `HELLO 3`: with maps, sets, booleans, doubles and pushes.
    Resp3,
}

/// What a verbatim string is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerbatimFormat {
    /// `txt`: plain text.
    Text,
    /// `mkd`: Markdown.
    Markdown,
}

impl VerbatimFormat {
    /// The three letters on the wire.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Markdown => "mkd",
        }
    }
}
