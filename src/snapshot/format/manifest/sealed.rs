//! The seal of a manifest: a digest of its body, and with a key a code that nobody else can reckon.
//!
//! In every version a manifest is a body, which is JSON without its last brace, then the line of the digest, the line of the
//! seal where there is a key, and the brace. So one of a later version is told from one that is damaged.

use ring::{digest, hmac};

use super::super::error::{FormatError, Place, Problem};
use super::super::key::SealingKey;
use super::super::text::{hex, parse_hex};

/// What follows the body.
const DIGEST: &str = ",\n  \"sha256\": \"";

/// What follows the digest, with a key.
const SEAL: &str = "\",\n  \"hmac_sha256\": \"";

/// What ends a manifest.
const END: &str = "\"\n}\n";

/// A manifest whose digest is right.
pub(super) struct Opened {
    /// JSON without its last brace.
    pub(super) body: String,
    /// The code.
    pub(super) seal: Option<[u8; 32]>,
}

/// Puts digest and seal behind a body.
pub(super) fn seal(body: &str, key: Option<&SealingKey>) -> Vec<u8> {
    let digest = hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
    let seal = key.map(|key| hex(hmac::sign(&key.manifest_key(), body.as_bytes()).as_ref()));
    let seal = seal.map_or_else(String::new, |seal| format!("{SEAL}{seal}"));
    format!("{body}{DIGEST}{digest}{seal}{END}").into_bytes()
}

/// Parts a manifest, and checks its digest.
pub(super) fn open(bytes: &[u8]) -> Result<Opened, FormatError> {
    let wrong = |problem| FormatError::new(Place::Manifest, problem);
    let text = str::from_utf8(bytes).map_err(|_| wrong(Problem::Foreign))?;
    if !text.starts_with('{') {
        return Err(wrong(Problem::Foreign));
    }
    // Only the last one: a text in the body may hold whatever it wants.
    let at = text.rfind(DIGEST).ok_or(wrong(Problem::Ends))?;
    let (body, rest) = text.split_at(at);
    let rest = rest[DIGEST.len()..].strip_suffix(END).ok_or(wrong(Problem::Ends))?;
    let (sum, seal) = rest.split_once(SEAL).map_or((rest, None), |(sum, seal)| (sum, Some(seal)));
    if sum != hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref()) {
        return Err(wrong(Problem::Checksum));
    }
    let seal = match seal {
        Some(text) => Some(parse_hex(text).filter(|seal| hex(seal) == text).ok_or(wrong(Problem::Seal))?),
        None => None,
    };
    Ok(Opened { body: body.to_owned(), seal })
}

/// Checks the seal of a body.
pub(super) fn verify(body: &str, seal: &[u8; 32], key: &SealingKey) -> Result<(), FormatError> {
    hmac::verify(&key.manifest_key(), body.as_bytes(), seal)
        .map_err(|_| FormatError::new(Place::Manifest, Problem::Seal))
}

/// A manifest with the right digest for whatever body, so that a fuzzer reaches what is behind it.
#[cfg(any(test, fuzzing))]
#[must_use]
pub fn seal_text(body: &str) -> Vec<u8> {
    seal(body, None)
}
