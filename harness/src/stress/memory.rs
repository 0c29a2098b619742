//! What the process holds, cycle after cycle of the same work: it may swing, it must not climb.

use std::fmt;
use std::fs;

/// Cycles that make the allocator's and the kernel's keeping whole, and are not compared.
const WARM_UP: usize = 2;
/// Cycles that the first of the comparison are, and the last.
const WINDOW: usize = 3;
/// What a cycle may hold more than another one for no reason of ours.
const SWING_PERCENT: u64 = 25;
const SWING_BYTES: u64 = 64 << 20;

/// Resident memory after each cycle.
#[derive(Debug, Default)]
pub(super) struct Watch(Vec<u64>);

impl Watch {
    /// Called after each cycle.
    pub(super) fn look(&mut self) -> Result<(), String> {
        self.0.extend(resident_bytes());
        judge(&self.0)
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.first(), self.0.last()) {
            (Some(first), Some(last)) => {
                write!(f, "{} MiB resident, {} after the first cycle", last >> 20, first >> 20)
            }
            _ => f.write_str("no cycle of workloads is complete"),
        }
    }
}

/// A climb: the least of the last cycles is well above the most of the first.
fn judge(resident: &[u64]) -> Result<(), String> {
    let Some(compared) = resident.get(WARM_UP..).filter(|cycles| cycles.len() >= 2 * WINDOW) else {
        return Ok(());
    };
    let most_before = compared[..WINDOW].iter().max().copied().unwrap_or(0);
    let least_now = compared[compared.len() - WINDOW..].iter().min().copied().unwrap_or(0);
    if least_now <= most_before + most_before * SWING_PERCENT / 100 + SWING_BYTES {
        return Ok(());
    }
    Err(format!(
        "memory grows: {} MiB after {} cycles of the same work, {} MiB after {}",
        least_now >> 20,
        resident.len(),
        most_before >> 20,
        WARM_UP + WINDOW,
    ))
}

/// As Linux tells it; nothing elsewhere.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(megabytes: impl IntoIterator<Item = u64>) -> Result<(), String> {
        judge(&megabytes.into_iter().map(|megabytes| megabytes << 20).collect::<Vec<_>>())
    }

    #[test]
    fn memory_may_swing_and_must_not_climb() {
        assert!(after([100; 20]).is_ok());
        assert!(after((0..20).map(|cycle| if cycle % 2 == 0 { 900 } else { 300 })).is_ok());
        assert!(after([50, 80, 900, 300, 310, 305, 320, 300]).is_ok());
        let told = after((0..40).map(|cycle| 300 + 20 * cycle)).unwrap_err();
        assert!(told.starts_with("memory grows: 1040 MiB after 40 cycles"), "{told}");
    }

    #[test]
    fn what_the_process_holds_is_known_on_linux() {
        assert_eq!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20), cfg!(target_os = "linux"));
    }
}
