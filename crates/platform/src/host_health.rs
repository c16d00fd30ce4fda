//! Health of the host: disk space, open files, and jumps of the clock.

use std::{
    fmt, fs, io,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use appcore::Timestamp;
use rustix::process::{Resource, getrlimit};

/// Free bytes below which writes may fail.
const FULL_BELOW: u64 = 16 * 1024 * 1024;
/// Free bytes below which the operator should free space.
const SCARCE_BELOW: u64 = 1024 * 1024 * 1024;

/// Free disk space in bytes, with a rating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskSpace {
    Enough(u64),
    Scarce(u64),
    Full(u64),
}

impl DiskSpace {
    /// Space on the disk of this directory that unprivileged users can use.
    pub fn for_folder(folder: &Path) -> io::Result<Self> {
        free_bytes(folder).map(Self::from)
    }
}

/// Free bytes on the disk of this path for unprivileged users.
pub fn free_bytes(place: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(place)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Name of the network file system that holds this path; `None` for a local one.
#[must_use]
pub fn network_file_system(place: &Path) -> Option<&'static str> {
    network_file_system_name(u32::try_from(rustix::fs::statfs(place).ok()?.f_type).ok()?)
}

/// Name of a file system whose locks and shared memory SQLite can't rely on, by its magic number on Linux (statfs(2)).
const fn network_file_system_name(kind: u32) -> Option<&'static str> {
    match kind {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9p"),
        _ => None,
    }
}

impl From<u64> for DiskSpace {
    fn from(bytes: u64) -> Self {
        match bytes {
            ..FULL_BELOW => Self::Full(bytes),
            FULL_BELOW..SCARCE_BELOW => Self::Scarce(bytes),
            SCARCE_BELOW.. => Self::Enough(bytes),
        }
    }
}

/// Number of open files of this process, including connections, and the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    pub open: u64,
    pub limit: u64,
}

impl OpenFiles {
    const FD_DIR: &str = "/proc/self/fd";

    /// Reads the numbers of this process. Returns `None` if the kernel doesn't report the limit or
    /// the open files.
    #[must_use]
    pub fn for_this_process() -> Option<Self> {
        // On Linux 6.2 and newer, the size of the directory is the number of open files. Older
        // kernels report 0, so the directory has to be listed.
        let open = match fs::metadata(Self::FD_DIR).ok()?.len() {
            0 => fs::read_dir(Self::FD_DIR).ok()?.count() as u64,
            open => open,
        };
        Some(Self { open, limit: getrlimit(Resource::Nofile).current? })
    }

    /// True if new connections are refused or soon will be. The remaining files are reserved for
    /// the disk and the database.
    #[must_use]
    pub fn are_exhausted(self) -> bool {
        self.open + (self.limit / 50).clamp(4, 64) >= self.limit
    }

    #[must_use]
    pub fn are_scarce(self) -> bool {
        self.open > self.limit / 5 * 4
    }
}

/// Detects changes of the system clock.
#[derive(Debug, Default)]
pub struct ClockMonitor(Mutex<ClockState>);

#[derive(Debug, Default)]
struct ClockState {
    last: Option<(Instant, Timestamp)>,
    jumped: Option<(Instant, ClockJump)>,
}

/// Change of the system clock in milliseconds; negative if it was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump(pub i64);

impl fmt::Display for ClockJump {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.0 < 0 { "back" } else { "forward" };
        write!(formatter, "{direction} by {} s", self.0.abs() / 1_000)
    }
}

impl ClockMonitor {
    /// Minimum jump, in milliseconds. Slewing of the clock and a busy machine stay below it.
    const MIN_JUMP_MS: i64 = 2_000;

    /// Compares the elapsed time of the system clock with that of a monotonic clock. Returns each
    /// jump once.
    pub fn check(&self, now: Timestamp) -> Option<ClockJump> {
        self.compare(Instant::now(), now)
    }

    fn compare(&self, at: Instant, now: Timestamp) -> Option<ClockJump> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, then) = watched.last.replace((at, now))?;
        let passed = i64::try_from(at.duration_since(before).as_millis()).unwrap_or(i64::MAX);
        let jump = ClockJump(now.0 - then.0 - passed);
        if jump.0.abs() < Self::MIN_JUMP_MS {
            return None;
        }
        watched.jumped = Some((at, jump));
        Some(jump)
    }

    /// The latest jump, if it happened within this time.
    #[must_use]
    pub fn last_jump(&self, within: Duration) -> Option<ClockJump> {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watched.jumped.filter(|(at, _)| at.elapsed() < within).map(|(_, jump)| jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_is_full_below_the_reserve() {
        assert_eq!(DiskSpace::from(1_000_000), DiskSpace::Full(1_000_000));
        assert_eq!(DiskSpace::from(FULL_BELOW), DiskSpace::Scarce(FULL_BELOW));
        assert_eq!(DiskSpace::from(SCARCE_BELOW), DiskSpace::Enough(SCARCE_BELOW));
        assert!(DiskSpace::for_folder(Path::new("/")).is_ok());
        assert!(DiskSpace::for_folder(Path::new("/nowhere-at-all")).is_err());
    }

    #[test]
    fn detects_network_file_systems() {
        assert_eq!(network_file_system_name(0x6969), Some("NFS"));
        assert_eq!(network_file_system_name(0xfe53_4d42), Some("SMB"));
        // ext4 and tmpfs.
        assert_eq!((network_file_system_name(0xef53), network_file_system_name(0x0102_1994)), (None, None));
        assert_eq!(network_file_system(Path::new("/proc")), None);
        assert_eq!(network_file_system(Path::new("/nowhere-at-all")), None);
    }

    #[test]
    fn files_run_out_before_the_limit() {
        let of = |open, most| OpenFiles { open, limit: most };
        assert!(!of(100, 1_024).are_scarce() && of(900, 1_024).are_scarce() && !of(900, 1_024).are_exhausted());
        assert!(of(1_010, 1_024).are_exhausted() && of(60, 64).are_exhausted() && !of(50, 64).are_exhausted());
        assert!(OpenFiles::for_this_process().is_some_and(|files| files.open > 2 && files.open < files.limit));
    }

    #[test]
    fn reports_each_clock_jump_once() {
        let (watch, begun) = (ClockMonitor::default(), Instant::now());
        let look = |seconds: u64, clock: i64| watch.compare(begun + Duration::from_secs(seconds), Timestamp(clock));
        assert_eq!(look(0, 1_000_000), None);
        assert_eq!(look(1, 1_001_200), None);
        assert_eq!(look(2, 4_602_200), Some(ClockJump(3_600_000)));
        assert_eq!(look(3, 4_603_200), None);
        assert_eq!(look(903, 5_503_200), None);
        assert_eq!(look(904, 5_444_200), Some(ClockJump(-60_000)));
        let last = watch.last_jump(Duration::MAX).map(|jump| jump.to_string());
        assert_eq!(last.as_deref(), Some("back by 60 s"));
    }
}
