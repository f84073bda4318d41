//! The machine, the compiler and the sources that the figures belong to.

use serde::{Deserialize, Serialize};

/// See the module. What was known at build time comes from `build.rs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Host {
    /// Model of the processor.
    pub(crate) cpu: String,
    /// Threads that can run at a time.
    pub(crate) cores: usize,
    /// Runnable threads over the last minute, at the start.
    pub(crate) load: Option<f64>,
    pub(crate) rustc: String,
    /// Of the sources at build time.
    pub(crate) commit: String,
    /// Versions of the peers, as locked.
    pub(crate) peers: String,
    pub(crate) debug_build: bool,
}

impl Host {
    /// Looks around.
    pub(crate) fn look() -> Self {
        Self {
            cpu: cpu_model().unwrap_or_else(|| std::env::consts::ARCH.into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: load(),
            rustc: env!("TENTERHOOK_RUSTC").into(),
            commit: env!("TENTERHOOK_COMMIT").into(),
            peers: env!("TENTERHOOK_PEERS").into(),
            debug_build: cfg!(debug_assertions) || env!("TENTERHOOK_OPT_LEVEL") != "3",
        }
    }

    /// Whether the commit does not say what was measured.
    pub(crate) fn sources_are_uncertain(&self) -> bool {
        self.commit == "unknown" || self.commit.contains(' ')
    }
}

fn cpu_model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Bytes of memory that a new program may use without pushing others out.
pub(crate) fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
