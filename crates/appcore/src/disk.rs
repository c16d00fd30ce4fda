//! Syncing of large files to the disk in ranges.

use std::{fs::File, io, os::fd::AsRawFd as _};

/// Waits until the kernel has written a byte range of a file to the disk, but not the file's
/// metadata. Without it, the next database commit would have to wait until the whole file is
/// written. Returns false if the file system can't sync a range. A failed write is an error.
pub fn sync_range(file: &File, start: u64, length: u64) -> io::Result<bool> {
    const FLAGS: u32 =
        libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let (Ok(start), Ok(length)) = (start.try_into(), length.try_into()) else { return Ok(false) };
    // SAFETY: the file is open, and no memory is passed.
    #[expect(unsafe_code, reason = "a system call that the standard library doesn't have")]
    let outcome = unsafe { libc::sync_file_range(file.as_raw_fd(), start, length, FLAGS) };
    if outcome == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EIO | libc::ENOSPC | libc::EDQUOT) => Err(error),
        _ => Ok(false),
    }
}
