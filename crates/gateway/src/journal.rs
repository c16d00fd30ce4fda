//! What finished requests used, in a file until it stands in the database.
//!
//! Rows wait in memory for others of their group. A program that is killed meanwhile has left them here, and the next one that starts in the same
//! folder books them. They are not forced to the disk: a row goes to the kernel, which outlives the program, and costs no wait; a machine that loses its power may
//! lose what came last.
//!
//! There are two files: rows come into one of them, while those of the other are being written to the database. Once they are all there it is emptied,
//! and the two change places, also where rows never stop coming.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use billing::holds::Left;
use dbcontext::entity::usage_request;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// In `server.data_dir`.
const FOLDER: &str = "usage";
/// A file has little more than what waits at most, 20,000 rows of a kilobyte or less.
const MOST: u64 = 256 * 1024 * 1024;
/// What a file is called until it is locked.
const NEW: &str = "new";

/// The files of this instance. Without any, where the folder can't be written, rows are kept in memory only.
pub(super) struct Journal {
    files: Option<[Locked; 2]>,
    current: AtomicUsize,
    has_failed: AtomicBool,
}

/// Which file is being emptied, as whoever writes rows to the database knows it.
#[derive(Debug, Default)]
pub(super) struct Turns(Option<(Side, u64)>);

/// A file that no other process takes for one that was left behind.
struct Locked {
    path: PathBuf,
    file: File,
}

/// One of the files.
#[derive(Clone, Copy, Debug)]
struct Side(usize);

/// A row with the name that its model has here, the account that pays for it, and what of its credits is held.
#[derive(Serialize)]
struct Line<'a> {
    row: &'a usage_request::Model,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Uuid>,
    #[serde(skip_serializing_if = "<[Left]>::is_empty")]
    held: &'a [Left],
}

#[derive(Debug, Deserialize)]
pub(super) struct Kept {
    pub row: usage_request::Model,
    pub model: String,
    /// None: its user's. Lines of older versions say nothing of it.
    #[serde(default)]
    pub account: Option<Uuid>,
    #[serde(default)]
    pub held: Vec<Left>,
}

/// What programs left behind that have ended.
#[derive(Default)]
pub(super) struct LeftBehind {
    files: Vec<Locked>,
    pub rows: Vec<Kept>,
}

impl Journal {
    pub fn open(data_dir: &Path) -> (Self, LeftBehind) {
        let folder = data_dir.join(FOLDER);
        let opened = fs::create_dir_all(&folder).and_then(|()| {
            let left_behind = LeftBehind::find(&folder)?;
            let id = Uuid::now_v7();
            Ok(([Locked::create(&folder, id, 'a')?, Locked::create(&folder, id, 'b')?], left_behind))
        });
        let (files, left_behind) = match opened {
            Ok((files, left_behind)) => (Some(files), left_behind),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%error, %folder, "what requests used is lost when the program is killed within a moment");
                (None, LeftBehind::default())
            }
        };
        (Self { files, current: AtomicUsize::new(0), has_failed: AtomicBool::new(false) }, left_behind)
    }

    /// Keeps a row. Whoever calls this keeps others from doing so, and from [turning over](Self::turn_over).
    pub fn keep(&self, row: &usage_request::Model, model: &str, account: Option<Uuid>, held: &[Left]) {
        let Some(files) = &self.files else { return };
        // A line that the disk had no space for may have been cut off: it takes none with it.
        let mut line = vec![b'\n'];
        if serde_json::to_writer(&mut line, &Line { row, model, account, held }).is_err() {
            return;
        }
        line.push(b'\n');
        if let Err(error) = (&files[self.current.load(Ordering::Relaxed)].file).write_all(&line)
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "what requests used can't be kept in a file until it is written");
        }
    }

    /// From here on rows come into the other file. What is in this one is about to be written.
    fn turn_over(&self) -> Side {
        Side(self.current.fetch_xor(1, Ordering::Relaxed))
    }

    /// What is in this file stands in the database.
    fn empty(&self, side: Side) {
        let Some(files) = &self.files else { return };
        if let Err(error) = files[side.0].file.set_len(0) {
            // Rows that are found a second time are not booked again.
            tracing::debug!(%error, "a file of what requests used was not emptied");
        }
    }
}

impl Turns {
    /// So many rows have ever come in, and some of them are about to be written. Whoever calls this keeps others from [keeping](Journal::keep) rows.
    pub fn begin(&mut self, journal: &Journal, taken: u64) {
        if self.0.is_none() {
            self.0 = Some((journal.turn_over(), taken));
        }
    }

    /// So many of them stand in the database now, or never will.
    pub fn end(&mut self, journal: &Journal, done: u64) {
        if let Some((side, _)) = self.0.take_if(|(_, taken)| done >= *taken) {
            journal.empty(side);
        }
    }
}

impl Locked {
    /// It gets its name once it is locked: another program that starts now doesn't take it for one that was left behind.
    fn create(folder: &Path, id: Uuid, side: char) -> io::Result<Self> {
        let path = folder.join(format!("{id}.{side}"));
        let new = path.with_extension(format!("{side}.{NEW}"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&new)?;
        file.lock()?;
        fs::rename(new, &path)?;
        Ok(Self { path, file })
    }
}

impl LeftBehind {
    fn find(folder: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !path.extension().is_some_and(|side| side == "a" || side == "b") {
                continue;
            }
            // Another one may have taken it over.
            let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else { continue };
            if file.try_lock().is_err() {
                continue;
            }
            let mut text = Vec::new();
            if (&file).take(MOST).read_to_end(&mut text).is_err() {
                continue;
            }
            // The last line may be cut off.
            found.rows.extend(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()));
            found.files.push(Locked { path, file });
        }
        Ok(found)
    }

    /// The rows stand in another file now, or in the database.
    pub fn remove(self) {
        for Locked { path, .. } in self.files {
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
            endpoint: "chat".to_owned(),
            requested_model: "a \"small\"\nmodel".to_owned(),
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
        }
    }

    fn names(left_behind: &LeftBehind) -> Vec<&str> {
        let mut names: Vec<&str> = left_behind.rows.iter().map(|kept| kept.row.request_id.as_str()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_is_not_written_is_found_once_by_the_next_program() {
        let folder = tempfile::tempdir().unwrap();
        let (first, left_behind) = Journal::open(folder.path());
        assert!(left_behind.rows.is_empty());
        let written = row("written");
        first.keep(&written, "small", None, &[]);
        let side = first.turn_over();
        let waiting = row("waiting");
        first.keep(&waiting, "small", Some(Uuid::max()), &[]);
        first.empty(side);
        let side = first.turn_over();
        first.keep(&row("last"), "small", None, &[]);
        {
            // Another program beside it takes nothing away.
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
        assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 2);
    }

    #[test]
    fn without_a_folder_rows_are_kept_in_memory_only() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FOLDER), "a file").unwrap();
        let (journal, left_behind) = Journal::open(folder.path());
        journal.keep(&row("one"), "small", None, &[]);
        journal.empty(journal.turn_over());
        assert!(left_behind.rows.is_empty());
    }

    /// What a program finds that comes after this one was killed.
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
    fn a_line_that_was_cut_off_takes_no_other_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path());
        journal.keep(&row("before"), "small", None, &[]);
        (&journal.files.as_ref().unwrap()[0].file).write_all(b"\n{\"row\":{\"id\":\"the disk was full").unwrap();
        journal.keep(&row("after"), "small", None, &[]);
        assert_eq!(found_after(folder.path(), journal), ["after", "before"]);
    }

    #[test]
    fn files_are_emptied_though_rows_never_stop_coming() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path());
        let (mut turns, mut taken, mut done) = (Turns::default(), 0, 0);
        let keep = |taken: &mut u64| {
            journal.keep(&row(&taken.to_string()), "small", None, &[]);
            *taken += 1;
        };
        (0..3).for_each(|_| keep(&mut taken));
        for _ in 0..100 {
            // There are always three that wait.
            turns.begin(&journal, taken);
            keep(&mut taken);
            done += 1;
            turns.end(&journal, done);
        }
        let found: Vec<u64> = found_after(folder.path(), journal).iter().map(|name| name.parse().unwrap()).collect();
        assert!((done..taken).all(|waiting| found.contains(&waiting)), "{found:?}");
        assert!(found.len() < 12, "{found:?}");
    }

    #[test]
    fn a_file_that_another_program_is_making_and_one_of_somebody_else_stay() {
        let folder = tempfile::tempdir().unwrap();
        let usage = folder.path().join(FOLDER);
        fs::create_dir_all(&usage).unwrap();
        for name in ["0199.a.new", "README.md"] {
            fs::write(usage.join(name), "").unwrap();
        }
        let (_journal, left_behind) = Journal::open(folder.path());
        left_behind.remove();
        assert!(usage.join("0199.a.new").exists() && usage.join("README.md").exists());
    }
}
