//! CPU time and memory of processes and threads, from Linux's `/proc`.
//!
//! CPU time is the first field of `schedstat`: nanoseconds on a CPU, in user and kernel mode, for each thread. Work
//! that the kernel does in an interrupt while another thread runs is booked on that thread; it is small on loopback,
//! and the same for every peer.

use std::collections::HashMap;
use std::fs;
use std::io;

/// CPU time of each thread of some processes, in nanoseconds, by thread id.
pub(crate) struct Cpu(HashMap<u32, u64>);

impl Cpu {
    /// Reads it.
    pub(crate) fn of(processes: &[u32]) -> Self {
        let threads = processes.iter().flat_map(|process| {
            numbered(&format!("/proc/{process}/task"))
                .into_iter()
                .map(move |thread| (*process, thread))
        });
        Self(
            threads
                .filter_map(|(process, thread)| {
                    Some((
                        thread,
                        on_cpu(&format!("/proc/{process}/task/{thread}/schedstat")).ok()?,
                    ))
                })
                .collect(),
        )
    }

    /// Nanoseconds spent since an earlier reading. A thread that ended in between does not count.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        self.0
            .iter()
            .map(|(thread, ns)| ns - earlier.0.get(thread).copied().unwrap_or(0).min(*ns))
            .sum()
    }
}

/// CPU time of one thread, in nanoseconds, from its `schedstat` file.
///
/// # Errors
///
/// The system does not tell.
pub(crate) fn on_cpu(path: &str) -> io::Result<u64> {
    let line = fs::read_to_string(path)?;
    let first = line
        .split_ascii_whitespace()
        .next()
        .and_then(|field| field.parse().ok());
    first.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{path} does not start with a number: {line:?}"),
        )
    })
}

/// The `schedstat` file of a thread of this process, by its name: of several, that of the youngest.
pub(crate) fn named(name: &str) -> Option<String> {
    let folder = "/proc/self/task";
    let has_name = |thread: &u32| {
        let comm = fs::read_to_string(format!("{folder}/{thread}/comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    };
    let thread = numbered(folder).into_iter().filter(has_name).max()?;
    Some(format!("{folder}/{thread}/schedstat"))
}

/// A process and all that descend from it.
pub(crate) fn family(process: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = numbered("/proc")
        .into_iter()
        .filter_map(|child| Some((child, parent(child)?)))
        .collect();
    let mut family = vec![process];
    let mut next = 0;
    while let Some(&member) = family.get(next) {
        family.extend(
            parents
                .iter()
                .filter(|(_, parent)| *parent == member)
                .map(|(child, _)| child),
        );
        next += 1;
    }
    family
}

/// The CPUs that this process may use, by number; empty where the system does not tell.
pub(crate) fn allowed() -> Vec<u32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = list.unwrap_or_default().trim().split(',');
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<u32>().ok()?..=last.parse().ok()?)
    };
    ranges.filter_map(range).flatten().collect()
}

/// Whether every thread of a process waits for something; false while a tracer holds one of them.
pub(crate) fn is_idle(process: u32) -> bool {
    numbered(&format!("/proc/{process}/task"))
        .into_iter()
        .all(|thread| {
            // `PID (NAME) STATE …`, and a name may hold anything but ends with the last parenthesis.
            let stat = fs::read_to_string(format!("/proc/{process}/task/{thread}/stat"));
            stat.is_ok_and(|stat| {
                stat.rsplit_once(") ")
                    .is_some_and(|(_, state)| state.starts_with('S'))
            })
        })
}

/// Resident memory of some processes together, in bytes; pages they share count once for each.
pub(crate) fn resident_bytes(processes: &[u32]) -> u64 {
    processes
        .iter()
        .filter_map(|process| status(*process, "VmRSS:"))
        .map(|kib| kib * 1024)
        .sum()
}

fn parent(process: u32) -> Option<u32> {
    status(process, "PPid:").and_then(|parent| u32::try_from(parent).ok())
}

/// The number on a line of `/proc/PID/status`.
fn status(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The numbers among a folder's names.
fn numbered(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
