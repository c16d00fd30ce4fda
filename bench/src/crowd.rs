//! All connections of a measurement, on one thread. It sleeps for fixed intervals instead of
//! waiting for data, so that the server's writes don't pay for waking it. Only the header and the
//! message number of received frames are parsed.

use std::io::{ErrorKind, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use memchr::memmem;
use rustix::event::{Timespec, epoll};

use crate::dialect::{Dialect, Form, Incoming, Publication, Reaction, Seat};
use crate::frame;

/// Maximum number of concurrent connection attempts.
const ARRIVING: usize = 32;
const INPUT: usize = 256 * 1024;
const EVENTS: usize = 256;
/// Number of sockets that are read between two checks of the sender's schedule.
const TURN: usize = 16;
/// Sleep between reads when there was little data. Constant polling would hold the lock that the
/// server's writes need to signal data; if the two cores are hyperthreads of one core, it would
/// also take half of the server's computing power.
pub const PAUSE: Duration = Duration::from_micros(50);
/// Delay of a wake-up above which it counts as a stall by the host, since nothing else runs on this
/// core.
const STALL: Duration = Duration::from_millis(1);
/// Number of readable sockets above which the thread polls again at once instead of sleeping.
const MANY: usize = 64;
const PATIENCE: Duration = Duration::from_secs(90);

struct Connection {
    stream: TcpStream,
    seat: Seat,
    state: State,
    /// Received start of an incomplete frame.
    rest: Vec<u8>,
    /// Bytes that the socket has not accepted yet.
    unsent: Vec<u8>,
    /// Number of the next expected message.
    next: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Upgrading,
    Arriving,
    Ready,
    Over,
}

/// Messages of a channel.
struct Channel {
    publisher: usize,
    publication: Publication,
    readers: u32,
    /// Time at which each message was due, in nanoseconds.
    sent: Vec<u64>,
    /// For each message: number of readers that have not received it.
    missing: Vec<u32>,
    /// Index of the first message that at least one reader has not received.
    complete: usize,
}

/// Received messages since the counts were last read.
#[derive(Clone, Debug, Default)]
pub struct Count {
    pub deliveries: u64,
    pub bytes: u64,
    /// Number of duplicate and out-of-order messages.
    pub disorder: u64,
    /// Latencies: time from when a message was due to its receipt, in microseconds.
    pub times: Vec<u32>,
    /// Time for which the load generator was busy.
    pub busy: Duration,
    /// Time for which it slept.
    pub asleep: Duration,
    /// Part of the sleep that was caused by stalls of the host.
    pub stalled: Duration,
}

pub struct Crowd {
    dialect: Dialect,
    address: SocketAddr,
    queue: OwnedFd,
    connections: Vec<Connection>,
    channels: Vec<Channel>,
    input: Vec<u8>,
    start: Instant,
    ready: usize,
    pub ended: usize,
    pub count: Count,
    /// Indices of publishers whose sockets were full.
    stuck: Vec<usize>,
}

impl Crowd {
    pub fn new(dialect: Dialect, address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            dialect,
            address,
            queue: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::new(),
            channels: Vec::new(),
            input: vec![0; INPUT],
            start: Instant::now(),
            ready: 0,
            ended: 0,
            count: Count::default(),
            stuck: Vec::new(),
        })
    }

    /// Time since the start, in nanoseconds.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Opens all connections. Meanwhile reads from those that are already connected.
    pub fn connect(&mut self, seats: impl IntoIterator<Item = Seat>) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for seat in seats {
            while self.connections.len() - self.ready - self.ended >= ARRIVING {
                self.turn(&mut |_| ())?;
                self.check(deadline)?;
            }
            let stream = TcpStream::connect(self.address).context("failed to connect to the server")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let id = self.connections.len();
            epoll::add(&self.queue, &stream, epoll::EventData::new_u64(id as u64), epoll::EventFlags::IN)?;
            let hello = self.dialect.open(self.address, &seat);
            let state = if self.dialect.upgrades() { State::Upgrading } else { State::Arriving };
            let rest = Vec::new();
            self.connections.push(Connection { stream, seat, state, rest, unsent: Vec::new(), next: 0 });
            self.connections[id].send(&hello);
        }
        while self.connections.len() > self.ready + self.ended {
            self.turn(&mut |_| ())?;
            self.check(deadline)?;
        }
        self.check(deadline)
    }

    fn check(&self, deadline: Instant) -> anyhow::Result<()> {
        if self.ended > 0 {
            bail!("the server ended {} of {} connections that were arriving", self.ended, self.connections.len());
        }
        if Instant::now() > deadline {
            bail!("only {} of {} connections are ready", self.ready, self.connections.len());
        }
        Ok(())
    }

    /// Prepares publishing. The first connection of each channel publishes.
    pub fn prepare(&mut self, form: Form) {
        for id in 0..self.connections.len() {
            let seat = &self.connections[id].seat;
            if seat.channel == self.channels.len() {
                let publication = self.dialect.publication(seat, form);
                let (sent, missing) = (Vec::new(), Vec::new());
                self.channels.push(Channel { publisher: id, publication, readers: 0, sent, missing, complete: 0 });
            }
            let channel = self.connections[id].seat.channel;
            self.channels[channel].readers += 1;
            if form == Form::Typing
                && let Some(words) = self.dialect.look(seat)
            {
                self.connections[id].send(&words);
            }
        }
    }

    /// Number of deliveries that were not received yet.
    pub fn missing(&self) -> u64 {
        self.channels.iter().flat_map(|channel| &channel.missing).map(|missing| u64::from(*missing)).sum()
    }

    /// Number of published messages.
    pub fn messages(&self) -> u64 {
        self.channels.iter().map(|channel| channel.sent.len() as u64).sum()
    }

    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Sends the next message of a channel. It was due at `due`, in nanoseconds.
    pub fn publish(&mut self, channel: usize, due: u64) {
        let channel = &mut self.channels[channel];
        let number = channel.sent.len();
        channel.sent.push(due);
        channel.missing.push(channel.readers);
        let publisher = &mut self.connections[channel.publisher];
        publisher.send(channel.publication.numbered(number));
        if !publisher.unsent.is_empty() {
            self.stuck.push(channel.publisher);
        }
    }

    /// Registers that another program sends the next message of a channel now; returns the number
    /// of this message.
    pub fn expect(&mut self, channel: usize) -> usize {
        let now = self.now();
        let channel = &mut self.channels[channel];
        channel.sent.push(now);
        channel.missing.push(channel.readers);
        channel.sent.len() - 1
    }

    /// Number of messages of a channel that not all readers have received yet.
    pub fn outstanding(&self, channel: usize) -> usize {
        self.channels[channel].sent.len() - self.channels[channel].complete
    }

    pub fn is_all_delivered(&self) -> bool {
        (0..self.channels.len()).all(|channel| self.outstanding(channel) == 0)
    }

    /// Reads the available data of all sockets. Calls `between` regularly while doing so.
    pub fn turn(&mut self, between: &mut dyn FnMut(&mut Self)) -> anyhow::Result<()> {
        const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut events = [MaybeUninit::uninit(); EVENTS];
        let (ready, _) = epoll::wait(&self.queue, &mut events[..], Some(&NOW))?;
        let mut ids = [0_usize; EVENTS];
        let count = ready.len();
        for (id, event) in ids.iter_mut().zip(ready.iter()) {
            *id = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
        }
        if count == 0 {
            between(self);
            self.pause();
            return Ok(());
        }
        let begun = Instant::now();
        for turn in ids[..count].chunks(TURN) {
            for id in turn {
                self.hear(*id)?;
            }
            between(self);
        }
        self.count.busy += begun.elapsed();
        if count < MANY {
            self.pause();
        }
        Ok(())
    }

    fn pause(&mut self) {
        let begun = Instant::now();
        std::thread::sleep(PAUSE);
        let slept = begun.elapsed();
        self.count.asleep += slept;
        if slept > PAUSE + STALL {
            self.count.stalled += slept - PAUSE;
        }
    }

    fn hear(&mut self, id: usize) -> anyhow::Result<()> {
        let connection = &mut self.connections[id];
        if connection.state == State::Over {
            return Ok(());
        }
        let known = connection.rest.len();
        self.input[..known].copy_from_slice(&connection.rest);
        connection.rest.clear();
        let read = match connection.stream.read(&mut self.input[known..]) {
            Ok(0) => return self.end(id, "the server ended it"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return self.end(id, &error.to_string()),
        };
        let now = self.now();
        let (mut at, end) = (0, known + read);
        if self.connections[id].state == State::Upgrading {
            let Some(head) = memmem::find(&self.input[..end], b"\r\n\r\n") else {
                return self.keep(id, at, end);
            };
            if !self.input.starts_with(b"HTTP/1.1 101") {
                let said = String::from_utf8_lossy(&self.input[..end]).into_owned();
                return self.end(id, &said);
            }
            at = head + 4;
            self.connections[id].state = State::Arriving;
            if self.dialect.is_ready_when_upgraded() {
                self.get_ready(id);
            }
        }
        while let Some((opcode, start, stop)) = frame::first(&self.input[at..end]) {
            let payload = &self.input[at + start..at + stop];
            at += stop;
            if opcode == frame::CLOSE {
                let code = payload.get(..2).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
                return self.end(id, &format!("close code {code}"));
            }
            if let Some(answer) = self.dialect.heartbeat(opcode, payload) {
                self.connections[id].send(&answer);
                continue;
            }
            let connection = &mut self.connections[id];
            if connection.state == State::Arriving {
                match self.dialect.react(&connection.seat, payload) {
                    Reaction::Wait => {}
                    Reaction::Say(words) => connection.send(&words),
                    Reaction::Ready => self.get_ready(id),
                }
                continue;
            }
            let number = match Dialect::read(payload) {
                Incoming::Numbered(number) => number,
                Incoming::Counted => connection.next,
                Incoming::Other => continue,
            };
            let channel = &mut self.channels[connection.seat.channel];
            if number < connection.next || number >= channel.sent.len() {
                self.count.disorder += 1;
                continue;
            }
            connection.next = number + 1;
            channel.missing[number] = channel.missing[number].saturating_sub(1);
            while channel.missing.get(channel.complete) == Some(&0) {
                channel.complete += 1;
            }
            self.count.deliveries += 1;
            self.count.bytes += stop as u64;
            let taken = now.saturating_sub(channel.sent[number]) / 1_000;
            self.count.times.push(u32::try_from(taken).unwrap_or(u32::MAX));
        }
        self.keep(id, at, end)
    }

    fn keep(&mut self, id: usize, from: usize, to: usize) -> anyhow::Result<()> {
        if to - from == INPUT {
            bail!("a frame is longer than {INPUT} bytes");
        }
        if from < to {
            self.connections[id].rest.extend_from_slice(&self.input[from..to]);
        }
        Ok(())
    }

    fn get_ready(&mut self, id: usize) {
        self.connections[id].state = State::Ready;
        self.ready += 1;
    }

    fn end(&mut self, id: usize, why: &str) -> anyhow::Result<()> {
        if self.ended == 0 {
            eprintln!("    connection {id} ended: {why}");
        }
        let connection = &mut self.connections[id];
        if connection.state == State::Ready {
            self.ready -= 1;
        }
        connection.state = State::Over;
        self.ended += 1;
        Ok(epoll::delete(&self.queue, &connection.stream)?)
    }

    /// Tries again to send for the publishers whose sockets were full.
    pub fn flush(&mut self) {
        for id in std::mem::take(&mut self.stuck) {
            let publisher = &mut self.connections[id];
            publisher.send(&[]);
            if !publisher.unsent.is_empty() {
                self.stuck.push(id);
            }
        }
    }
}

impl Drop for Crowd {
    /// Resets the connections. Otherwise thousands of ports would stay in TIME_WAIT and be missing
    /// in the next measurement.
    fn drop(&mut self) {
        for connection in &self.connections {
            let _ = socket2::SockRef::from(&connection.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Connection {
    fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The next read detects that the connection is closed.
                Err(_) => self.unsent.clear(),
            }
        }
    }
}
