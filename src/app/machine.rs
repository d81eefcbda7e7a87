//! What the kernel tells of this process and this machine.

use std::fs;

/// Clock ticks a second in `/proc`: Linux shows 100 to every program, whatever the kernel counts in.
const TICKS_PER_SECOND: u64 = 100;

/// Bytes of memory the process holds, 0 where the kernel does not say.
#[must_use]
pub fn resident_bytes() -> u64 {
    kilobytes("/proc/self/status", "VmRSS:").unwrap_or(0)
}

/// Bytes of memory the machine has, 0 where the kernel does not say.
#[must_use]
pub fn total_memory_bytes() -> u64 {
    kilobytes("/proc/meminfo", "MemTotal:").unwrap_or(0)
}

fn kilobytes(path: &str, name: &str) -> Option<u64> {
    field_kilobytes(&fs::read_to_string(path).ok()?, name)
}

fn field_kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

/// Microseconds of processor time that the process took: in user mode, in the kernel.
#[must_use]
pub fn processor_micros() -> (u64, u64) {
    fs::read_to_string("/proc/self/stat").ok().and_then(|stat| times_of(&stat)).unwrap_or((0, 0))
}

fn times_of(stat: &str) -> Option<(u64, u64)> {
    // The second field is the program's name in parentheses and may hold spaces; `utime` is the 12th behind it.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let mut micros = || Some(fields.next()?.parse::<u64>().ok()? * (1_000_000 / TICKS_PER_SECOND));
    Some((micros()?, micros()?))
}

/// The system's name and version: `Linux 6.1.0 x86_64`.
#[must_use]
pub fn system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {} {}", release.trim(), std::env::consts::ARCH)
}

/// The program's file, empty where it cannot be told.
#[must_use]
pub fn executable() -> String {
    std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let status = "Name:\tquotad\nVmHWM:\t    9999 kB\nVmRSS:\t    1234 kB\n";
        assert_eq!(field_kilobytes(status, "VmRSS:"), Some(1_234 * 1_024));
        assert_eq!(field_kilobytes(status, "VmSwap:"), None);
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 31 0 0 20 0 3 0 1 2 3";
        assert_eq!(times_of(stat), Some((2_500_000, 310_000)));
        assert_eq!(times_of("garbage"), None);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_bytes() > 100_000);
        assert!(total_memory_bytes() > resident_bytes());
    }
}
