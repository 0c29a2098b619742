//! What a measurement was made on. Whatever the system does not tell is "unknown", never a failure.

use std::fs;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::allocation;

/// A machine, a program, and a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// The processor's own name.
    pub cpu: String,
    /// Threads that the machine runs at once.
    pub cores: usize,
    /// Memory of the machine, in bytes; 0 if unknown.
    pub memory_bytes: u64,
    /// Processor architecture and operating system.
    pub platform: String,
    /// The kernel's release.
    pub kernel: String,
    /// The compiler that built the harness and the engine.
    pub compiler: String,
    /// The commit that it was built from, with `-dirty` if files were changed.
    pub commit: String,
    /// The profile and the flags of the build.
    pub flags: String,
    /// The allocator that all contestants share.
    #[serde(default)]
    pub allocator: String,
    /// Version of the harness.
    pub version: String,
    /// When the measurement began, in seconds since 1970-01-01 UTC.
    pub started_unix_seconds: u64,
}

impl Machine {
    /// The one that this runs on, now.
    pub fn this() -> Self {
        Machine {
            cpu: after_colon("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes().unwrap_or(0),
            platform: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |release| release.trim().to_owned()),
            compiler: env!("HOLOCAST_COMPILER").to_owned(),
            commit: env!("HOLOCAST_COMMIT").to_owned(),
            flags: env!("HOLOCAST_FLAGS").to_owned(),
            allocator: allocation::NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_unix_seconds: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn memory_bytes() -> Option<u64> {
    let total = after_colon("/proc/meminfo", "MemTotal")?;
    let kibibytes: u64 = total.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}

/// The value of the first line `name : value` of a file.
fn after_colon(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
}
