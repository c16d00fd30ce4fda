//! Calls that a provider's batch API executes: their maximum cost, which is reserved for a whole job,
//! and their settlement at the price of batches.
//!
//! The limits of the key don't apply to them, because the provider decides when they are executed.

use std::{sync::Arc, time::Duration};

use ::ai::{RequestLabels, Route, TokenEstimate, batch::BatchApi};
use appcore::{
    ApiKeyId, AppError, Timestamp,
    credits::MicroCredits,
    view::{BudgetScope, GatewayEndpoint, QuotaMetric},
};
use billing::reservations::{Amounts, Origin, Reservation, Settlement};
use dbcontext::query::budgets::BudgetId;
use uuid::Uuid;

use crate::{
    BillingIdentity, CallOutcome, CallRequest, GatewayCaller, GatewayService, Model, PendingReservations, Refusal,
    ReservationGuard,
    admission::{find_allowed, truncate},
    assistant_usage::{MIN_FAILED_STATUS, parts_of},
    cost::{batch_price, cost},
    reservations::Payer,
    usage_row::{ServedCall, UsageRow, tokens},
    writer::UsageEntry,
};

/// Deployment whose batch API may execute a call, and the maximum cost there.
#[derive(Clone, Debug)]
pub struct BatchQuote {
    pub deployment: ::ai::Deployment,
    pub api: BatchApi,
    /// Maximum number of output tokens.
    pub most_output: u64,
    pub cost: BatchCost,
}

/// Maximum cost of several calls, and the budgets that they all count against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchCost {
    amounts: Amounts,
    budgets: Vec<BudgetId>,
}

impl BatchCost {
    /// Adds the cost of further calls. Returns false if they count against other budgets.
    #[must_use]
    pub fn add(&mut self, other: &Self) -> bool {
        if self.amounts == Amounts::default() {
            self.budgets.clone_from(&other.budgets);
        }
        self.amounts = Amounts {
            cost: self.amounts.cost + other.amounts.cost,
            tokens: self.amounts.tokens.saturating_add(other.amounts.tokens),
            count: self.amounts.count + other.amounts.count,
        };
        self.budgets == other.budgets
    }
}

/// Deployment with a batch API among those that are tried first.
fn batch_deployment(service: &GatewayService, route: &Route) -> Option<(::ai::Deployment, BatchApi)> {
    let used = || route.deployments.iter().filter(|deployment| deployment.weight > 0);
    let priority = used().map(|deployment| deployment.priority).min()?;
    used()
        .filter(|deployment| deployment.priority == priority)
        .find_map(|deployment| Some((deployment.clone(), service.ai.batch_api(deployment)?)))
}

/// Returns the deployment whose batch API may execute a call, with the maximum cost. `None` if there
/// is none, or if the gateway itself has to take part in the answer.
pub async fn quote_batched(
    service: &Arc<GatewayService>,
    caller: &GatewayCaller,
    endpoint: GatewayEndpoint,
    request: CallRequest<'_>,
) -> Result<Option<BatchQuote>, Refusal> {
    let model = find_allowed(service, caller, endpoint, request.model)?;
    let Some((deployment, api)) = batch_deployment(service, &model.route) else { return Ok(None) };
    let (estimate, searches) = service.estimate_of(caller, endpoint, &model.route, request.estimate);
    if searches.by_gateway > 0 {
        return Ok(None);
    }
    let amounts = service.max_batched_cost(&model, endpoint, estimate, api);
    let budgets = service.budgets_of_call(caller, &model, request.labels, amounts.cost).await;
    let cost = BatchCost { amounts, budgets: budgets.map_err(Refusal::Failed)? };
    let most_output = service.most_output(&model, endpoint, estimate);
    Ok(Some(BatchQuote { deployment, api, most_output, cost }))
}

impl GatewayService {
    fn max_batched_cost(
        &self,
        model: &Model,
        endpoint: GatewayEndpoint,
        estimate: TokenEstimate,
        api: BatchApi,
    ) -> Amounts {
        let price = model.price.as_ref().map(|price| batch_price(price, api.price_percent));
        self.max_cost(&Model { price, ..model.clone() }, endpoint, estimate)
    }
}

/// Reserves the cost of the calls of a job. Several instances may hold the reservation in turn.
pub async fn reserve_batch(
    service: &Arc<GatewayService>,
    caller: &GatewayCaller,
    cost: &BatchCost,
) -> Result<PendingReservations, Refusal> {
    let payer = Payer::from(caller.asker());
    let plan = service.charge_plan(payer, &cost.budgets, QuotaMetric::GatewayCalls, cost.amounts);
    service.reserve_all(&plan, cost.amounts, Origin::Own).await.map(|guard| PendingReservations(vec![guard]))
}

/// Reservation of a job, which this instance renews until it is dropped.
pub struct BatchReservation {
    gateway: Arc<GatewayService>,
    reservation: Reservation,
}

/// Takes over the reservation of a job. `None` if it no longer exists.
pub async fn adopt_batch_reservation(
    service: &Arc<GatewayService>,
    id: Uuid,
) -> Result<Option<BatchReservation>, AppError> {
    let adopted = service.billing.reservations.adopt(id).await?;
    Ok(adopted.map(|reservation| BatchReservation { gateway: Arc::clone(service), reservation }))
}

impl BatchReservation {
    /// Releases what the calls of the job have not used.
    pub fn release(self) {
        let (gateway, reservations) = (Arc::clone(&self.gateway), vec![self.reservation]);
        drop(ReservationGuard { gateway, reservations });
    }
}

impl Drop for BatchReservation {
    fn drop(&mut self) {
        self.gateway.billing.reservations.stop_renewing(&self.reservation);
    }
}

/// Call that a provider's batch API has executed.
#[derive(Clone, Copy, Debug)]
pub struct BatchedCall<'a> {
    pub key_id: ApiKeyId,
    pub asker: BillingIdentity,
    pub labels: &'a RequestLabels,
    pub endpoint: GatewayEndpoint,
    pub model: &'a str,
    pub request_id: &'a str,
    /// Price in percent of the ordinary one.
    pub price_percent: u8,
    /// Time of the submission.
    pub submitted_at: Timestamp,
}

/// Settles a call: usage row, daily totals, budgets and credits. Its cost is drawn from the
/// reservation of the job.
pub fn settle_batched(
    service: &Arc<GatewayService>,
    call: BatchedCall<'_>,
    outcome: CallOutcome,
    reservation: Option<&BatchReservation>,
) {
    let CallOutcome { status, usage, model: upstream_model, deployment, key_tail, tries, history, .. } = outcome;
    let model = service.find_model(call.model);
    let price = model.as_ref().and_then(|model| model.price.as_ref());
    let cost = price.map_or(MicroCredits::ZERO, |price| cost(&batch_price(price, call.price_percent), &usage));
    service.key_tokens.add(&deployment, key_tail.as_deref(), usage.total());
    let now = service.clock.now();
    let name: Arc<str> = model.as_ref().map_or_else(|| call.model.into(), |model| Arc::clone(&model.name));
    let row = UsageRow {
        created_at: now,
        request_id: truncate(call.request_id),
        key_id: Some(call.key_id),
        asker: call.asker,
        labels: call.labels.clone(),
        endpoint: call.endpoint.as_str().to_owned(),
        requested_model: truncate(call.model),
        model_name: name.to_string(),
        price_version: model.as_ref().map_or_else(|| "none".to_owned(), |model| model.price_version.to_string()),
    };
    let row = row.served(ServedCall {
        usage: &usage,
        cost,
        model: upstream_model,
        deployment,
        status,
        first_token: None,
        duration: Duration::from_millis(now.0.saturating_sub(call.submitted_at.0).max(0).unsigned_abs()),
        tries,
        history,
        batch_price_percent: Some(call.price_percent),
    });
    let BillingIdentity { user_id, workspace_id } = call.asker;
    let counts = row.status < MIN_FAILED_STATUS || tokens(&row) > 0;
    let amounts = Amounts { cost, tokens: tokens(&row), count: i64::from(counts) };
    // Scopes without a budget are ignored when the cost is booked.
    let key = BudgetId { scope: BudgetScope::Key, id: call.key_id.0 };
    let user = BudgetId { scope: BudgetScope::User, id: user_id.0 };
    let workspace = workspace_id.map(|id| BudgetId { scope: BudgetScope::Workspace, id: id.0 });
    let budgets: Vec<BudgetId> = [key, user].into_iter().chain(workspace).chain(parts_of(&row, &name)).collect();
    let account = reservation.and_then(|held| held.reservation.account());
    let payer = Payer { account, ..call.asker.into() };
    let limits = service.charge_plan(payer, &budgets, QuotaMetric::GatewayCalls, amounts).spending_limits;
    let settlement = match reservation {
        Some(held) => held.reservation.draw(&limits, amounts, row.id),
        None => Settlement::for_orphaned_call(&limits, amounts, row.id, None),
    };
    let settlements = if limits.is_empty() { Vec::new() } else { vec![settlement] };
    service.writer.push(UsageEntry { row: Some(row), model: name, settlements });
}
