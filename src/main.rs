//! The `quotad` program.

use std::process::ExitCode;

/// Threads allocate and free entries of a few sizes all the time, which it is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    quotad::app::run(std::env::args_os(), std::env::vars_os())
}
