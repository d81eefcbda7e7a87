//! The resident memory of a server's process, as the kernel tells it.

use std::error::Error;

/// Bytes of the process's memory that are in RAM.
///
/// # Errors
/// When there is no such process.
pub fn resident_bytes(process: u32) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: u64 = line.ok_or("no VmRSS line")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1_024)
}
