//! Write-ahead journal of usage rows that aren't in the database yet.
//!
//! Rows wait in memory to be written in groups. If the process is killed meanwhile, the next
//! process that starts with the same folder books the rows of the journal. Lines are not synced to
//! disk: they survive the process and cost no wait, but a power failure may lose the latest ones.
//!
//! There are two files: rows are appended to one while those of the other are being written to the
//! database. Once they are all stored, that file is truncated and the two swap roles, so files stay
//! small even if rows never stop arriving.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use appcore::private_folder;
use billing::reservations::OrphanedReservation;
use dbcontext::entity::usage_request;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Subfolder of `server.data_dir`.
const JOURNAL_FOLDER: &str = "usage";
/// Maximum size of a file that is read, in bytes. A file holds about 20,000 rows of at most a
/// kilobyte.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// Extension of a file until it is locked.
const NEW_EXTENSION: &str = "new";

/// Journal files of this instance. `None` if the folder isn't writable; rows are then kept in
/// memory only.
pub(super) struct Journal {
    files: Option<[LockedFile; 2]>,
    current: AtomicUsize,
    has_failed: AtomicBool,
}

/// Journal file whose rows are being written to the database, and the row count at which it can be
/// truncated.
#[derive(Debug, Default)]
pub(super) struct JournalRotation(Option<(FileIndex, u64)>);

/// File locked by this process, so that no other process treats it as left behind.
struct LockedFile {
    path: PathBuf,
    file: File,
}

/// Index of a file.
#[derive(Clone, Copy, Debug)]
struct FileIndex(usize);

/// Journal line: usage row, local model name, paying account, and reserved credits.
#[derive(Serialize)]
struct JournalLine<'a> {
    row: &'a usage_request::Model,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Uuid>,
    #[serde(skip_serializing_if = "<[OrphanedReservation]>::is_empty")]
    held: &'a [OrphanedReservation],
}

#[derive(Debug, Deserialize)]
pub(super) struct JournalEntry {
    pub row: usage_request::Model,
    pub model: String,
    /// Account that pays; `None` means the user's own. Lines of older versions don't have this
    /// field.
    #[serde(default)]
    pub account: Option<Uuid>,
    #[serde(default)]
    pub held: Vec<OrphanedReservation>,
}

/// Rows left behind by processes that have ended.
#[derive(Default)]
pub(super) struct AbandonedRows {
    files: Vec<LockedFile>,
    pub rows: Vec<JournalEntry>,
}

impl Journal {
    pub fn open(data_dir: &Path) -> (Self, AbandonedRows) {
        let folder = data_dir.join(JOURNAL_FOLDER);
        let opened = private_folder::create(&folder).and_then(|()| {
            let left_behind = AbandonedRows::find(&folder)?;
            let id = Uuid::now_v7();
            Ok(([LockedFile::create(&folder, id, 'a')?, LockedFile::create(&folder, id, 'b')?], left_behind))
        });
        let (files, left_behind) = match opened {
            Ok((files, left_behind)) => (Some(files), left_behind),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%error, %folder, "usage journal unavailable, usage is lost if the process is killed");
                (None, AbandonedRows::default())
            }
        };
        (Self { files, current: AtomicUsize::new(0), has_failed: AtomicBool::new(false) }, left_behind)
    }

    /// Appends a row. Calls must be serialised with each other and with [`Self::rotate`].
    pub fn append(&self, row: &usage_request::Model, model: &str, account: Option<Uuid>, held: &[OrphanedReservation]) {
        let Some(files) = &self.files else { return };
        // The line starts with a newline, because the previous one may be incomplete if the disk
        // was full.
        let mut line = vec![b'\n'];
        if serde_json::to_writer(&mut line, &JournalLine { row, model, account, held }).is_err() {
            return;
        }
        line.push(b'\n');
        if let Err(error) = (&files[self.current.load(Ordering::Relaxed)].file).write_all(&line)
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "failed to write usage journal");
        }
    }

    /// Switches to the other file; the rows of this one are about to be written.
    fn rotate(&self) -> FileIndex {
        FileIndex(self.current.fetch_xor(1, Ordering::Relaxed))
    }

    /// Truncates a file whose rows are stored.
    fn truncate(&self, side: FileIndex) {
        let Some(files) = &self.files else { return };
        if let Err(error) = files[side.0].file.set_len(0) {
            // If the file isn't truncated, its rows are found again at the next start, but they
            // aren't booked twice.
            tracing::debug!(%error, "failed to truncate usage journal");
        }
    }
}

impl JournalRotation {
    /// Must be called before rows are written; `taken` is the number of rows received so far. Calls
    /// must be serialised with [`Journal::keep`].
    pub fn start(&mut self, journal: &Journal, taken: u64) {
        if self.0.is_none() {
            self.0 = Some((journal.rotate(), taken));
        }
    }

    /// Must be called after rows were written or given up; `done` is their total number since the
    /// start.
    pub fn finish(&mut self, journal: &Journal, done: u64) {
        if let Some((side, _)) = self.0.take_if(|(_, taken)| done >= *taken) {
            journal.truncate(side);
        }
    }
}

impl LockedFile {
    /// Creates a file, which gets its final name after it is locked, so that no other starting
    /// process takes it for left behind.
    fn create(folder: &Path, id: Uuid, side: char) -> io::Result<Self> {
        let path = folder.join(format!("{id}.{side}"));
        let new = path.with_extension(format!("{side}.{NEW_EXTENSION}"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&new)?;
        file.lock()?;
        fs::rename(new, &path)?;
        Ok(Self { path, file })
    }
}

impl AbandonedRows {
    fn find(folder: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !path.extension().is_some_and(|side| side == "a" || side == "b") {
                continue;
            }
            // Another process may have taken the file over and removed it.
            let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else { continue };
            if file.try_lock().is_err() {
                continue;
            }
            let mut text = Vec::new();
            if (&file).take(MAX_FILE_BYTES).read_to_end(&mut text).is_err() {
                continue;
            }
            // A line that can't be parsed is skipped, because the last one may be incomplete.
            found.rows.extend(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()));
            found.files.push(LockedFile { path, file });
        }
        Ok(found)
    }

    /// Deletes the files after their rows were stored or copied to another journal.
    pub fn remove(self) {
        for LockedFile { path, .. } in self.files {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use appcore::{Timestamp, UserId, credits::MicroCredits};

    use super::*;

    fn row(request_id: &str) -> usage_request::Model {
        usage_request::Model {
            id: Uuid::now_v7(),
            created_at: Timestamp(1_800_000_000_123),
            request_id: request_id.to_owned(),
            key_id: None,
            user_id: UserId::new(),
            workspace_id: None,
            end_user: None,
            tags: None,
            endpoint: "chat".to_owned(),
            requested_model: "a \"small\"\nmodel".to_owned(),
            model_name: Some("small".to_owned()),
            model: "small".to_owned(),
            deployment: "main".to_owned(),
            input_tokens: 7,
            cached_tokens: 0,
            cache_write_tokens: 0,
            output_tokens: 3,
            reasoning_tokens: 0,
            audio_tokens: 0,
            cost: MicroCredits(i64::MAX),
            price_version: "none".to_owned(),
            estimated: true,
            status: 200,
            first_token_ms: None,
            duration_ms: 12,
            attempts: 1,
            details: None,
        }
    }

    fn names(left_behind: &AbandonedRows) -> Vec<&str> {
        let mut names: Vec<&str> = left_behind.rows.iter().map(|kept| kept.row.request_id.as_str()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn next_process_finds_unwritten_rows_once() {
        let folder = tempfile::tempdir().unwrap();
        let (first, left_behind) = Journal::open(folder.path());
        assert!(left_behind.rows.is_empty());
        let written = row("written");
        first.append(&written, "small", None, &[]);
        let side = first.rotate();
        let waiting = row("waiting");
        first.append(&waiting, "small", Some(Uuid::max()), &[]);
        first.truncate(side);
        let side = first.rotate();
        first.append(&row("last"), "small", None, &[]);
        {
            // A second process that runs at the same time finds no rows to book.
            let (_second, left_behind) = Journal::open(folder.path());
            assert!(left_behind.rows.is_empty());
        }
        for file in first.files.as_ref().unwrap() {
            file.file.unlock().unwrap();
            (&file.file).write_all(b"{\"row\":{\"id\":\"cut").unwrap();
        }
        std::mem::forget((first, side));
        let (third, left_behind) = Journal::open(folder.path());
        assert_eq!(names(&left_behind), ["last", "waiting"]);
        let found = left_behind.rows.iter().find(|kept| kept.row.request_id == "waiting").unwrap();
        assert_eq!((&found.row, found.model.as_str(), found.account), (&waiting, "small", Some(Uuid::max())));
        left_behind.remove();
        drop(third);
        let (_last, left_behind) = Journal::open(folder.path());
        assert!(left_behind.rows.is_empty());
        left_behind.remove();
        assert_eq!(fs::read_dir(folder.path().join(JOURNAL_FOLDER)).unwrap().count(), 2);
    }

    #[test]
    fn keeps_rows_in_memory_without_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(JOURNAL_FOLDER), "a file").unwrap();
        let (journal, left_behind) = Journal::open(folder.path());
        journal.append(&row("one"), "small", None, &[]);
        journal.truncate(journal.rotate());
        assert!(left_behind.rows.is_empty());
    }

    /// Returns the rows found by a process that starts after this one was killed.
    fn found_after(folder: &Path, journal: Journal) -> Vec<String> {
        for file in journal.files.as_ref().unwrap() {
            file.file.unlock().unwrap();
        }
        std::mem::forget(journal);
        let (_next, left_behind) = Journal::open(folder);
        let found = names(&left_behind).into_iter().map(str::to_owned).collect();
        left_behind.remove();
        found
    }

    #[test]
    fn incomplete_line_does_not_affect_others() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path());
        journal.append(&row("before"), "small", None, &[]);
        (&journal.files.as_ref().unwrap()[0].file).write_all(b"\n{\"row\":{\"id\":\"the disk was full").unwrap();
        journal.append(&row("after"), "small", None, &[]);
        assert_eq!(found_after(folder.path(), journal), ["after", "before"]);
    }

    #[test]
    fn truncates_files_while_rows_keep_arriving() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path());
        let (mut turns, mut taken, mut done) = (JournalRotation::default(), 0, 0);
        let keep = |taken: &mut u64| {
            journal.append(&row(&taken.to_string()), "small", None, &[]);
            *taken += 1;
        };
        (0..3).for_each(|_| keep(&mut taken));
        for _ in 0..100 {
            // At any time three rows are waiting to be written.
            turns.start(&journal, taken);
            keep(&mut taken);
            done += 1;
            turns.finish(&journal, done);
        }
        let found: Vec<u64> = found_after(folder.path(), journal).iter().map(|name| name.parse().unwrap()).collect();
        assert!((done..taken).all(|waiting| found.contains(&waiting)), "{found:?}");
        assert!(found.len() < 12, "{found:?}");
    }

    #[test]
    fn ignores_files_being_created_and_unrelated_files() {
        let folder = tempfile::tempdir().unwrap();
        let usage = folder.path().join(JOURNAL_FOLDER);
        fs::create_dir_all(&usage).unwrap();
        for name in ["0199.a.new", "README.md"] {
            fs::write(usage.join(name), "").unwrap();
        }
        let (_journal, left_behind) = Journal::open(folder.path());
        left_behind.remove();
        assert!(usage.join("0199.a.new").exists() && usage.join("README.md").exists());
    }
}
