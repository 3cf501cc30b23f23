//! What the operating system says of the process, read when metrics are collected.
//!
//! By `/proc` of Linux (`man 5 proc`). Where there is none, or a file of it cannot be read, the metrics are absent.

use std::fs;

use crate::semconv::own::process::{
    BUILD_INFO, CPU, MAX_FDS, OPEN_FDS, RESIDENT_MEMORY, START_TIME, THREADS, VERSION,
    VIRTUAL_MEMORY,
};
use crate::sink::metrics::Metrics;

/// Length of a tick of the kernel's accounts, in microseconds: `USER_HZ` is 100 on every architecture of Linux.
const TICK_MICROS: u64 = 10_000;

/// Makes the process observable as metrics.
pub(super) fn watch(metrics: &Metrics) {
    let version = [(VERSION, env!("CARGO_PKG_VERSION"))];
    metrics.observe(&BUILD_INFO, &version, || 1);
    for (metric, read) in [
        (&CPU, cpu_micros as fn() -> Option<u64>),
        (&RESIDENT_MEMORY, resident_memory),
        (&VIRTUAL_MEMORY, || status("VmSize:", 1024)),
        (&OPEN_FDS, open_fds),
        (&MAX_FDS, max_fds),
        (&THREADS, threads),
        (&START_TIME, start_time),
    ] {
        if read().is_some() {
            metrics.observe(metric, &[], move || read().unwrap_or_default());
        }
    }
}

/// In bytes.
pub(super) fn resident_memory() -> Option<u64> {
    status("VmRSS:", 1024)
}

pub(super) fn threads() -> Option<u64> {
    status("Threads:", 1)
}

/// A field of `/proc/self/stat` by its number in the manual. The second is a name, in which there may be anything.
fn stat(number: usize) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(number - 3)?.parse().ok()
}

fn cpu_micros() -> Option<u64> {
    let (user, system) = (stat(14)?, stat(15)?);
    Some((user + system) * TICK_MICROS)
}

/// A number of `/proc/self/status`, in units of so many.
fn status(name: &str, unit: u64) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * unit)
}

/// All but the one that the count itself takes.
fn open_fds() -> Option<u64> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    listed.checked_sub(1)
}

/// The soft limit; `None` where there is none.
fn max_fds() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let name = "Max open files";
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn start_time() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let booted = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    let since_boot = stat(22)? * TICK_MICROS / 1_000_000;
    Some(booted.trim().parse::<u64>().ok()? + since_boot)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn everything_can_be_read_and_is_of_this_process() {
        let before = cpu_micros().unwrap();
        // Until the kernel has given it another tick.
        while cpu_micros().unwrap() == before {}
        let (resident, all) = (status("VmRSS:", 1024), status("VmSize:", 1024));
        assert!(resident > Some(1 << 20) && all > resident);
        assert!(status("Threads:", 1) >= Some(2));
        let open = open_fds().unwrap();
        let file = fs::File::open("/proc/self/stat").unwrap();
        assert!((3..max_fds().unwrap_or(u64::MAX)).contains(&open));
        drop(file);
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(start_time().unwrap());
        assert!(began <= SystemTime::now() + Duration::from_secs(2));
        let day = Duration::from_secs(86_400);
        assert!(began > SystemTime::now() - day, "{began:?}");
    }
}
