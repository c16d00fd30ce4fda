//! Context of a connection's client: identity, and how its requests are answered.

use std::{rc::Rc, sync::Arc};

use appcore::{AppError, ConversationId, Country, auth::Principal};

use crate::{
    RealtimeServices,
    codec::{self, AnswerTo},
    connection_handle::ConnectionHandle,
    protocol::{ControlFrame, ErrorPayload},
    shard::Shard,
};

/// Client of a connection, with what is needed to answer it.
pub struct ClientContext {
    pub shard: Rc<Shard>,
    pub out: Rc<ConnectionHandle>,
    pub principal: Principal,
    /// Country of the client, if a trusted proxy reports it.
    pub country: Option<Country>,
}

impl ClientContext {
    #[must_use]
    pub fn services(&self) -> &Arc<RealtimeServices> {
        self.shard.services()
    }

    pub fn answer<T: ControlFrame>(&self, payload: &T, answer_to: &AnswerTo) {
        // An answer consists of ids and numbers, so serialising it can't fail.
        let payload = serde_json::to_vec(payload).unwrap_or_default();
        let frame = codec::encode_answer(self.out.wire, T::KIND, self.services().clock.now(), &payload, answer_to);
        self.shard.push(&self.out, frame);
    }

    pub fn refuse(&self, error: &AppError, answer_to: &AnswerTo) {
        self.refuse_about(error, None, answer_to);
    }

    /// Sends an error. `conversation` is set if the error concerns one of several conversations in
    /// the request.
    pub fn refuse_about(&self, error: &AppError, conversation: Option<ConversationId>, answer_to: &AnswerTo) {
        if matches!(error, AppError::Internal(_) | AppError::Unavailable(_)) {
            tracing::error!(error = %cause(error), user_id = %self.principal.user_id, "command failed");
        }
        let message = error.sentence();
        let refusal = ErrorPayload {
            code: error.code(),
            message: &message,
            errors: error.fields(),
            details: error.details(),
            conversation_id: conversation,
            retry_after: error.retry_after().map(|wait| wait.as_secs().max(1)),
        };
        self.answer(&refusal, answer_to);
    }
}

pub(crate) fn cause(error: &AppError) -> String {
    match error {
        AppError::Internal(cause) | AppError::Unavailable(cause) => format!("{cause:#}"),
        other => other.to_string(),
    }
}
