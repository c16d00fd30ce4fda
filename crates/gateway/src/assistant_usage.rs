//! Usage of assistants' answers, recorded in the same ledger as API calls.

use std::{borrow::Cow, sync::Arc, time::Duration};

use ::ai::{AiError, CallHistory, RequestLabels, Route, ServedBy, Usage};
use appcore::{
    AppError, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{BudgetScope, QuotaMetric},
};
use billing::reservations::Amounts;
use dbcontext::{
    entity::usage_request,
    query::{
        budgets::{BudgetId, BudgetSubject},
        usage,
    },
};
use uuid::Uuid;

use crate::{
    BillingIdentity, GatewayService, cost,
    journal::JournalEntry,
    models,
    reservations::{ModelCallReservation, Payer},
    usage_row::{self, UsageRow, parse_tags, tokens},
    writer::UsageEntry,
};

/// Returns the name of the model that answers (the requested one or the server's default) and its
/// route.
pub fn resolve_model(service: &GatewayService, asked: Option<&str>) -> (String, Result<Arc<Route>, AiError>) {
    let name = asked.map(Cow::Borrowed).or_else(|| models::default_name(service));
    let found = name.and_then(|name| service.find_model(&name));
    match (found, asked) {
        (Some(model), _) => (model.name.to_string(), Ok(Arc::clone(&model.route))),
        (None, Some(asked)) => (asked.to_owned(), Err(AiError::UnknownModel)),
        // The default may be a model that its provider doesn't list, so the table has no entry for
        // it.
        (None, None) => match service.ai().default_route() {
            Ok(route) => (route.requested_model.clone(), Ok(Arc::new(route))),
            Err(error) => (String::new(), Err(error)),
        },
    }
}

/// Endpoint recorded in usage rows.
const ENDPOINT: &str = "assistant";
/// Maximum number of usage rows of a killed process that are booked together.
const MAX_BOOKED_ROWS: usize = 5_000;
/// Lowest HTTP status that counts as a failure.
pub(super) const MIN_FAILED_STATUS: i64 = 400;

/// Usage of an assistant's answer.
#[derive(Clone, Debug)]
pub struct AnswerUsage {
    /// User who asked for the answer.
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    /// Id of the answer.
    pub answer_id: Uuid,
    /// Name of the model on this server.
    pub model: String,
    pub usage: Usage,
    /// Provider and model that answered, and the number of attempts.
    pub served: ServedBy,
    pub tries: u32,
    pub history: CallHistory,
    /// HTTP status: 200, 499 if a reader stopped the answer, 502 if the provider failed.
    pub status: u16,
    pub first_token: Option<Duration>,
    pub duration: Duration,
}

/// Records the usage of an answer, however it ended, and settles its reservation. Doesn't block.
/// Returns the cost if the model has a price.
pub fn record(
    service: &GatewayService,
    answer: AnswerUsage,
    held: Option<ModelCallReservation>,
) -> Option<MicroCredits> {
    let model = service.find_model(&answer.model);
    let usage = answer.usage;
    let price = model.as_ref().and_then(|model| model.price);
    let cost = price.map(|price| cost(&price, &usage));
    service.key_tokens.add(&answer.served.provider, answer.served.key_tail.as_deref(), usage.total());
    let name: Arc<str> = model.as_ref().map_or_else(|| answer.model.as_str().into(), |model| Arc::clone(&model.name));
    let row = UsageRow {
        created_at: service.clock.now(),
        request_id: answer.answer_id.to_string(),
        key_id: None,
        asker: BillingIdentity { user_id: answer.user_id, workspace_id: answer.workspace_id },
        labels: RequestLabels::default(),
        endpoint: ENDPOINT.to_owned(),
        requested_model: answer.model,
        model_name: name.to_string(),
        price_version: model.map_or_else(|| "none".to_owned(), |model| model.price_version.to_string()),
    };
    let row = row.served(usage_row::ServedCall {
        usage: &usage,
        cost: cost.unwrap_or_default(),
        model: answer.served.model,
        deployment: answer.served.provider,
        status: answer.status,
        first_token: answer.first_token,
        duration: answer.duration,
        tries: answer.tries,
        history: answer.history,
        batch_price_percent: None,
    });
    match held {
        Some(held) => {
            // Failed answers without output don't count as answers.
            let counts = held.is_first && (row.status < MIN_FAILED_STATUS || row.output_tokens > 0);
            held.settle(row, name, i64::from(counts));
        }
        None => service.writer.push(UsageEntry { row: Some(row), model: name, settlements: Vec::new() }),
    }
    cost
}

impl GatewayService {
    /// Books the usage of calls that a killed process had finished, and releases the credits
    /// reserved for them. Reservations in budgets expire.
    pub(super) async fn book(&self, left_behind: &[JournalEntry]) -> Result<(), AppError> {
        for part in left_behind.chunks(MAX_BOOKED_ROWS) {
            self.book_part(part).await?;
            // Flushing after each part limits the number of rows that wait in the writer.
            self.writer.flush().await;
        }
        Ok(())
    }

    async fn book_part(&self, left_behind: &[JournalEntry]) -> Result<(), AppError> {
        let ids: Vec<Uuid> = left_behind.iter().map(|kept| kept.row.id).collect();
        let stored = usage::existing(self.db.writer(), &ids).await?;
        let missing = left_behind.iter().filter(|kept| !stored.contains(&kept.row.id));
        let count = missing.clone().count();
        for JournalEntry { row, model, account, held } in missing {
            let key = row.key_id.map(|id| BudgetId { scope: BudgetScope::Key, id: id.0 });
            let user = Some(BudgetId { scope: BudgetScope::User, id: row.user_id.0 });
            let workspace = row.workspace_id.map(|id| BudgetId { scope: BudgetScope::Workspace, id: id.0 });
            // Scopes without a budget are ignored when the cost is booked.
            let budgets = [key, user, workspace].into_iter().flatten();
            let budgets: Vec<BudgetId> = budgets.chain(parts_of(row, model)).collect();
            // Calls for an answer in a chat are not counted here: the answer counts once, however
            // many calls it takes, and it is unknown which of them counted.
            let is_call = key.is_some() && (row.status < MIN_FAILED_STATUS || row.output_tokens > 0);
            let cost = Amounts { cost: row.cost, tokens: tokens(row), count: i64::from(is_call) };
            let metric = if key.is_some() { QuotaMetric::GatewayCalls } else { QuotaMetric::Answers };
            let account = Some(account.unwrap_or(row.user_id.0));
            let payer = Payer { user_id: row.user_id, workspace_id: None, account };
            let settlements =
                self.charge_plan(payer, &budgets, metric, cost).settlements_for_orphaned_call(cost, row.id, held);
            self.writer.push(UsageEntry { row: Some(row.clone()), model: model.as_str().into(), settlements });
        }
        if count > 0 {
            tracing::info!(requests = count, "usage of a killed process booked");
        }
        Ok(())
    }
}

/// Budgets of the parts of a key's calls that a request belongs to.
pub(crate) fn parts_of(row: &usage_request::Model, model: &str) -> Vec<BudgetId> {
    let Some(key) = row.key_id else { return Vec::new() };
    let tags = parse_tags(row.tags.as_deref());
    let end_user = row.end_user.as_deref().map(|name| BudgetSubject::EndUser(key, name));
    let tags = tags.iter().map(|tag| BudgetSubject::Tag(key, tag));
    let parts = end_user.into_iter().chain([BudgetSubject::Model(key, model)]).chain(tags);
    parts.map(BudgetSubject::id).collect()
}
