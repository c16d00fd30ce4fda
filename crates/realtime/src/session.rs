//! [`WsSession`], the actor of one connection: who is speaking, what they asked for, what they are told in return.
//!
//! The task that reads the socket puts what was asked for into the session's [`Inbox`], each with a [`CommandSlot`]: so many may be under
//! way at once, and while all places are taken nothing more is read. Messages are sent in the order in which they came, any number at a time, and their
//! acknowledgements go out in that order. What the conversations have to tell does not come by here (see [`crate::shard`]).

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
    task::{self, Poll, Waker},
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, SpawnHandle, StreamHandler};
use actix_rt::task::JoinHandle;
use appcore::{
    AppError, Code, ConversationId, MessageId,
    auth::{Principal, Scope},
    limit::RateGroup,
};
use serde::Serialize;
use service::{App, assistants, limits::Subject, messages, presence, receipts::ReceiptState, typing};
use tokio::time::Instant;

use crate::{
    broadcaster::Permit,
    catch_up,
    codec::{self, AnswerTo, Request},
    command::{Command, Send},
    outbound::Outbound,
    shard::Shard,
};

/// Commands of one connection that may be under way at once.
const PLACES: usize = 64;
/// How long `typing` counts unless it is repeated.
const TYPING: Duration = Duration::from_secs(6);
/// A repetition sooner than this is known already.
const TYPING_NEWS: Duration = Duration::from_secs(3);
/// Conversations in which somebody can be seen typing at once.
const TYPING_PLACES: usize = 8;

/// The actor of one connection.
pub struct WsSession {
    client: Rc<ClientContext>,
    inbox: Rc<Inbox>,
    sends: Rc<Sends>,
    syncs: Rc<Syncs>,
    typing: HashMap<ConversationId, Typing>,
    _permit: Permit,
}

struct Typing {
    told_at: Instant,
    expiry: SpawnHandle,
}

impl WsSession {
    /// Starts the session on this thread; it takes its commands from the inbox until that is closed.
    pub fn start(client: ClientContext, permit: Permit) -> Rc<Inbox> {
        let inbox: Rc<Inbox> = Rc::default();
        let client = Rc::new(client);
        let session = Self {
            inbox: Rc::clone(&inbox),
            sends: Rc::default(),
            syncs: Rc::default(),
            typing: HashMap::new(),
            client,
            _permit: permit,
        };
        Actor::start(session);
        inbox
    }

    fn type_in(
        &mut self,
        conversation: ConversationId,
        active: bool,
        context: &mut Context<Self>,
    ) -> Result<(), AppError> {
        let client = &self.client;
        if !client.shard.follows(client.principal.user_id, conversation) {
            return Err(Code::NotFound.into());
        }
        let known = self.typing.remove(&conversation);
        if let Some(known) = &known {
            context.cancel_future(known.expiry);
        }
        let is_limited = client.app().config.rate_limit.enabled;
        if !active {
            return if known.is_some() || !is_limited { client.tell_typing(conversation, false) } else { Ok(()) };
        }
        if self.typing.len() >= TYPING_PLACES {
            return Err(Code::RateLimited.into());
        }
        let expiry = context.run_later(TYPING, move |this, _| {
            this.typing.remove(&conversation);
            this.client.log(this.client.tell_typing(conversation, false));
        });
        let now = Instant::now();
        let fresh = known.map(|known| known.told_at).filter(|told_at| is_limited && now < *told_at + TYPING_NEWS);
        self.typing.insert(conversation, Typing { told_at: fresh.unwrap_or(now), expiry });
        if fresh.is_none() { client.tell_typing(conversation, true) } else { Ok(()) }
    }

    fn handle_command(
        &mut self,
        answer_to: AnswerTo,
        command: Command,
        slot: CommandSlot,
        context: &mut Context<Self>,
    ) {
        let client = Rc::clone(&self.client);
        if !command.only_reads()
            && let Err(error) = client.principal.require_scope(Scope::Write)
        {
            return client.refuse(&error, &answer_to);
        }
        match command {
            Command::Ping => client.answer("pong", &Nothing {}, &answer_to),
            Command::Send(send) => self.sends.begin(client, *send, answer_to, slot),
            Command::Sync(cursors) => self.syncs.begin(client, cursors, answer_to, slot),
            Command::Receipt { conversation_id, seq, is_read } => {
                let state = if is_read { ReceiptState::Read } else { ReceiptState::Delivered };
                client.app().receipts.record(client.principal.user_id, conversation_id, seq, state);
            }
            Command::Typing { conversation_id, active } => {
                if let Err(error) = self.type_in(conversation_id, active, context) {
                    client.refuse(&error, &answer_to);
                }
            }
            Command::Presence(status) => {
                actix_rt::spawn(async move {
                    if let Err(error) = presence::choose(client.app(), client.principal.user_id, status).await {
                        client.refuse(&error, &answer_to);
                    }
                    drop(slot);
                });
            }
            Command::StopGeneration(id) => {
                actix_rt::spawn(async move {
                    match assistants::stop(client.app(), &client.principal, id).await {
                        Ok(_) => client.answer("ack", &Nothing {}, &answer_to),
                        Err(error) => client.refuse(&error, &answer_to),
                    }
                    drop(slot);
                });
            }
        }
    }
}

impl Actor for WsSession {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let inbox = Rc::clone(&self.inbox);
        context.add_stream(futures_util::stream::poll_fn(move |task| inbox.poll(task)));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        for conversation in self.typing.keys() {
            self.client.log(self.client.tell_typing(*conversation, false));
        }
    }
}

impl StreamHandler<(Request, CommandSlot)> for WsSession {
    fn handle(&mut self, (request, slot): (Request, CommandSlot), context: &mut Self::Context) {
        match request.command {
            Ok(command) => self.handle_command(request.answer_to, command, slot, context),
            Err(error) => self.client.refuse(&error, &request.answer_to),
        }
    }
}

/// What a client asked for and the session has not looked at. Both sides are on one thread, and what is in it is bounded by
/// the places, so it needs neither locks nor a channel's buffers.
#[derive(Default)]
pub struct Inbox {
    requests: RefCell<VecDeque<(Request, CommandSlot)>>,
    session: RefCell<Option<Waker>>,
    is_closed: Cell<bool>,
    taken: Cell<usize>,
}

impl Inbox {
    /// Whether one more command may come in.
    #[must_use]
    pub fn has_slot(&self) -> bool {
        self.taken.get() < PLACES
    }

    pub fn put(self: &Rc<Self>, request: Request, out: &Rc<Outbound>) {
        self.taken.set(self.taken.get() + 1);
        let slot = CommandSlot { inbox: Rc::clone(self), out: Rc::clone(out) };
        self.requests.borrow_mut().push_back((request, slot));
        self.wake();
    }

    /// Nothing comes any more; the session ends when it has seen to the rest.
    pub fn close(&self) {
        self.is_closed.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.session.take() {
            waker.wake();
        }
    }

    fn poll(&self, context: &mut task::Context<'_>) -> Poll<Option<(Request, CommandSlot)>> {
        let mut requests = self.requests.borrow_mut();
        if let Some(next) = requests.pop_front() {
            if requests.is_empty() {
                *requests = VecDeque::new();
            }
            return Poll::Ready(Some(next));
        }
        if self.is_closed.get() {
            return Poll::Ready(None);
        }
        self.session.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// Held by a command while it is under way.
pub struct CommandSlot {
    inbox: Rc<Inbox>,
    out: Rc<Outbound>,
}

impl Drop for CommandSlot {
    fn drop(&mut self) {
        let was_full = !self.inbox.has_slot();
        self.inbox.taken.set(self.inbox.taken.get() - 1);
        if was_full {
            self.out.wake();
        }
    }
}

/// Who speaks on a connection, and how they are answered.
pub struct ClientContext {
    pub shard: Rc<Shard>,
    pub out: Rc<Outbound>,
    pub principal: Principal,
}

#[derive(Serialize)]
struct Nothing {}

impl ClientContext {
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        self.shard.app()
    }

    pub fn answer(&self, kind: &str, payload: &impl Serialize, answer_to: &AnswerTo) {
        // Answers are made of names and numbers, which always have a JSON form.
        let payload = serde_json::to_vec(payload).unwrap_or_default();
        let frame = codec::encode_answer(self.out.wire, kind, self.app().clock.now(), &payload, answer_to);
        self.shard.push(&self.out, frame);
    }

    pub fn refuse(&self, error: &AppError, answer_to: &AnswerTo) {
        self.refuse_about(error, None, answer_to);
    }

    /// Says what is wrong; `conversation` where the refusal is about one of several.
    pub fn refuse_about(&self, error: &AppError, conversation: Option<ConversationId>, answer_to: &AnswerTo) {
        #[derive(Serialize)]
        struct ErrorPayload<'a> {
            code: Code,
            message: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [appcore::FieldError],
            #[serde(skip_serializing_if = "Option::is_none")]
            conversation_id: Option<ConversationId>,
            /// Seconds to wait before asking again.
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after: Option<u64>,
        }
        if matches!(error, AppError::Internal(_) | AppError::Unavailable(_)) {
            tracing::error!(error = %cause(error), user_id = %self.principal.user_id, "a command failed");
        }
        let message = error.sentence();
        let refusal = ErrorPayload {
            code: error.code(),
            message: &message,
            errors: error.fields(),
            conversation_id: conversation,
            retry_after: error.retry_after().map(|wait| wait.as_secs().max(1)),
        };
        self.answer("error", &refusal, answer_to);
    }

    fn tell_typing(&self, conversation: ConversationId, active: bool) -> Result<(), AppError> {
        typing::set(self.app(), self.principal.user_id, conversation, active)
    }

    fn log(&self, result: Result<(), AppError>) {
        if let Err(error) = result {
            tracing::warn!(error = %cause(&error), "typing could not be told");
        }
    }
}

fn cause(error: &AppError) -> String {
    match error {
        AppError::Internal(cause) | AppError::Unavailable(cause) => format!("{cause:#}"),
        other => other.to_string(),
    }
}

/// Messages that are being sent, and in which order they are acknowledged.
#[derive(Default)]
struct Sends {
    /// Messages are counted one after the other, so that they are queued in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    waiting: RefCell<VecDeque<Sending>>,
    is_answering: Cell<bool>,
}

type Sending = (AnswerTo, JoinHandle<Result<Acknowledgement, AppError>>, CommandSlot);

#[derive(Serialize)]
struct Acknowledgement {
    message_id: MessageId,
    seq: i64,
    duplicate: bool,
}

impl Sends {
    fn begin(self: &Rc<Self>, client: Rc<ClientContext>, send: Send, answer_to: AnswerTo, slot: CommandSlot) {
        let (app, sender) = (Arc::clone(client.app()), client.principal.user_id);
        // Tasks of one thread are polled first in the order in which they were made, and a message is queued at its first poll.
        let this = Rc::clone(self);
        let sending = actix_rt::spawn(async move {
            let Send { conversation_id, client_id, content, reply_to } = send;
            let content = messages::content(&app, content)?;
            let turn = this.turn.lock().await;
            let counted = app.limits.take(RateGroup::MessageSend, Subject::User(sender)).await;
            if let Some((verdict, _)) = &counted {
                verdict.check()?;
            }
            let send = messages::SendMessage { conversation_id, sender, client_id, content, reply_to };
            // In a box, since a task is copied as a whole each time it is handed on.
            let mut sending = Box::pin(messages::send(&app, send));
            let queued = futures_util::poll!(&mut sending);
            drop(turn);
            let sent = match queued {
                Poll::Ready(sent) => sent?,
                Poll::Pending => sending.await?,
            };
            Ok(Acknowledgement { message_id: sent.message.id, seq: sent.message.seq, duplicate: sent.duplicate })
        });
        self.waiting.borrow_mut().push_back((answer_to, sending, slot));
        if !self.is_answering.replace(true) {
            actix_rt::spawn(Rc::clone(self).answer(client));
        }
    }

    async fn answer(self: Rc<Self>, client: Rc<ClientContext>) {
        while let Some((answer_to, sending, slot)) = self.next() {
            match sending.await {
                Ok(Ok(acknowledgement)) => client.answer("ack", &acknowledgement, &answer_to),
                Ok(Err(error)) => client.refuse(&error, &answer_to),
                Err(error) => client.refuse(&AppError::internal(error), &answer_to),
            }
            drop(slot);
        }
        *self.waiting.borrow_mut() = VecDeque::new();
        self.is_answering.set(false);
    }

    fn next(&self) -> Option<Sending> {
        self.waiting.borrow_mut().pop_front()
    }
}

/// Syncs, one after the other.
#[derive(Default)]
struct Syncs {
    waiting: RefCell<VecDeque<Sync>>,
    is_running: Cell<bool>,
}

type Sync = (AnswerTo, HashMap<ConversationId, i64>, CommandSlot);

impl Syncs {
    fn begin(
        self: &Rc<Self>,
        client: Rc<ClientContext>,
        cursors: HashMap<ConversationId, i64>,
        answer_to: AnswerTo,
        slot: CommandSlot,
    ) {
        self.waiting.borrow_mut().push_back((answer_to, cursors, slot));
        if !self.is_running.replace(true) {
            actix_rt::spawn(Rc::clone(self).run(client));
        }
    }

    async fn run(self: Rc<Self>, client: Rc<ClientContext>) {
        while let Some((answer_to, cursors, slot)) = self.next() {
            catch_up::sync(&client, cursors, &answer_to).await;
            drop(slot);
        }
        *self.waiting.borrow_mut() = VecDeque::new();
        self.is_running.set(false);
    }

    fn next(&self) -> Option<Sync> {
        self.waiting.borrow_mut().pop_front()
    }
}
