//! Answers in chats, in the same ledger as the calls of programs.

use std::{sync::Arc, time::Duration};

use ::ai::{AiError, Route, Served, Usage};
use appcore::{UserId, WorkspaceId, credits::MicroCredits};
use dbcontext::entity::usage_request;
use uuid::Uuid;

use super::{
    admission::{count, millis},
    budgets::Settlement,
    cost, models,
    writer::Entry,
};
use crate::{App, ledger::CreditSettlement};

/// The name of the model that an assistant is to answer with, or of this server's default, and the way to it.
pub(crate) fn answering(app: &App, asked: Option<&str>) -> (String, Result<Arc<Route>, AiError>) {
    let name = asked.or_else(|| models::default_name(app));
    let found = name.and_then(|name| app.gateway.find_model(name));
    match (found, asked) {
        (Some(model), _) => (model.name.to_string(), Ok(Arc::clone(&model.route))),
        (None, Some(asked)) => (asked.to_owned(), Err(AiError::UnknownModel)),
        // The default may be a model that its provider does not list.
        (None, None) => match app.assistants.ai().default_route() {
            Ok(route) => (route.asked.clone(), Ok(Arc::new(route))),
            Err(error) => (String::new(), Err(error)),
        },
    }
}

/// What stands in a row as its endpoint.
const ENDPOINT: &str = "assistant";

/// What an assistant's answer used.
#[derive(Clone, Debug)]
pub struct AnswerUse {
    /// Who asked.
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    /// The answer's id.
    pub answer_id: Uuid,
    /// The name that the model has here.
    pub model: String,
    pub usage: Usage,
    /// Who answered, after so many tries.
    pub served: Served,
    pub tries: u32,
    /// As an HTTP status: 200, 499 where a reader stopped it, 502 where the provider failed.
    pub status: u16,
    pub first_token: Option<Duration>,
    pub duration: Duration,
}

/// Writes an answer down, however it ended. Takes no time; what it cost comes back, where the model has a price.
pub fn record(app: &App, answer: AnswerUse) -> Option<MicroCredits> {
    let gateway = &app.gateway;
    let model = gateway.find_model(&answer.model);
    let usage = answer.usage;
    let price = model.as_ref().and_then(|model| model.price);
    let cost = price.map(|price| cost(&price, &usage));
    gateway.key_tokens.add(&answer.served.provider, &answer.served.key_tail, usage.total());
    let name: Arc<str> = model.as_ref().map_or_else(|| answer.model.as_str().into(), |model| Arc::clone(&model.name));
    let row = usage_request::Model {
        id: Uuid::now_v7(),
        created_at: app.clock.now(),
        request_id: answer.answer_id.to_string(),
        key_id: None,
        user_id: answer.user_id,
        workspace_id: answer.workspace_id,
        endpoint: ENDPOINT.to_owned(),
        asked_model: answer.model,
        model: answer.served.model,
        deployment: answer.served.provider,
        input_tokens: count(usage.input),
        cached_tokens: count(usage.cached),
        cache_write_tokens: count(usage.cache_write),
        output_tokens: count(usage.output),
        reasoning_tokens: count(usage.reasoning),
        audio_tokens: count(usage.audio),
        cost: cost.unwrap_or_default(),
        price_version: model.map_or_else(|| "none".to_owned(), |model| model.price_version.to_string()),
        estimated: i64::from(usage.estimated),
        status: i64::from(answer.status),
        first_token_ms: answer.first_token.map(millis),
        duration_ms: millis(answer.duration),
        tries: i64::from(answer.tries),
    };
    let budgets = gateway.answers_held.get(&answer.answer_id);
    let settlement = budgets.map(|budgets| Settlement::booking(&budgets, row.cost));
    let is_charged = gateway.credits.is_some() && row.cost > MicroCredits::ZERO;
    let credits =
        is_charged.then_some(CreditSettlement { account: row.user_id.0, hold: None, source: row.id, cost: row.cost });
    gateway.writer.push(Entry { row: Some(row), model: name, settlement, credits });
    cost
}
