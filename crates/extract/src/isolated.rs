//! Reading a file in a process of its own: what it takes too much of, or breaks, is that process's.
//!
//! The process gets a [`Task`] and the file on its standard input, and writes what came out as JSON to its standard output.

use std::{
    io::{self, BufRead as _, Read as _, Write as _},
    panic::{self, AssertUnwindSafe},
    thread,
};

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use serde::{Deserialize, Serialize};

use crate::{Document, Unreadable, read};

/// Memory that it may take, in bytes.
const MEMORY: u64 = 1024 * 1024 * 1024;
/// Seconds of a processor that it may take.
pub const SECONDS: u64 = 15;
/// Parsers of nested things are recursive.
const STACK: usize = 64 * 1024 * 1024;
/// Behind everything that somebody waits for.
const NICENESS: i32 = 5;

/// What stands on the first line, before the file's bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub media_type: String,
    pub name: String,
}

/// What came out of it.
pub type Outcome = Result<Document, Unreadable>;

/// The whole life of the process.
pub fn serve() -> io::Result<()> {
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, limit(MEMORY))?;
    setrlimit(Resource::Cpu, limit(SECONDS))?;
    setrlimit(Resource::Core, limit(0))?;
    nice(NICENESS)?;
    let mut input = io::stdin().lock();
    let mut head = String::new();
    input.read_line(&mut head)?;
    let task: Task = serde_json::from_str(&head)?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let reading = move || {
        // What was being read is thrown away with what it left behind.
        let read = AssertUnwindSafe(|| read(&task.media_type, &task.name, &bytes));
        panic::catch_unwind(read).unwrap_or(Err(Unreadable::Damaged))
    };
    let outcome: Outcome =
        thread::Builder::new().stack_size(STACK).spawn(reading)?.join().unwrap_or(Err(Unreadable::Damaged));
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &outcome)?;
    output.flush()
}
