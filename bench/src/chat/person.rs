//! Connected person: receives messages and sends on command. The protocols differ only in a [`Codec`].

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

/// Characters of a message after the time of sending.
pub const FILLER: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

pub struct Person {
    commands: mpsc::UnboundedSender<usize>,
    confirmations: mpsc::UnboundedReceiver<()>,
}

/// Other ends of a person's channels, for the task of the connection.
pub struct Ends {
    /// Rooms to each of which a message is to be sent.
    pub commands: mpsc::UnboundedReceiver<usize>,
    pub confirmations: mpsc::UnboundedSender<()>,
}

impl Person {
    pub fn new() -> (Self, Ends) {
        let (commands, received) = mpsc::unbounded_channel();
        let (confirmations, confirmed) = mpsc::unbounded_channel();
        (Self { commands, confirmations: confirmed }, Ends { commands: received, confirmations })
    }

    /// Sends a message to the room.
    pub fn send(&self, room: usize) {
        // If the connection has ended, the tally has the reason.
        let _ = self.commands.send(room);
    }

    /// Waits until the server has confirmed the next message.
    pub async fn confirmed(&mut self) -> anyhow::Result<()> {
        self.confirmations.recv().await.context("the connection has ended")
    }
}

/// Counts of all people.
pub struct Tally {
    clock: Instant,
    pub delivered: AtomicU64,
    pub recording: AtomicBool,
    latencies: Mutex<Vec<u64>>,
    failure: Mutex<Option<String>>,
}

impl Tally {
    pub fn start() -> Arc<Self> {
        Arc::new(Self {
            clock: Instant::now(),
            delivered: AtomicU64::new(0),
            recording: AtomicBool::new(false),
            latencies: Mutex::default(),
            failure: Mutex::default(),
        })
    }

    /// Content of a message that is sent now.
    pub fn content(&self) -> String {
        format!("{} {FILLER}", self.now())
    }

    /// Counts a delivery, and records the time since the message was sent.
    pub fn deliver(&self, sent: u64) {
        if self.recording.load(Ordering::Relaxed) {
            let latency = self.now().saturating_sub(sent);
            self.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(latency);
        }
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub fn fail(&self, error: &anyhow::Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| format!("{error:#}"));
    }

    /// Fails if a connection has failed.
    pub fn check(&self) -> anyhow::Result<()> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(failure) => bail!("a connection failed: {failure}"),
            None => Ok(()),
        }
    }

    /// Median and 99th percentile of the recorded latencies, in milliseconds.
    pub fn percentiles(&self) -> (f64, f64) {
        let mut latencies = std::mem::take(&mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner));
        latencies.sort_unstable();
        let at = |share: f64| crate::durable::stage::percentile(&latencies, share);
        (at(0.5), at(0.99))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Content that the server has sent.
pub enum Incoming {
    /// Confirmation that a message is stored.
    Confirmed,
    /// Message of another person, with its time of sending.
    Message(u64),
    /// Message that demands this answer.
    Question(Vec<u8>),
    Other,
}

/// Protocol of a connection.
pub trait Codec: Send + 'static {
    /// Appends a message for the room.
    fn write(&mut self, out: &mut Vec<u8>, room: usize, content: &str);

    /// Returns the length and the meaning of the first complete unit.
    fn read(&mut self, bytes: &[u8]) -> anyhow::Result<Option<(usize, Incoming)>>;
}

/// Line whose greeting is over.
pub struct Line {
    pub stream: TcpStream,
    /// Bytes that were received after the greeting.
    pub buffer: Vec<u8>,
}

impl Line {
    pub async fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub async fn write(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.stream.write_all(text.as_bytes()).await?)
    }

    /// Reads until the text has come, and removes everything up to its end.
    pub async fn read_until(&mut self, text: &str) -> anyhow::Result<Vec<u8>> {
        loop {
            if let Some(place) = memchr::memmem::find(&self.buffer, text.as_bytes()) {
                let rest = self.buffer.split_off(place + text.len());
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server ended the connection: {}", String::from_utf8_lossy(&self.buffer));
            }
        }
    }

    /// Serves the connection in a task.
    pub fn run(self, codec: impl Codec, ends: Ends, tally: &Arc<Tally>) {
        let tally = Arc::clone(tally);
        tokio::spawn(async move {
            if let Err(error) = self.serve(codec, ends, &tally).await {
                tally.fail(&error);
            }
        });
    }

    /// Ends without an error when the person is dropped.
    async fn serve(mut self, mut codec: impl Codec, mut ends: Ends, tally: &Tally) -> anyhow::Result<()> {
        let mut out = Vec::new();
        loop {
            let mut taken = 0;
            while let Some((length, incoming)) = codec.read(&self.buffer[taken..])? {
                taken += length;
                match incoming {
                    Incoming::Confirmed => drop(ends.confirmations.send(())),
                    Incoming::Message(sent) => tally.deliver(sent),
                    Incoming::Question(answer) => out.extend(answer),
                    Incoming::Other => {}
                }
            }
            self.buffer.drain(..taken);
            while let Ok(room) = ends.commands.try_recv() {
                codec.write(&mut out, room, &tally.content());
            }
            if !out.is_empty() {
                self.stream.write_all(&out).await?;
                out.clear();
            }
            tokio::select! {
                read = self.stream.read_buf(&mut self.buffer) => {
                    if read? == 0 {
                        bail!("the server ended the connection");
                    }
                }
                room = ends.commands.recv() => match room {
                    Some(room) => codec.write(&mut out, room, &tally.content()),
                    None => return Ok(()),
                },
            }
        }
    }
}
