//! Any bytes make a connection that never panics, answers every request once with a whole reply, and answers the same
//! however the bytes are split and whether keys must be fetched first.
//!
//! The first byte of an input is what holds for the connection (RESP3, a password, ..), the second how the rest is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quotad::dispatch::testing::Engine;
use quotad_fuzz::connection::{Conditions, Connection};
use quotad_fuzz::requests::splits;

fuzz_target!(|input: &[u8]| {
    let [conditions, seed, bytes @ ..] = input else { return };
    let conditions = Conditions::new(*conditions);
    let whole = Connection::new(conditions, Engine::new()).run(bytes, std::iter::empty());
    let pieces = if *seed == 0 { (0..bytes.len()).collect() } else { splits(bytes, u64::from(*seed)) };
    let in_pieces = Connection::new(conditions, Engine::new()).run(bytes, pieces.into_iter());
    assert_eq!(in_pieces, whole, "in pieces");
    let fetched = Connection::new(conditions, Engine::in_front_of_truth()).run(bytes, std::iter::empty());
    assert_eq!(fetched.replies, whole.replies, "with keys that are fetched");
});
