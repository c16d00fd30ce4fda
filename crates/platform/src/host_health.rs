//! What an operator should know of this machine: room on a disk, open files, and whether the clock jumps.

use std::{
    fmt, fs, io,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use appcore::Timestamp;
use rustix::process::{Resource, getrlimit};

/// With less nothing is certain to be written.
const FULL: u64 = 16 * 1024 * 1024;
/// With less it is time to make room.
const SCARCE: u64 = 1024 * 1024 * 1024;

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Enough(u64),
    Scarce(u64),
    Full(u64),
}

impl Room {
    /// Of the disk on which this folder lies, for those who aren't root.
    pub fn of(folder: &Path) -> io::Result<Self> {
        free(folder).map(Self::from)
    }
}

/// Bytes of the disk on which this lies that those may take who aren't root.
pub fn free(place: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(place)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

impl From<u64> for Room {
    fn from(bytes: u64) -> Self {
        match bytes {
            ..FULL => Self::Full(bytes),
            FULL..SCARCE => Self::Scarce(bytes),
            SCARCE.. => Self::Enough(bytes),
        }
    }
}

/// Files of this process, connections among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    pub open: u64,
    pub most: u64,
}

impl Files {
    const FOLDER: &str = "/proc/self/fd";

    /// None where the kernel does not tell.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        // Linux 6.2 and newer tell without a list, which may be long.
        let open = match fs::metadata(Self::FOLDER).ok()?.len() {
            0 => fs::read_dir(Self::FOLDER).ok()?.count() as u64,
            open => open,
        };
        Some(Self { open, most: getrlimit(Resource::Nofile).current? })
    }

    /// New connections are refused, or will be at any moment: what is left is for files and the database.
    #[must_use]
    pub fn run_out(self) -> bool {
        self.open + (self.most / 50).clamp(4, 64) >= self.most
    }

    #[must_use]
    pub fn are_scarce(self) -> bool {
        self.open > self.most / 5 * 4
    }
}

/// Notices when the clock of this machine is set.
#[derive(Debug, Default)]
pub struct ClockWatch(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    last: Option<(Instant, Timestamp)>,
    jumped: Option<(Instant, Jump)>,
}

/// By how many milliseconds, forwards or backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump(pub i64);

impl fmt::Display for Jump {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.0 < 0 { "back" } else { "forward" };
        write!(formatter, "{direction} by {} s", self.0.abs() / 1_000)
    }
}

impl ClockWatch {
    /// What a clock that is set slowly, or a machine that is busy, never differs by.
    const LEAST: i64 = 2_000;

    /// Compares what has passed by this clock with what has passed by one that nobody can set. Answers a jump once.
    pub fn look(&self, now: Timestamp) -> Option<Jump> {
        self.compare(Instant::now(), now)
    }

    fn compare(&self, at: Instant, now: Timestamp) -> Option<Jump> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, then) = watched.last.replace((at, now))?;
        let passed = i64::try_from(at.duration_since(before).as_millis()).unwrap_or(i64::MAX);
        let jump = Jump(now.0 - then.0 - passed);
        if jump.0.abs() < Self::LEAST {
            return None;
        }
        watched.jumped = Some((at, jump));
        Some(jump)
    }

    /// The last jump, unless it was longer ago than this.
    #[must_use]
    pub fn last_jump(&self, within: Duration) -> Option<Jump> {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watched.jumped.filter(|(at, _)| at.elapsed() < within).map(|(_, jump)| jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_before_its_last_byte() {
        assert_eq!(Room::from(1_000_000), Room::Full(1_000_000));
        assert_eq!(Room::from(FULL), Room::Scarce(FULL));
        assert_eq!(Room::from(SCARCE), Room::Enough(SCARCE));
        assert!(Room::of(Path::new("/")).is_ok());
        assert!(Room::of(Path::new("/nowhere-at-all")).is_err());
    }
    #[test]
    fn files_run_out_before_the_last_one() {
        let of = |open, most| Files { open, most };
        assert!(!of(100, 1_024).are_scarce() && of(900, 1_024).are_scarce() && !of(900, 1_024).run_out());
        assert!(of(1_010, 1_024).run_out() && of(60, 64).run_out() && !of(50, 64).run_out());
        assert!(Files::of_this_process().is_some_and(|files| files.open > 2 && files.open < files.most));
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_once() {
        let (watch, begun) = (ClockWatch::default(), Instant::now());
        let look = |seconds: u64, clock: i64| watch.compare(begun + Duration::from_secs(seconds), Timestamp(clock));
        assert_eq!(look(0, 1_000_000), None);
        assert_eq!(look(1, 1_001_200), None);
        assert_eq!(look(2, 4_602_200), Some(Jump(3_600_000)));
        assert_eq!(look(3, 4_603_200), None);
        assert_eq!(look(903, 5_503_200), None);
        assert_eq!(look(904, 5_444_200), Some(Jump(-60_000)));
        let last = watch.last_jump(Duration::MAX).map(|jump| jump.to_string());
        assert_eq!(last.as_deref(), Some("back by 60 s"));
    }
}
