//! Task of a polling session, until it ends or is upgraded to WebSocket.
//!
//! Requests are put into the session's [`Mailbox`] and answered by this task. At most one GET waits
//! for data and at most one POST is processed. A second request of the same kind is a client error,
//! or comes from a second client, and ends the session.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    Body, Engine, EngineRefusal, Message, PollResult, SessionHandler, SessionHandlerFactory, SessionRequest, Sid,
    mailbox::Mailbox,
    packet::{self, Packet},
    payload::{self, Payload, PayloadPacket},
    ping_schedule::PingSchedule,
    websocket::{self, Probe, UpgradeEvent},
};
use crate::{close::Close, frame_limit::TokenBucket, sender::Sender};

/// Time that the session waits for the client to fetch the close packet.
const CLOSE_FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of packets per poll; python-engineio accepts no more.
const MAX_PACKETS_PER_POLL: usize = 16;
/// Delay before a poll that arrives during an upgrade is answered without data. It isn't answered
/// at once, because the client may have upgraded already and its upgrade packet may be on its way.
const UPGRADE_RELEASE_DELAY: Duration = Duration::from_millis(50);

type Reply = oneshot::Sender<PollResult>;

/// Serves a session until it ends or is upgraded.
pub(super) async fn serve<H: SessionHandlerFactory>(
    engine: Rc<Engine<H>>,
    sid: Sid,
    guest: H::Handler,
    sender: Rc<Sender>,
    mailbox: Rc<Mailbox>,
) {
    let settings = engine.settings();
    let rhythm = PingSchedule::new(settings, &guest);
    let counted = rhythm.is_unauthenticated();
    engine.unauthenticated.set(engine.unauthenticated.get() + usize::from(counted));
    let allowance = settings.packets_per_second.map(|limit| TokenBucket::new(limit, Instant::now()));
    let mut session = Session {
        engine: &engine,
        handler: guest,
        sender,
        mailbox: &mailbox,
        ping_schedule: rhythm,
        allowance,
        poll: None,
        release_at: None,
        post: None,
        probe: None,
        linger_until: None,
        is_counted: counted,
    };
    let end = session.run().await;
    session.uncount_unauthenticated();
    let Session { handler: mut guest, sender, ping_schedule: rhythm, probe, poll, post, .. } = session;
    let calls = std::iter::from_fn(|| mailbox.pop());
    match (end, probe) {
        (End::Upgraded, Some(probe)) => {
            engine.sessions.borrow_mut().insert(sid.secret, None);
            calls.for_each(|call| call.refuse(EngineRefusal::BadRequest));
            // A client that upgrades correctly has neither request pending.
            refuse(poll, EngineRefusal::BadRequest);
            drop(post);
            let inbound = probe.finish(&sender, engine.settings());
            actix_rt::spawn(async move {
                websocket::serve(guest, sender, inbound, rhythm).await;
                engine.remove_session(&sid);
            });
        }
        _ => {
            engine.remove_session(&sid);
            calls.for_each(|call| call.refuse(EngineRefusal::UnknownSid));
            guest.leave();
            refuse(poll, EngineRefusal::UnknownSid);
            if let Some(Post::Complete(_, reply) | Post::Receiving(_, reply)) = post {
                refuse(Some(reply), EngineRefusal::BadRequest);
            }
            sender.abort();
        }
    }
}

fn refuse(reply: Option<Reply>, refused: EngineRefusal) {
    if let Some(reply) = reply {
        // The client may have disconnected.
        let _ = reply.send(Err(refused));
    }
}

struct Session<'a, H: SessionHandlerFactory> {
    engine: &'a Engine<H>,
    handler: H::Handler,
    sender: Rc<Sender>,
    mailbox: &'a Mailbox,
    ping_schedule: PingSchedule,
    allowance: Option<TokenBucket>,
    /// GET that waits for data.
    poll: Option<Reply>,
    /// Time at which the waiting GET is answered without data.
    release_at: Option<Instant>,
    /// POST in progress.
    post: Option<Post>,
    /// Socket of an upgrade in progress.
    probe: Option<Probe>,
    /// Time until which the session waits for the close packet to be fetched; `None` while it is
    /// open.
    linger_until: Option<Instant>,
    /// True if the engine counts the session as unauthenticated.
    is_counted: bool,
}

enum Post {
    Receiving(Body, Reply),
    Complete(Payload, Reply),
}

/// Outcome of a polling session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Over,
    /// The session continues over WebSocket.
    Upgraded,
}

enum Event {
    Woken,
    Request(SessionRequest),
    BodyReceived(Result<Bytes, EngineRefusal>),
    Upgrade(UpgradeEvent),
    /// The client has cancelled its request.
    Abandoned,
    Ended(Close),
    Timeout,
}

impl<H: SessionHandlerFactory> Session<'_, H> {
    async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.take_packets().await {
                return end;
            }
            if !self.ping_schedule.is_unauthenticated() {
                self.uncount_unauthenticated();
            }
            if let Err(end) = self.answer_poll_with_frames() {
                return end;
            }
            let event = self.next().await;
            if let Err(end) = self.handle(event) {
                return end;
            }
        }
    }

    fn uncount_unauthenticated(&mut self) {
        if std::mem::take(&mut self.is_counted) {
            self.engine.unauthenticated.set(self.engine.unauthenticated.get().saturating_sub(1));
        }
    }

    async fn next(&mut self) -> Event {
        let is_taking = self.post.is_some();
        let alarms = [self.release_at, self.linger_until, self.probe.as_ref().map(Probe::deadline)];
        let alarm = alarms.into_iter().flatten().min();
        let Self { sender, mailbox, ping_schedule: rhythm, poll, post, probe, .. } = self;
        let abandoned = async {
            match poll {
                Some(reply) => reply.closed().await,
                None => std::future::pending().await,
            }
        };
        let arrived = async {
            match post {
                // The channel is closed if the client disconnects during the upload.
                Some(Post::Receiving(body, _)) => body.await.map_or(Event::Abandoned, Event::BodyReceived),
                _ => std::future::pending().await,
            }
        };
        let signed = async {
            match probe {
                // Packets sent by POST are processed before those sent on the socket.
                Some(probe) if !is_taking => probe.next().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            sign = signed => Event::Upgrade(sign),
            () = sender.wait_until_woken() => Event::Woken,
            call = mailbox.next() => Event::Request(call),
            event = arrived => event,
            () = abandoned => Event::Abandoned,
            close = rhythm.run(sender) => Event::Ended(close),
            () = sleep_until_if_set(alarm) => Event::Timeout,
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Woken => {}
            Event::Request(SessionRequest::Poll(reply)) => return self.receive_poll(reply),
            Event::Request(SessionRequest::Post(body, reply)) => return self.receive_post(body, reply),
            Event::Request(SessionRequest::Upgrade(visitor)) => {
                if self.probe.is_some() || !self.sender.is_open() {
                    SessionRequest::Upgrade(visitor).refuse(EngineRefusal::BadRequest);
                } else {
                    self.probe = Probe::start(*visitor, self.engine.settings());
                }
            }
            Event::BodyReceived(Ok(body)) => match (Payload::parse(body), self.post.take()) {
                (Ok(payload), Some(Post::Receiving(_, reply))) => self.post = Some(Post::Complete(payload, reply)),
                (_, post) => {
                    self.post = post;
                    return Err(self.end(Close::PROTOCOL));
                }
            },
            Event::BodyReceived(Err(refused)) => {
                if let Some(Post::Receiving(_, reply)) = self.post.take() {
                    refuse(Some(reply), refused);
                }
                return Err(self.end(Close::TOO_LARGE));
            }
            Event::Upgrade(sign) => return self.on_message(sign),
            Event::Abandoned => return Err(End::Over),
            Event::Ended(close) => return Err(self.end(close)),
            Event::Timeout => {
                let now = Instant::now();
                let passed = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
                if passed(self.linger_until) {
                    return Err(End::Over);
                }
                if passed(self.probe.as_ref().map(Probe::deadline)) {
                    self.probe = None;
                }
                if passed(self.release_at) {
                    self.answer_poll(packet::NOOP);
                }
            }
        }
        Ok(())
    }

    /// Accepts a GET; only one may wait. A GET that arrives after the heartbeat timeout is refused.
    fn receive_poll(&mut self, reply: Reply) -> Result<(), End> {
        if let Some(close) = self.ping_schedule.timeout_reason(&self.sender, Instant::now()) {
            refuse(Some(reply), EngineRefusal::UnknownSid);
            return Err(self.end(close));
        }
        if self.poll.is_some() {
            self.answer_poll(packet::CLOSE);
            refuse(Some(reply), EngineRefusal::BadRequest);
            return Err(self.end(Close::PROTOCOL));
        }
        self.poll = Some(reply);
        self.release_at =
            self.probe.as_ref().filter(|probe| probe.is_probed()).map(|_| Instant::now() + UPGRADE_RELEASE_DELAY);
        Ok(())
    }

    /// Accepts a POST. Only one may be in progress, so that packets keep their order.
    fn receive_post(&mut self, body: Body, reply: Reply) -> Result<(), End> {
        if self.post.is_some() {
            refuse(Some(reply), EngineRefusal::BadRequest);
            return Err(self.end(Close::PROTOCOL));
        }
        if !self.sender.is_open() {
            refuse(Some(reply), EngineRefusal::BadRequest);
            return Ok(());
        }
        self.post = Some(Post::Receiving(body, reply));
        Ok(())
    }

    /// Handles an event of the upgrade's socket.
    fn on_message(&mut self, sign: UpgradeEvent) -> Result<(), End> {
        match sign {
            UpgradeEvent::Probed => {
                // Answers the poll: no response may be on its way when the client leaves the old
                // transport.
                self.answer_poll(packet::NOOP);
                Ok(())
            }
            UpgradeEvent::Upgraded if self.sender.is_open() => Err(End::Upgraded),
            UpgradeEvent::Upgraded | UpgradeEvent::Failed => {
                self.probe = None;
                Ok(())
            }
        }
    }

    /// Answers the waiting GET, if there is one, with this packet only.
    fn answer_poll(&mut self, packet: &'static str) {
        self.release_at = None;
        if let Some(reply) = self.poll.take() {
            // The client may have disconnected.
            let _ = reply.send(Ok(Bytes::from_static(packet.as_bytes())));
        }
    }

    /// Answers the waiting GET with queued frames, if there are any.
    fn answer_poll_with_frames(&mut self) -> Result<(), End> {
        if self.sender.is_broken() {
            return Err(End::Over);
        }
        let is_closing = !self.sender.is_open();
        if self.sender.queued_bytes() > 0
            && let Some(reply) = self.poll.take()
        {
            self.release_at = None;
            let frames = std::iter::from_fn(|| self.sender.pop()).take(MAX_PACKETS_PER_POLL);
            if reply.send(Ok(payload::join(frames))).is_err() {
                // The frames taken from the queue are lost with the request, so the session has to
                // end.
                return Err(End::Over);
            }
        }
        if is_closing {
            if self.sender.queued_bytes() == 0 {
                return Err(End::Over);
            }
            self.probe = None;
            self.linger_until.get_or_insert_with(|| Instant::now() + CLOSE_FETCH_TIMEOUT);
        }
        Ok(())
    }

    /// Passes the packets of the POST to the handler, as far as it accepts them.
    async fn take_packets(&mut self) -> Result<(), End> {
        while matches!(self.post, Some(Post::Complete(..))) && self.sender.is_open() && self.handler.has_slot() {
            let Some(Post::Complete(payload, _)) = &mut self.post else { return Ok(()) };
            let taken = match payload.next() {
                None => {
                    self.answer_post(Ok(Bytes::from_static(b"ok")));
                    return Ok(());
                }
                Some(Ok(piece)) => self.handle_packet(piece).await,
                Some(Err(packet::InvalidPacket)) => Err(Close::PROTOCOL),
            };
            match taken {
                Ok(()) => {}
                Err(close) if !self.sender.is_open() && !is_client_error(close) => break,
                // The client has sent a close packet, so it gets no further data.
                Err(Close::NORMAL) => {
                    self.answer_post(Ok(Bytes::from_static(b"ok")));
                    self.answer_poll(packet::NOOP);
                    return Err(End::Over);
                }
                Err(close) => return Err(self.end(close)),
            }
        }
        if !self.sender.is_open() && matches!(self.post, Some(Post::Complete(..))) {
            self.answer_post(Ok(Bytes::from_static(b"ok")));
        }
        Ok(())
    }

    fn answer_post(&mut self, answer: PollResult) {
        if let Some(Post::Complete(_, reply) | Post::Receiving(_, reply)) = self.post.take() {
            // The client may have disconnected.
            let _ = reply.send(answer);
        }
    }

    async fn handle_packet(&mut self, piece: PayloadPacket) -> Result<(), Close> {
        let allowed = self.allowance.as_mut().is_none_or(|allowance| allowance.take(1, Instant::now()));
        if !allowed {
            return Err(Close::FLOOD);
        }
        self.sender.record_activity();
        let message = match &piece {
            PayloadPacket::Binary(bytes) => Message::Binary(bytes.clone()),
            PayloadPacket::Text(text) => {
                // The body has been validated as UTF-8 and is split at character boundaries.
                let text = std::str::from_utf8(text).map_err(|_| Close::NOT_UTF8)?;
                match packet::decode(text).map_err(|packet::InvalidPacket| Close::PROTOCOL)? {
                    Packet::Message(data) => Message::Text(data),
                    Packet::Close => return Err(Close::NORMAL),
                    Packet::Ping(data) => return self.push(packet::pong(data)),
                    Packet::Pong | Packet::Noop => return Ok(()),
                    Packet::Upgrade => return Err(Close::PROTOCOL),
                }
            }
        };
        tokio::select! {
            biased;
            taken = self.handler.handle_message(message) => {
                if let Err(close) = taken {
                    self.handler.close(close);
                }
                taken
            }
            close = self.ping_schedule.run(&self.sender) => Err(close),
        }
    }

    fn push(&self, frame: Bytes) -> Result<(), Close> {
        if self.sender.push(frame) { Ok(()) } else { Err(Close::TOO_SLOW) }
    }

    /// Ends the session immediately: pending requests are answered, later ones aren't.
    fn end(&mut self, close: Close) -> End {
        self.handler.close(close);
        let _ = self.answer_poll_with_frames();
        self.answer_post(Err(EngineRefusal::BadRequest));
        End::Over
    }
}

/// True for client errors. After such an error the session doesn't wait until the client has
/// fetched the close packet.
fn is_client_error(close: Close) -> bool {
    [Close::PROTOCOL, Close::NOT_UTF8, Close::TOO_LARGE, Close::FLOOD, Close::HEARTBEAT].contains(&close)
}

async fn sleep_until_if_set(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
