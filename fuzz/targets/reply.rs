//! Any tree of replies is read by the reference as that tree, in both versions of the protocol.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quotad_fuzz::bytes::Bytes;
use quotad_fuzz::reference;

fuzz_target!(|input: &[u8]| {
    let reply = Bytes::new(input).reply();
    reference::check(&reply);
});
