//! Takes on one to four limits of any kind decide as a naive model does and keep the laws of quotas, also where the clock
//! goes back; and no state, however it came to be, is read with a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quotad_fuzz::bytes::Bytes;
use quotad_fuzz::history::{History, check_any_word};

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes::new(input);
    if bytes.byte() % 8 == 7 {
        check_any_word(&mut bytes);
    } else if let Some(mut history) = History::draw(&mut bytes) {
        history.run(&mut bytes);
    }
});
