//! Log buffer: threads append lines, and one thread writes them in batches.
//!
//! With a channel, each line would cost an allocation and a wake-up, which is noticeable compared
//! with the cost of a small request.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Maximum number of bytes that are buffered while the reader is slow. Lines beyond that are
/// dropped and counted.
const MAX_BUFFERED: usize = 8 * 1024 * 1024;
/// Capacity of the buffer, in bytes, that the writing thread keeps between two writes.
const RETAINED_CAPACITY: usize = 64 * 1024;
/// Pause after each write, during which more lines can collect.
const WRITE_PAUSE: Duration = Duration::from_millis(5);
/// Name of the writing thread.
const THREAD_NAME: &str = "log";
/// Maximum time to wait for a slow reader at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Buffer of log lines that the threads share.
#[derive(Clone, Default)]
pub struct LogBuffer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<PendingLines>,
    changed: Condvar,
}

#[derive(Default)]
struct PendingLines {
    text: Vec<u8>,
    dropped: u64,
    /// True if the next line must wake the writing thread.
    is_idle: bool,
    is_closing: bool,
    /// True if the writing thread has written everything and has ended.
    is_done: bool,
}

/// Guard of the writing thread. Dropping it writes the remaining lines.
#[must_use]
pub struct LogThread(LogBuffer);

impl LogBuffer {
    /// Starts the writing thread. It calls `log_left_out` with the number of lines that were
    /// dropped.
    pub fn write_to(
        &self,
        out: impl Write + Send + 'static,
        log_left_out: impl Fn(u64) + Send + 'static,
    ) -> io::Result<LogThread> {
        let lines = self.clone();
        thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || lines.write_loop(out, log_left_out))?;
        Ok(LogThread(self.clone()))
    }

    fn write_loop(&self, mut out: impl Write, log_left_out: impl Fn(u64)) {
        let mut taken = Vec::new();
        loop {
            let mut waiting = self.lock();
            while waiting.text.is_empty() && !waiting.is_closing {
                waiting.is_idle = true;
                waiting = self.0.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if waiting.text.is_empty() {
                waiting.is_done = true;
                return self.0.changed.notify_all();
            }
            waiting.is_idle = false;
            let (is_over, left_out) = (waiting.is_closing, mem::take(&mut waiting.dropped));
            mem::swap(&mut waiting.text, &mut taken);
            drop(waiting);
            // If writing the log fails, the failure can't be logged either.
            let _ = out.write_all(&taken).and_then(|()| out.flush());
            taken.clear();
            taken.shrink_to(RETAINED_CAPACITY);
            if left_out > 0 {
                log_left_out(left_out);
            }
            if !is_over {
                thread::sleep(WRITE_PAUSE);
            }
        }
    }

    /// Appends a line without waiting for the reader.
    pub fn add(&self, line: &[u8]) {
        let mut waiting = self.lock();
        // The writing thread's own line has the number of dropped ones and is never dropped.
        if waiting.text.len() + line.len() > MAX_BUFFERED && thread::current().name() != Some(THREAD_NAME) {
            waiting.dropped += 1;
        } else {
            waiting.text.extend_from_slice(line);
        }
        if mem::take(&mut waiting.is_idle) {
            self.0.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, PendingLines> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for &LogBuffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogBuffer {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        let LogBuffer(shared) = &self.0;
        let mut waiting = self.0.lock();
        waiting.is_closing = true;
        shared.changed.notify_all();
        // Lines that are not written by then are lost.
        let _ = shared.changed.wait_timeout_while(waiting, SHUTDOWN_TIMEOUT, |waiting| !waiting.is_done);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, SyncSender};

    use super::*;

    /// Writer that blocks each write until the test allows it.
    struct Gate {
        permits: Receiver<()>,
        written: SyncSender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.permits.recv();
            let _ = self.written.send(text.to_vec());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (LogBuffer, LogThread, mpsc::Sender<()>, Receiver<Vec<u8>>) {
        let ((permit, permits), (written, writes)) = (mpsc::channel(), mpsc::sync_channel(64));
        let lines = LogBuffer::default();
        let log = lines.clone();
        let log_left_out = move |count| writeln!(&log, "{count} were left out").unwrap();
        let thread = lines.write_to(Gate { permits, written }, log_left_out).unwrap();
        (lines, thread, permit, writes)
    }

    #[test]
    fn writes_batches_in_order_and_flushes_on_drop() {
        let (lines, thread, permit, writes) = gated();
        writeln!(&lines, "0").unwrap();
        // While the first write is blocked, all further lines are buffered.
        for number in 1..1_000 {
            writeln!(&lines, "{number}").unwrap();
        }
        for _ in 0..3 {
            permit.send(()).unwrap();
        }
        drop(thread);
        // The channel ends with the thread. On a busy machine this may be after the drop has
        // stopped waiting.
        let written: Vec<_> = writes.iter().collect();
        let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(written.concat()).unwrap(), expected);
        assert!((1..=2).contains(&written.len()), "{} writes", written.len());
    }

    #[test]
    fn slow_reader_blocks_nothing_and_drops_are_counted() {
        let (lines, thread, permit, writes) = gated();
        let line = [b'x'; 1_024];
        for _ in 0..3 * MAX_BUFFERED / line.len() {
            (&lines).write_all(&line).unwrap();
        }
        // At most two writes of the lines, and one after each with the number of dropped ones.
        for _ in 0..4 {
            permit.send(()).unwrap();
        }
        drop(thread);
        let written = String::from_utf8(writes.iter().collect::<Vec<_>>().concat()).unwrap();
        let kept = written.bytes().filter(|byte| *byte == b'x').count() / line.len();
        assert!(kept <= 2 * MAX_BUFFERED / line.len(), "{kept} lines");
        let notices = written.lines().map(|line| line.trim_start_matches('x')).filter(|notice| !notice.is_empty());
        let lost = notices.map(|notice| notice.strip_suffix(" were left out").unwrap().parse::<usize>().unwrap());
        assert_eq!(kept + lost.sum::<usize>(), 3 * MAX_BUFFERED / line.len());
    }
}
