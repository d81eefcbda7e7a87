//! The `quotad` program.

fn main() {}
