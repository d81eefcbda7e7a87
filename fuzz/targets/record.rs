//! Bytes are no value and no batch, or are written again as the same bytes: the durable forms have one reading, whatever a
//! disk or a database gives back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quotad::persist::{Batch, decode, encode};

fuzz_target!(|input: &[u8]| {
    if let Ok(content) = decode(input) {
        let mut bytes = Vec::new();
        encode(&content, &mut bytes);
        assert_eq!(bytes, input);
    }
    if let Ok(batch) = Batch::decode(input) {
        let mut bytes = Vec::new();
        batch.encode(&mut bytes);
        assert_eq!(bytes, input);
    }
});
