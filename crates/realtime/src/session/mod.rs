//! [`WsSession`], the actor of one connection: executes the client's commands.
//!
//! The task that reads the socket puts each request into the session's [`Inbox`], together with a
//! [`CommandSlot`]. A connection has a fixed number of slots; while all are taken, nothing more is
//! read from its socket. Messages are sent and acknowledged in the order in which they arrived
//! ([`sends`]). Events of conversations don't pass through here (see [`crate::shard`]).

mod inbox;
mod sends;
mod syncs;
mod typing;

use std::{cell::Cell, collections::HashMap, rc::Rc, sync::Arc};

use actix::{Actor, AsyncContext, Context, SpawnHandle, StreamHandler};
use appcore::{AppError, Code, ConversationId, UserId, auth::Scope, limit::RateGroup};
use telemetry::{Span, SpanRole};
use tokio::{runtime::Handle, time::Instant};

use assistants::answering;
use event_log::receipts::ReceiptState;
use identity::presence;
pub use inbox::{CommandSlot, Inbox};
use platform::rate_limits::LimitSubject;

use self::{sends::Sends, syncs::Syncs, typing::TypingState};
use crate::{
    broadcaster::Permit,
    client::{ClientContext, cause},
    codec::{AnswerTo, Request},
    command::Command,
    protocol::{Acknowledgement, Pong, Presences},
};

/// Maximum number of conversations in which one connection can be typing at once.
const MAX_TYPING_CONVERSATIONS: usize = 8;

/// Actor of one connection.
pub struct WsSession {
    client: Rc<ClientContext>,
    inbox: Rc<Inbox>,
    sends: Rc<Sends>,
    syncs: Rc<Syncs>,
    typing: HashMap<ConversationId, Typing>,
    /// Number of `presence.watch` requests so far. Only the latest one takes effect.
    watches: Rc<Cell<u64>>,
    /// Identity of this connection in the presence store. Set once the connection has reported a
    /// status.
    presence_reporter: Option<presence::PresenceReporter>,
    _permit: Permit,
}

#[derive(Default)]
struct Typing {
    state: TypingState,
    timer: Option<SpawnHandle>,
}

impl WsSession {
    /// Starts the session on this thread. It handles the requests in the inbox until the inbox is
    /// closed.
    pub fn start(client: ClientContext, permit: Permit) -> Rc<Inbox> {
        let inbox: Rc<Inbox> = Rc::default();
        let client = Rc::new(client);
        let session = Self {
            inbox: Rc::clone(&inbox),
            sends: Rc::default(),
            syncs: Rc::default(),
            typing: HashMap::new(),
            watches: Rc::default(),
            presence_reporter: None,
            client,
            _permit: permit,
        };
        Actor::start(session);
        inbox
    }

    fn set_typing(
        &mut self,
        conversation: ConversationId,
        active: bool,
        context: &mut Context<Self>,
    ) -> Result<(), AppError> {
        let client = &self.client;
        if !client.shard.follows(client.principal.user_id, conversation) {
            return Err(Code::NotFound.into());
        }
        if active && !self.typing.contains_key(&conversation) && self.typing.len() >= MAX_TYPING_CONVERSATIONS {
            return Err(Code::RateLimited.into());
        }
        let told = self.typing.entry(conversation).or_default().state.set(active, Instant::now());
        self.schedule_typing(conversation, context);
        let is_limited = self.client.services().config.rate_limit.enabled;
        match told {
            None if is_limited => Ok(()),
            _ => publish_typing(&self.client, conversation, active),
        }
    }

    /// Schedules the next typing announcement, or removes the state if it has expired.
    fn schedule_typing(&mut self, conversation: ConversationId, context: &mut Context<Self>) {
        let now = Instant::now();
        let Some(typing) = self.typing.get_mut(&conversation) else { return };
        if let Some(timer) = typing.timer.take() {
            context.cancel_future(timer);
        }
        let Some(moment) = typing.state.next_check(now) else {
            self.typing.remove(&conversation);
            return;
        };
        let timer = context.run_later(moment.saturating_duration_since(now), move |this, context| {
            let Some(typing) = this.typing.get_mut(&conversation) else { return };
            typing.timer = None;
            let announced = typing.state.announcement(Instant::now());
            // If the user has left the conversation, only the end of typing is announced.
            let may_type = this.client.shard.follows(this.client.principal.user_id, conversation);
            if let Some(active) = announced.filter(|active| !active || may_type) {
                log_error(publish_typing(&this.client, conversation, active));
            }
            this.schedule_typing(conversation, context);
        });
        typing.timer = Some(timer);
    }

    /// Answers with the presence of these users, and subscribes to changes of it.
    fn watch_presence(&self, people: Vec<UserId>, answer_to: AnswerTo, slot: CommandSlot) {
        let (client, watches) = (Rc::clone(&self.client), Rc::clone(&self.watches));
        let turn = watches.get() + 1;
        watches.set(turn);
        actix_rt::spawn(async move {
            let is_latest = || watches.get() == turn;
            match client.shard.watch_presence(&client.out, &people, is_latest).await {
                Ok(items) => client.answer(&Presences { items }, &answer_to),
                Err(error) => client.refuse(&error, &answer_to),
            }
            drop(slot);
        });
    }

    fn handle_command(
        &mut self,
        answer_to: AnswerTo,
        command: Command,
        mut slot: CommandSlot,
        context: &mut Context<Self>,
    ) {
        let client = Rc::clone(&self.client);
        slot.span = Span::start(SpanRole::Server, command.name());
        let _entered = slot.span.enter();
        if !command.is_read_only()
            && let Err(error) = client.principal.require_scope(Scope::Write)
        {
            return client.refuse(&error, &answer_to);
        }
        match command {
            Command::Ping => client.answer(&Pong {}, &answer_to),
            Command::Send(send) => self.sends.submit(client, *send, answer_to, slot),
            Command::Sync(cursors) => self.syncs.submit(client, cursors, answer_to, slot),
            Command::Receipt { conversation_id, seq, is_read } => {
                // In larger conversations, delivered positions aren't stored.
                if !is_read && !client.shard.is_small(conversation_id) {
                    return;
                }
                let state = if is_read { ReceiptState::Read } else { ReceiptState::Delivered };
                client.services().events.receipts.record(client.principal.user_id, conversation_id, seq, state);
            }
            Command::Typing { conversation_id, active } => {
                let allowed = check_ephemeral_limit(&client);
                if let Err(error) = allowed.and_then(|()| self.set_typing(conversation_id, active, context)) {
                    client.refuse(&error, &answer_to);
                }
            }
            Command::Presence(status) => {
                if let Err(error) = check_ephemeral_limit(&client) {
                    return client.refuse(&error, &answer_to);
                }
                let speaker =
                    *self.presence_reporter.get_or_insert_with(|| presence::new_reporter(&client.services().identity));
                actix_rt::spawn(async move {
                    if let Err(error) = presence::report_presence(
                        &client.services().identity,
                        client.principal.user_id,
                        speaker,
                        status,
                    )
                    .await
                    {
                        client.refuse(&error, &answer_to);
                    }
                    drop(slot);
                });
            }
            Command::View(conversations) => match check_ephemeral_limit(&client) {
                Ok(()) => client.shard.show(&client.out, conversations),
                Err(error) => client.refuse(&error, &answer_to),
            },
            Command::WatchPresence(people) => match check_ephemeral_limit(&client) {
                Ok(()) => self.watch_presence(people, answer_to, slot),
                Err(error) => client.refuse(&error, &answer_to),
            },
            Command::StopGeneration(id) => {
                actix_rt::spawn(async move {
                    match answering::stop(&client.services().assistants, &client.principal, id).await {
                        Ok(_) => client.answer(&Acknowledgement::default(), &answer_to),
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
        for (conversation, _) in self.typing.iter().filter(|(_, typing)| typing.state.is_shown()) {
            log_error(publish_typing(&self.client, *conversation, false));
        }
        // On shutdown there is no runtime any more, and the presence expires.
        if let (Some(speaker), Ok(runtime)) = (self.presence_reporter, Handle::try_current()) {
            runtime.spawn(presence::remove_reporter(
                Arc::clone(&self.client.services().identity),
                self.client.principal.user_id,
                speaker,
            ));
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

/// Applies the rate limit of ephemeral frames.
fn check_ephemeral_limit(client: &ClientContext) -> Result<(), AppError> {
    client.services().limits.admit_local(RateGroup::Ephemeral, LimitSubject::User(client.principal.user_id))
}

fn publish_typing(client: &ClientContext, conversation: ConversationId, active: bool) -> Result<(), AppError> {
    event_log::typing::publish(&client.services().events, client.principal.user_id, conversation, active)
}

fn log_error(result: Result<(), AppError>) {
    if let Err(error) = result {
        tracing::warn!(error = %cause(&error), "failed to publish typing indicator");
    }
}
