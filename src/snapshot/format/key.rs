//! Keys that seal snapshots, and the ids by which a snapshot names its key.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use ring::{digest, hkdf, hmac};

use super::error::{FormatError, Place, Problem};
use super::text::{hex, parse_hex};

/// The bytes of a key.
const KEY_BYTES: usize = 32;

/// Sets apart what is derived from one key; each is fixed for good.
mod label {
    pub(super) const ID: &[u8] = b"quotad snapshot key id";
    pub(super) const PART: &[u8] = b"quotad snapshot part";
    pub(super) const MANIFEST: &[u8] = b"quotad snapshot manifest";
}

/// Names a key and tells nothing of it: the first bytes of a digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for KeyId {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let bytes = parse_hex(text).filter(|bytes| hex(bytes) == text);
        bytes.map(Self).ok_or_else(|| {
            FormatError::refused(Place::Field("key_id"), "a key's id is 16 lower-case hexadecimal digits")
        })
    }
}

/// A key that seals parts and manifests.
#[derive(Clone)]
pub struct SealingKey {
    id: KeyId,
    bytes: [u8; KEY_BYTES],
}

impl SealingKey {
    /// Reads what the file of a key holds: 32 bytes as 64 hexadecimal digits or as base64, with space around it.
    ///
    /// # Errors
    /// [`FormatError`] for any other text; it shows nothing of it.
    pub fn from_file_text(text: &str) -> Result<Self, FormatError> {
        let text = text.trim_ascii();
        let base64 = || base64::engine::general_purpose::STANDARD.decode(text).ok()?.try_into().ok();
        let bytes: Option<[u8; KEY_BYTES]> = parse_hex(text).or_else(base64);
        let reason = "a key is 32 bytes, as 64 hexadecimal digits or as 44 characters of base64";
        Ok(Self::from_bytes(bytes.ok_or_else(|| FormatError::refused(Place::KeyFile, reason))?))
    }

    /// The key of these bytes, which are random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(label::ID);
        context.update(&bytes);
        let digest = context.finish();
        let (id, _) = digest.as_ref().split_first_chunk().expect("a digest has 32 bytes");
        Self { id: KeyId(*id), bytes }
    }

    /// Names the key.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key of one part.
    pub(super) fn part_key(&self, salt: &[u8]) -> ring::aead::LessSafeKey {
        let key = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&self.bytes);
        let info = [label::PART];
        let key = key.expand(&info, &ring::aead::AES_256_GCM).expect("a key is short enough to be derived");
        ring::aead::LessSafeKey::new(key.into())
    }

    /// The key that manifests are sealed with.
    pub(super) fn manifest_key(&self) -> hmac::Key {
        let key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&self.bytes);
        key.expand(&[label::MANIFEST], hmac::HMAC_SHA256).expect("a key is short enough to be derived").into()
    }
}

/// Shows the id alone.
impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealingKey({})", self.id)
    }
}

/// The keys that are there: the first one seals, all of them open. None: nothing is sealed.
#[derive(Clone, Debug, Default)]
pub struct SealingKeys {
    keys: Vec<SealingKey>,
}

impl SealingKeys {
    /// These keys, the one that seals first.
    #[must_use]
    pub const fn new(keys: Vec<SealingKey>) -> Self {
        Self { keys }
    }

    /// The key that seals.
    #[must_use]
    pub fn sealing(&self) -> Option<&SealingKey> {
        self.keys.first()
    }

    /// The key of this id.
    #[must_use]
    pub fn find(&self, id: KeyId) -> Option<&SealingKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The key of this id, which something is sealed with.
    pub(in crate::snapshot) fn opening(&self, id: KeyId, place: Place) -> Result<&SealingKey, FormatError> {
        self.find(id).ok_or(FormatError::new(place, Problem::NoKey(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_both_forms_and_shows_nothing() {
        let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let keys = [digits, base64].map(|text| SealingKey::from_file_text(&format!(" {text}\n")).unwrap());
        assert_eq!(keys[0].bytes, keys[1].bytes);
        // SHA-256 of the label and the key, reckoned by another program.
        assert_eq!(keys[0].id().to_string(), ID);
        assert_eq!(ID.parse(), Ok(keys[0].id()));
        let shown = format!("{:?}", SealingKeys::new(keys.to_vec()));
        assert_eq!(shown, format!("SealingKeys {{ keys: [SealingKey({ID}), SealingKey({ID})] }}"));
    }

    const ID: &str = "cc0d39d06254c153";

    #[test]
    fn other_texts_are_no_keys_and_are_not_shown() {
        for text in ["", "secret", "0001", &"0".repeat(63), &"g".repeat(64), &"A".repeat(44), "AAEC AwQ="] {
            let error = SealingKey::from_file_text(text).unwrap_err().to_string();
            let expected =
                "key file: a key is 32 bytes, as 64 hexadecimal digits or as 44 characters of base64";
            assert_eq!(error, expected);
        }
    }
}
