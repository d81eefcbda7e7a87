//! However an input is split, the same requests and errors are read from it, in memory that its bytes bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quotad_fuzz::requests::{SMALL_LIMITS, read};
use quotad_fuzz::resp::RequestLimits;

/// Places to split `input`, which depend on nothing but it: a found crash happens again.
fn splits(input: &[u8]) -> Vec<usize> {
    let mut state = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut splits: Vec<usize> = (0..input.len() / 8 + 1)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            usize::try_from(state >> 33).unwrap_or_default() % (input.len() + 1)
        })
        .collect();
    splits.sort_unstable();
    splits
}

fuzz_target!(|input: &[u8]| {
    for limits in [RequestLimits::AUTHENTICATED_DEFAULT, RequestLimits::UNAUTHENTICATED, SMALL_LIMITS] {
        let whole = read(input, &limits, std::iter::empty());
        assert_eq!(read(input, &limits, 0..input.len()), whole, "byte by byte");
        assert_eq!(read(input, &limits, splits(input).into_iter()), whole, "in pieces");
    }
});
