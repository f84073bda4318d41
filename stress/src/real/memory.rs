//! How much memory this process has.

use std::io;

/// In KiB.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

impl Memory {
    /// As the kernel tells it.
    ///
    /// # Errors
    ///
    /// When the kernel does not.
    pub fn now() -> io::Result<Memory> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
        };
        Ok(Memory { resident: field("VmRSS:"), peak: field("VmHWM:") })
    }
}
