//! Budget reservation for answers: it is made before the question is sent, so that an exceeded
//! budget is reported at once rather than by a failed answer.

use appcore::{AppError, Code, ConversationId, view::MentionKind};
use dbcontext::query;
use event_log::{
    access,
    events::{AnswerOptions, SendMessage},
};
use gateway::{self, BillingIdentity, PendingReservations, model_lists};

use crate::AssistantsService;

/// Reserves the cost of the answers to a message. Returns `None` if the message requests no answer,
/// or if nothing is charged or budgeted.
pub async fn reserve_for_message(
    service: &AssistantsService,
    access: &access::Lookup<'_>,
    send: &mut SendMessage,
) -> Result<Option<PendingReservations>, AppError> {
    let is_assistant = |kind: MentionKind| kind == MentionKind::Assistant;
    let mentioned = send.mentions.iter().filter(|mention| is_assistant(mention.kind)).count() as u64;
    match reserve(service, access, mentioned, &mut send.asking).await {
        // A message that is sent again already has its reservation, so the error doesn't apply to
        // it.
        Err(error)
            if matches!(
                error.code(),
                Code::BudgetExceeded | Code::OutOfCredits | Code::QuotaReached | Code::Invalid
            ) =>
        {
            let sent =
                query::messages::by_client_id(service.db.reader(), access.id, access.user, send.client_id.as_str())
                    .await?;
            if sent.is_some() { Ok(None) } else { Err(error) }
        }
        held => held,
    }
}

/// Reserves the cost of `answers` answers; in a chat with an assistant every message requests at
/// least one.
pub async fn reserve(
    service: &AssistantsService,
    access: &access::Lookup<'_>,
    answers: u64,
    asking: &mut AnswerOptions,
) -> Result<Option<PendingReservations>, AppError> {
    let (by, id) = (access.user, access.id);
    let limits_nobody = !service.gateway.may_have_budgets(by) && !service.billing.is_charging();
    if limits_nobody && !model_lists::any_exist(&service.gateway) && !service.gateway.requires_prices() {
        return Ok(None);
    }
    // In a conversation between people, a message that mentions no assistant requests no answer.
    if answers == 0 && service.answering.person_only.get(&id).is_some() {
        return Ok(None);
    }
    // Missing access is reported later by the writer.
    let Some(access) = access.find().await? else { return Ok(None) };
    let answers = if access.kind.capabilities().asks_every_message { answers.max(1) } else { answers };
    if answers == 0 {
        service.answering.person_only.insert(id, ());
        return Ok(None);
    }
    let asker = BillingIdentity { user_id: by, workspace_id: Some(access.workspace_id) };
    let model = chosen_model(service, id, asking).await?;
    let (model, route) = gateway::resolve_model(&service.gateway, model.as_deref());
    model_lists::check(&service.gateway, asker, &model, "model")?;
    // An unknown model is reported later by the answer.
    if route.is_ok() {
        gateway::check_price(&service.gateway, &model, "model")?;
    }
    let queued = gateway::queue_answers(&service.gateway, asker, &model, answers).await?;
    asking.holds = queued.as_ref().map(PendingReservations::ids).unwrap_or_default();
    Ok(queued)
}

/// Model chosen for the question, the chat or its assistant; `None` for the default.
async fn chosen_model(
    service: &AssistantsService,
    id: ConversationId,
    asking: &AnswerOptions,
) -> Result<Option<String>, AppError> {
    if asking.model.is_some() {
        return Ok(asking.model.clone());
    }
    if let Some(model) = query::conversations::model(service.db.reader(), id).await? {
        return Ok(Some(model));
    }
    let assistants = query::conversations::assistants(service.db.reader(), &[id]).await?;
    Ok(assistants.into_iter().find_map(|assistant| assistant.model))
}

/// Hands the reservations over to the workers if the answers were queued; otherwise they are
/// released.
pub fn hand_over<T>(queued: Option<PendingReservations>, asked: &Result<T, AppError>) {
    if let (Some(queued), Ok(_)) = (queued, asked) {
        queued.hand_over();
    }
}
