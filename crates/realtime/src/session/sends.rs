//! Sends messages of a client in the order of arrival and acknowledges them in that order.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use actix_rt::task::JoinHandle;
use appcore::{AppError, limit::RateGroup};
use conversations::messages;
use event_log::events::AnswerOptions;
use platform::rate_limits::LimitSubject;

use super::inbox::CommandSlot;
use crate::{client::ClientContext, codec::AnswerTo, command::Send, protocol::Acknowledgement};

/// Messages that are being sent, in the order in which they are to be acknowledged.
#[derive(Default)]
pub(super) struct Sends {
    /// Held during the rate limit check, so that messages are submitted in the order of arrival.
    turn: tokio::sync::Mutex<()>,
    waiting: RefCell<VecDeque<Sending>>,
    is_answering: Cell<bool>,
}

type Sending = (AnswerTo, JoinHandle<Result<Acknowledgement, AppError>>, CommandSlot);

impl Sends {
    pub(super) fn submit(
        self: &Rc<Self>,
        client: Rc<ClientContext>,
        send: Send,
        answer_to: AnswerTo,
        slot: CommandSlot,
    ) {
        let (services, sender, country) = (Arc::clone(client.services()), client.principal.user_id, client.country);
        // Tasks of one thread are first polled in the order of their creation, and a message is
        // submitted on the first poll of its task. So the order is kept.
        let this = Rc::clone(self);
        let sending = actix_rt::spawn(slot.span.scope(async move {
            let thread = messages::in_thread(send.thread_id, send.also_to_conversation)?;
            let Send {
                conversation_id,
                client_id,
                content,
                reply_to,
                mentions,
                attachments,
                confirm,
                model,
                has_previews,
                ..
            } = send;
            let content = messages::parse_content_with_files(&services.conversations, content, &attachments, false)?;
            let turn = this.turn.lock().await;
            let counted = services.limits.admit(RateGroup::MessageSend, LimitSubject::User(sender)).await;
            if let Some((verdict, _)) = &counted {
                verdict.check()?;
            }
            let (here, asking) = (Vec::new(), AnswerOptions { model, country, ..AnswerOptions::default() });
            let by = messages::Actor { conversation_id, user_id: sender };
            let send = messages::SendMessage {
                client_id,
                content,
                reply_to,
                mentions,
                here_recipients: here,
                attachments,
                thread,
                forwarded: None,
                has_previews,
                poll: None,
                asking,
            };
            // The future is boxed because it is large, and a task is moved as a whole whenever it
            // is passed on.
            let mut sending = Box::pin(messages::send(&services.conversations, by, send, confirm));
            let queued = futures_util::poll!(&mut sending);
            drop(turn);
            let sent = match queued {
                Poll::Ready(sent) => sent?,
                Poll::Pending => sending.await?,
            };
            Ok(Acknowledgement {
                message_id: Some(sent.message.id),
                seq: Some(sent.message.seq),
                duplicate: Some(sent.duplicate),
            })
        }));
        self.waiting.borrow_mut().push_back((answer_to, sending, slot));
        if !self.is_answering.replace(true) {
            actix_rt::spawn(Rc::clone(self).answer(client));
        }
    }

    async fn answer(self: Rc<Self>, client: Rc<ClientContext>) {
        while let Some((answer_to, sending, slot)) = self.next() {
            match sending.await {
                Ok(Ok(acknowledgement)) => client.answer(&acknowledgement, &answer_to),
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
