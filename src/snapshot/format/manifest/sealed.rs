//! The seal of a manifest: with a key a code that nobody else can reckon, and a digest of all before.
//!
//! In every version a manifest is a body, which is JSON without its last brace, then the line of the seal where there is a key, the line
//! of the digest, and the brace. So one of a later version is told from one that is damaged.

use ring::{digest, hmac};

use super::super::error::{FormatError, Place, Problem};
use super::super::key::SealingKey;
use super::super::text::{hex, parse_hex};

/// What follows the body, with a key.
const SEAL: &str = ",\n  \"hmac_sha256\": \"";

/// What the digest begins with.
const DIGEST: &str = ",\n  \"sha256\": \"";

/// What ends a manifest.
const END: &str = "\"\n}\n";

/// A manifest whose digest is right.
pub(super) struct Opened {
    /// JSON without its last brace.
    pub(super) body: String,
    /// The code.
    pub(super) seal: Option<[u8; 32]>,
}

/// Puts seal and digest behind a body.
pub(super) fn seal(body: &str, key: Option<&SealingKey>) -> Vec<u8> {
    let seal = key.map(|key| hex(hmac::sign(&key.manifest_key(), body.as_bytes()).as_ref()));
    let seal = seal.map_or_else(String::new, |seal| format!("{SEAL}{seal}\""));
    let digest = digest(&[body, &seal]);
    format!("{body}{seal}{DIGEST}{digest}{END}").into_bytes()
}

fn digest(parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part.as_bytes()));
    hex(context.finish().as_ref())
}

/// Parts a manifest, and checks its digest.
pub(super) fn open(bytes: &[u8]) -> Result<Opened, FormatError> {
    let wrong = |problem| FormatError::new(Place::Manifest, problem);
    let text = str::from_utf8(bytes).map_err(|_| wrong(Problem::Foreign))?;
    if !text.starts_with('{') {
        return Err(wrong(Problem::Foreign));
    }
    // A text in the body holds no such line: JSON has other signs for its quotes.
    let at = text.rfind(DIGEST).ok_or(wrong(Problem::Ends))?;
    let (sealed, rest) = text.split_at(at);
    let sum = rest[DIGEST.len()..].strip_suffix(END).ok_or(wrong(Problem::Ends))?;
    if sum != digest(&[sealed]) {
        return Err(wrong(Problem::Checksum));
    }
    let Some(at) = sealed.rfind(SEAL) else {
        return Ok(Opened { body: sealed.to_owned(), seal: None });
    };
    let (body, rest) = sealed.split_at(at);
    let code = rest[SEAL.len()..].strip_suffix('"').unwrap_or_default();
    let seal = parse_hex(code).filter(|seal| hex(seal) == code).ok_or(wrong(Problem::Seal))?;
    Ok(Opened { body: body.to_owned(), seal: Some(seal) })
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
