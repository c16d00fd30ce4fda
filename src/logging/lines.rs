//! Lines on their way out: gathered in memory by whoever logs, and taken out by one thread, many at once.
//!
//! A channel of lines would cost an allocation and a wake-up for each of them, which is a good part of what a small request costs.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// What waits for a reader who has stopped reading; what comes then is left out.
const MOST_WAITING: usize = 8 * 1024 * 1024;
/// What is kept for the next lines.
const KEPT: usize = 64 * 1024;
/// How long lines are gathered after some that were written at once.
const REST: Duration = Duration::from_millis(5);
/// How long the end waits for a reader who has stopped reading.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where lines are left.
#[derive(Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    come: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    left_out: u64,
    /// The thread waits to be told of the next line.
    is_idle: bool,
    is_over: bool,
    /// The thread has written all there was, and is gone.
    is_done: bool,
}

/// Writes until it is dropped, and then what is left.
#[must_use]
pub struct LogThread(Lines);

impl Lines {
    /// Starts the thread that writes them, and logs how many were left out.
    pub fn write_to(
        &self,
        out: impl Write + Send + 'static,
        log_left_out: impl Fn(u64) + Send + 'static,
    ) -> io::Result<LogThread> {
        let lines = self.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || lines.carry(out, log_left_out))?;
        Ok(LogThread(self.clone()))
    }

    fn carry(&self, mut out: impl Write, log_left_out: impl Fn(u64)) {
        let mut taken = Vec::new();
        loop {
            let mut waiting = self.lock();
            while waiting.text.is_empty() && !waiting.is_over {
                waiting.is_idle = true;
                waiting = self.0.come.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if waiting.text.is_empty() {
                waiting.is_done = true;
                return self.0.come.notify_all();
            }
            waiting.is_idle = false;
            let (is_over, left_out) = (waiting.is_over, mem::take(&mut waiting.left_out));
            mem::swap(&mut waiting.text, &mut taken);
            drop(waiting);
            // Who can't be written to can't be told of it either.
            let _ = out.write_all(&taken).and_then(|()| out.flush());
            taken.clear();
            taken.shrink_to(KEPT);
            if left_out > 0 {
                log_left_out(left_out);
            }
            if !is_over {
                thread::sleep(REST);
            }
        }
    }

    /// Never waits for who reads them.
    pub fn add(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.text.len() + line.len() > MOST_WAITING {
            waiting.left_out += 1;
        } else {
            waiting.text.extend_from_slice(line);
        }
        if mem::take(&mut waiting.is_idle) {
            self.0.come.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        let Lines(shared) = &self.0;
        let mut waiting = self.0.lock();
        waiting.is_over = true;
        shared.come.notify_all();
        // What is not written by then is lost.
        let _ = shared.come.wait_timeout_while(waiting, PATIENCE, |waiting| !waiting.is_done);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, SyncSender};

    use super::*;

    /// Each write has to be let through.
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

    fn gated() -> (Lines, LogThread, mpsc::Sender<()>, Receiver<Vec<u8>>) {
        let ((permit, permits), (written, writes)) = (mpsc::channel(), mpsc::sync_channel(64));
        let lines = Lines::default();
        let log = lines.clone();
        let log_left_out = move |count| writeln!(&log, "{count} were left out").unwrap();
        let thread = lines.write_to(Gate { permits, written }, log_left_out).unwrap();
        (lines, thread, permit, writes)
    }

    #[test]
    fn lines_go_out_in_order_many_at_once_and_all_before_the_end() {
        let (lines, thread, permit, writes) = gated();
        writeln!(&lines, "0").unwrap();
        // Until the first write is let through everything else waits.
        for number in 1..1_000 {
            writeln!(&lines, "{number}").unwrap();
        }
        for _ in 0..3 {
            permit.send(()).unwrap();
        }
        drop(thread);
        let written: Vec<_> = writes.try_iter().collect();
        let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(written.concat()).unwrap(), expected);
        assert!((1..=2).contains(&written.len()), "{} writes", written.len());
    }

    #[test]
    fn a_reader_who_stands_still_holds_nobody_up_and_is_told_how_much_is_missing() {
        let (lines, thread, permit, writes) = gated();
        let line = [b'x'; 1_024];
        for _ in 0..3 * MOST_WAITING / line.len() {
            (&lines).write_all(&line).unwrap();
        }
        for _ in 0..3 {
            permit.send(()).unwrap();
        }
        drop(thread);
        let written = String::from_utf8(writes.try_iter().collect::<Vec<_>>().concat()).unwrap();
        assert!(written.len() <= 2 * MOST_WAITING + line.len(), "{} bytes", written.len());
        let lost: usize = written.trim_start_matches('x').strip_suffix(" were left out\n").unwrap().parse().unwrap();
        let kept = written.bytes().filter(|byte| *byte == b'x').count() / line.len();
        assert_eq!(kept + lost, 3 * MOST_WAITING / line.len());
    }
}
