//! However an input is split, the same requests and errors are read from it, in memory that its bytes bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quotad_fuzz::requests::{SMALL_LIMITS, read, splits};
use quotad_fuzz::resp::RequestLimits;

fuzz_target!(|input: &[u8]| {
    for limits in [RequestLimits::AUTHENTICATED_DEFAULT, RequestLimits::UNAUTHENTICATED, SMALL_LIMITS] {
        let whole = read(input, &limits, std::iter::empty());
        assert_eq!(read(input, &limits, 0..input.len()), whole, "byte by byte");
        assert_eq!(read(input, &limits, splits(input, 0).into_iter()), whole, "in pieces");
    }
});
