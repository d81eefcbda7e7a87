//! What a failure of the store means: whether to try again, and what to tell people.
//!
//! The crate tells statuses only within its texts, so they are read from there; a text that is not understood counts as
//! unavailable. Of the store's own words only code and message are passed on: the rest of an answer may repeat tokens.

use std::error::Error as _;
use std::io;

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

use super::credentials::CredentialsError;

/// What the crate's text of an answer with an error begins with.
const ANSWERED: &str = "Server returned non-2xx status code: ";

/// What the crate says of an answer with a redirect that leads nowhere.
const REDIRECTED: &str = "Received redirect without LOCATION";

/// The most characters of somebody else's text that are passed on.
const MOST_TEXT: usize = 240;

const OTHER_REGION: &str = "the bucket is in another region: set snapshot-region to that one";

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Later it may succeed.
    Unavailable,
    /// Somebody must do something first.
    Denied,
    /// The store cannot do it.
    Unsupported,
    /// There is no such object.
    NotFound,
    /// There is such an object already.
    Exists,
    /// It is larger than it may be.
    TooLarge,
}

/// A failure of one try.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) meaning: Meaning,
    /// Why, without what was tried where.
    pub(super) reason: String,
}

impl Failure {
    pub(super) fn new(meaning: Meaning, reason: impl Into<String>) -> Self {
        Self { meaning, reason: reason.into() }
    }

    /// What the store's error means.
    pub(super) fn of(error: &Error) -> Self {
        let facts = Facts::of(error);
        let failure = match (&facts.answer, &facts.disk, error) {
            (Some(answer), _, _) => of_answer(answer),
            (None, Some(disk), _) => of_disk(*disk, &facts.innermost),
            (None, None, Error::NotFound { .. }) => Self::new(Meaning::NotFound, "there is none"),
            (None, None, Error::AlreadyExists { .. }) => Self::new(Meaning::Exists, "there is one already"),
            (None, None, Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                Self::new(Meaning::Unsupported, facts.innermost.clone())
            }
            _ => Self::new(Meaning::Unavailable, facts.transport()),
        };
        if facts.is_of_credentials { of_credentials(&failure) } else { failure }
    }
}

/// What the links of an error tell.
#[derive(Default)]
struct Facts {
    answer: Option<Answer>,
    disk: Option<io::ErrorKind>,
    http: Option<HttpErrorKind>,
    is_of_credentials: bool,
    innermost: String,
}

/// An answer with an error.
struct Answer {
    status: u16,
    code: String,
    message: String,
}

impl Facts {
    fn of(error: &Error) -> Self {
        let mut facts = Self { innermost: plain(&error.to_string()), ..Self::default() };
        let mut next = error.source();
        while let Some(link) = next {
            let text = link.to_string();
            facts.is_of_credentials |= link.is::<CredentialsError>();
            if let Some(answer) = text.strip_prefix(ANSWERED) {
                facts.answer = Some(Answer::read(answer));
            } else if text.starts_with(REDIRECTED) {
                facts.answer = Some(Answer { status: 301, code: String::new(), message: String::new() });
            }
            if let Some(http) = link.downcast_ref::<HttpError>() {
                facts.http = Some(http.kind());
            }
            // A socket's error is told by the kind of the HTTP error before it.
            if let Some(disk) = link.downcast_ref::<io::Error>().filter(|_| facts.http.is_none()) {
                facts.disk = Some(disk.kind());
            }
            facts.innermost = plain(&text);
            next = link.source();
        }
        facts
    }

    fn transport(&self) -> String {
        let what = match self.http {
            Some(HttpErrorKind::Connect) => "no connection",
            Some(HttpErrorKind::Timeout) => "no answer in time",
            Some(_) => "the connection broke",
            None => return self.innermost.clone(),
        };
        format!("{what}: {}", self.innermost)
    }
}

impl Answer {
    /// Reads `503 Service Unavailable: <body>`.
    fn read(text: &str) -> Self {
        let digits = text.get(..3).unwrap_or_default();
        let code = between(text, "<Code>", "</Code>");
        let is_code =
            !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        Self {
            status: digits.parse().unwrap_or(0),
            code: if is_code { plain(code) } else { String::new() },
            message: if is_code { plain(between(text, "<Message>", "</Message>")) } else { String::new() },
        }
    }

    fn told(&self) -> String {
        let words = [self.code.as_str(), self.message.as_str()];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let words = words.join(": ");
        let separator = if words.is_empty() { "" } else { ", " };
        format!("the store answers {}{separator}{words}", self.status)
    }
}

fn of_answer(answer: &Answer) -> Failure {
    let told = answer.told();
    let remedy = |meaning, remedy: &str| Failure::new(meaning, format!("{told}; {remedy}"));
    match (answer.status, answer.code.as_str()) {
        (_, "NoSuchBucket") => remedy(Meaning::Denied, "make the bucket, or name another with snapshots"),
        (_, "RequestTimeTooSkewed") => remedy(Meaning::Denied, "set the clock of this machine"),
        (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") | (300..=303 | 305..=399, _) => {
            remedy(Meaning::Denied, OTHER_REGION)
        }
        (501, _) | (_, "NotImplemented") => remedy(
            Meaning::Unsupported,
            "it must know conditional writes (If-None-Match: *), without which two servers could overwrite each other's \
             snapshots: use a newer version of it, another store, or a folder (snapshots file:///path)",
        ),
        // Two writers at once, of which one is told to come again.
        (409, _)
        | (
            400,
            "RequestTimeout" | "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch",
        ) => Failure::new(Meaning::Unavailable, told),
        (404, _) => Failure::new(Meaning::NotFound, "there is none"),
        (304 | 412, _) => Failure::new(Meaning::Exists, "there is one already"),
        (401 | 403, _) => remedy(
            Meaning::Denied,
            "check the credentials, and that they may read, write, list and delete there",
        ),
        (408 | 429 | 500.., _) => Failure::new(Meaning::Unavailable, told),
        _ => remedy(Meaning::Denied, "check the settings that begin with snapshot"),
    }
}

fn of_disk(kind: io::ErrorKind, text: &str) -> Failure {
    use io::ErrorKind as Kind;
    match kind {
        Kind::NotFound => Failure::new(Meaning::NotFound, "there is none"),
        Kind::AlreadyExists => Failure::new(Meaning::Exists, "there is one already"),
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem | Kind::NotADirectory | Kind::IsADirectory => {
            Failure::new(Meaning::Denied, format!("{text}; check the folder and who may write in it"))
        }
        Kind::Unsupported => Failure::new(
            Meaning::Unsupported,
            format!("{text}; the file system must know hard links: use another for snapshots"),
        ),
        _ => Failure::new(Meaning::Unavailable, text),
    }
}

fn of_credentials(failure: &Failure) -> Failure {
    let meaning = match failure.meaning {
        Meaning::Unavailable => Meaning::Unavailable,
        _ => Meaning::Denied,
    };
    let reason = match failure.meaning {
        Meaning::NotFound => "what gives them out knows of none",
        _ => &failure.reason,
    };
    Failure::new(
        meaning,
        format!(
            "no credentials could be had: {reason}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile \
             with AWS_PROFILE, or give this machine or container a role"
        ),
    )
}

/// The text between two marks; nothing where they are not.
fn between<'t>(text: &'t str, begin: &str, end: &str) -> &'t str {
    let rest = text.split_once(begin).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(found, _)| found)
}

/// One line of it, not too long.
fn plain(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().filter(|char| !char.is_control()).take(MOST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(text: &str) -> Failure {
        of_answer(&Answer::read(text))
    }

    #[test]
    fn an_answer_is_understood_by_status_and_code() {
        let body = |code: &str| {
            format!("<Error><Code>{code}</Code><Message>M.</Message><Token-0>SECRET</Token-0></Error>")
        };
        for (status, code, meaning, told) in [
            (
                "500 Internal Server Error",
                "InternalError",
                Meaning::Unavailable,
                "answers 500, InternalError: M.",
            ),
            ("503 Service Unavailable", "SlowDown", Meaning::Unavailable, "503, SlowDown"),
            ("429 Too Many Requests", "", Meaning::Unavailable, "answers 429"),
            ("409 Conflict", "ConditionalRequestConflict", Meaning::Unavailable, "409"),
            ("400 Bad Request", "RequestTimeout", Meaning::Unavailable, "400"),
            ("400 Bad Request", "ExpiredToken", Meaning::Denied, "ExpiredToken"),
            ("400 Bad Request", "AuthorizationHeaderMalformed", Meaning::Denied, "snapshot-region"),
            ("301 Moved Permanently", "PermanentRedirect", Meaning::Denied, "snapshot-region"),
            ("307 Temporary Redirect", "", Meaning::Denied, "snapshot-region"),
            ("403 Forbidden", "SignatureDoesNotMatch", Meaning::Denied, "check the credentials"),
            ("403 Forbidden", "RequestTimeTooSkewed", Meaning::Denied, "set the clock"),
            ("404 Not Found", "NoSuchBucket", Meaning::Denied, "make the bucket"),
            ("404 Not Found", "NoSuchKey", Meaning::NotFound, "there is none"),
            ("412 Precondition Failed", "PreconditionFailed", Meaning::Exists, "there is one already"),
            ("501 Not Implemented", "NotImplemented", Meaning::Unsupported, "If-None-Match"),
        ] {
            let failure = answered(&format!("{status}: {}", body(code)));
            assert_eq!(failure.meaning, meaning, "{status} {code}");
            assert!(failure.reason.contains(told), "{}", failure.reason);
            assert!(!failure.reason.contains("SECRET"), "{}", failure.reason);
        }
        assert_eq!(answered("502 Bad Gateway: <html>SECRET</html>").reason, "the store answers 502");
        assert_eq!(answered("").meaning, Meaning::Denied);
    }

    #[test]
    fn credentials_that_fail_are_told_as_such() {
        let failure = of_credentials(&answered("404 Not Found: "));
        assert_eq!(failure.meaning, Meaning::Denied);
        assert!(
            failure
                .reason
                .starts_with("no credentials could be had: what gives them out knows of none; set AWS_")
        );
        let failure = of_credentials(&Failure::new(Meaning::Unavailable, "no connection: timed out"));
        assert_eq!(failure.meaning, Meaning::Unavailable);
    }
}
