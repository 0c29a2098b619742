//! What the kernel knows of processes and sockets; on Linux, as it is here.

use std::fs;

use crate::Failure;

/// Raises the limit of open files, as far as that is allowed.
pub(crate) fn allow_files(wanted: u64) -> Result<(), Failure> {
    let (soft, hard) = rlimit::Resource::NOFILE.get()?;
    // Who may raise the hard limit, does.
    if soft >= wanted || rlimit::Resource::NOFILE.set(wanted, hard.max(wanted)).is_ok() {
        return Ok(());
    }
    let reached = rlimit::increase_nofile_limit(wanted)?;
    if reached < wanted {
        return Err(
            format!("{wanted} open files are needed, {reached} are allowed: raise `ulimit -Hn`").into()
        );
    }
    Ok(())
}

/// Bytes of memory that a process holds.
pub(crate) fn resident_bytes(process: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in its status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

/// Microseconds of processor time that a process has used, its own and the kernel's for it.
pub(crate) fn processor_us(process: u32) -> Result<u64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // After the name, which may hold anything; ticks of 10 ms, by convention.
    let (_, rest) = stat.rsplit_once(')').ok_or("no name in its stat")?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks * 10_000)
}

/// Bytes that the kernel holds for objects of its own: sockets, files, and whatever else of all processes.
pub(crate) fn kernel_bytes() -> Result<u64, Failure> {
    let memory = fs::read_to_string("/proc/meminfo")?;
    let line = memory.lines().find_map(|line| line.strip_prefix("Slab:")).ok_or("no Slab in meminfo")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
