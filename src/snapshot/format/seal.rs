//! The seal of a part: AES-256-GCM with a key of the part's own.
//!
//! Blocks are numbered, and the trailer has the number behind the last one: that is the nonce, so none is used twice. What is sealed
//! goes with the header, the number, what it is, and the fields before it: nothing can be put elsewhere.

use ring::{aead, digest};

use super::error::{FormatError, Place, Problem};
use super::header::{HEADER_BYTES, Sealing};
use super::key::SealingKey;

/// The bytes that a seal adds.
pub(super) const TAG_BYTES: usize = 16;

/// Seals and opens what is in one part.
pub(super) struct Seal {
    key: aead::LessSafeKey,
    header: digest::Digest,
}

impl Seal {
    pub(super) fn new(key: &SealingKey, sealing: &Sealing, header: &[u8; HEADER_BYTES]) -> Self {
        Self { key: key.part_key(&sealing.salt), header: digest::digest(&digest::SHA256, header) }
    }

    /// What goes with a frame: its number is in the nonce too.
    fn context(&self, number: u32, is_trailer: bool, fields: &[u8]) -> (aead::Nonce, aead::Aad<Vec<u8>>) {
        let mut nonce = [0; aead::NONCE_LEN];
        nonce[aead::NONCE_LEN - 4..].copy_from_slice(&number.to_be_bytes());
        let mut bytes = self.header.as_ref().to_vec();
        bytes.extend(number.to_be_bytes());
        bytes.push(u8::from(is_trailer));
        bytes.extend(fields);
        (aead::Nonce::assume_unique_for_key(nonce), aead::Aad::from(bytes))
    }

    /// Seals `bytes` in place; answers the tag.
    pub(super) fn close(
        &self,
        number: u32,
        is_trailer: bool,
        fields: &[u8],
        bytes: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        let (nonce, context) = self.context(number, is_trailer, fields);
        let tag = self.key.seal_in_place_separate_tag(nonce, context, bytes);
        // The cipher takes 64 GiB, a frame has less than 4.
        let tag = tag.expect("a frame is short enough to be sealed");
        tag.as_ref().try_into().expect("a tag has its bytes")
    }

    /// Opens `bytes`, the tag at their end, in place; answers what was sealed.
    pub(super) fn open<'a>(
        &self,
        place: Place,
        number: u32,
        fields: &[u8],
        bytes: &'a mut [u8],
    ) -> Result<&'a [u8], FormatError> {
        let (nonce, context) = self.context(number, place == Place::Trailer, fields);
        let opened = self.key.open_in_place(nonce, context, bytes);
        opened.map(|bytes| &*bytes).map_err(|_| FormatError::new(place, Problem::Seal))
    }
}
