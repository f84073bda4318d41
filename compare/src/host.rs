//! The machine, the compiler and the sources that the figures belong to.

use serde::Serialize;

/// See the module. What was known at build time comes from `build.rs`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Host {
    /// Model of the processor.
    pub(crate) cpu: String,
    /// Threads that can run at a time.
    pub(crate) cores: usize,
    /// Runnable threads over the last minute, at the start.
    pub(crate) load: Option<f64>,
    pub(crate) rustc: &'static str,
    /// Of the sources at build time.
    pub(crate) commit: &'static str,
    /// Versions of the peers, as locked.
    pub(crate) peers: &'static str,
    pub(crate) debug_build: bool,
}

impl Host {
    /// Looks around.
    pub(crate) fn look() -> Self {
        Self {
            cpu: cpu_model().unwrap_or_else(|| std::env::consts::ARCH.into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: load(),
            rustc: env!("TENTERHOOK_RUSTC"),
            commit: env!("TENTERHOOK_COMMIT"),
            peers: env!("TENTERHOOK_PEERS"),
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

fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
