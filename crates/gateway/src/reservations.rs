//! Reservations of the maximum cost before a call, for calls under `/v1` and answers in chats.

use std::{borrow::Cow, future::poll_fn, sync::Arc, task::Poll};

use ::ai::{TokenEstimate, Usage};
use appcore::{
    AppError, Code, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{BudgetScope, GatewayEndpoint, QuotaMetric},
};
use billing::{
    entitlements,
    reservations::{Amounts, Origin, OrphanedReservation, Reservation, Settlement, SpendingLimit},
};
use dbcontext::{entity::usage_request, query::budgets::BudgetId};
use futures_util::future::try_join_all;
use platform::work_pools::WorkOwner;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    GatewayService, Refusal, budgets::ExhaustedBudget, check_price, cost, model_lists, models::Model,
    usage_row::tokens, writer::UsageEntry,
};

/// Reservations of a call. If they are dropped without being settled, they are released and the
/// call costs nothing.
#[must_use]
pub struct ReservationGuard {
    pub(super) gateway: Arc<GatewayService>,
    /// Reservations made so far: more than one if the call turned out to be longer than estimated.
    pub(super) reservations: Vec<Reservation>,
}

/// Spending limits and credits that a call or an answer counts against. The paying account stays
/// the same until it has ended.
#[derive(Clone, Debug)]
pub(super) struct ChargePlan {
    pub(super) spending_limits: Vec<SpendingLimit>,
    /// Account to charge if the first one has too few credits.
    fallback_account: Option<Uuid>,
}

/// Billing identity: a user, optionally in a workspace, whose credits are then used first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payer {
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    /// Account that already pays for the call or answer, if any.
    pub account: Option<Uuid>,
}

impl ChargePlan {
    pub fn is_empty(&self) -> bool {
        self.spending_limits.is_empty()
    }

    /// Returns settlements for a call that was finished by a killed process, with its remaining
    /// reservations. The first settlement carries the cost.
    pub fn settlements_for_orphaned_call(
        &self,
        cost: Amounts,
        source: Uuid,
        left: &[OrphanedReservation],
    ) -> Vec<Settlement> {
        let credits: Vec<SpendingLimit> =
            self.spending_limits.iter().filter(|purse| purse.account().is_some()).copied().collect();
        let (first, others) = (left.first().copied(), left.iter().skip(1));
        let others =
            others.map(|left| Settlement::for_orphaned_call(&credits, Amounts::default(), source, Some(*left)));
        std::iter::once(Settlement::for_orphaned_call(&self.spending_limits, cost, source, first))
            .chain(others)
            .collect()
    }

    /// Account that is tried first.
    fn account(&self) -> Option<Uuid> {
        self.spending_limits.iter().find_map(|purse| purse.account())
    }

    /// Returns the charge plan with the given account as payer.
    fn with_payer(&self, account: Uuid) -> Self {
        let other =
            |purse: &SpendingLimit| if purse.account().is_some() { SpendingLimit::Credits(account) } else { *purse };
        Self { spending_limits: self.spending_limits.iter().map(other).collect(), fallback_account: None }
    }
}

impl From<BillingIdentity> for Payer {
    fn from(BillingIdentity { user_id, workspace_id }: BillingIdentity) -> Self {
        Self { user_id, workspace_id, account: None }
    }
}

impl GatewayService {
    /// Reserves the amounts in all spending limits of the plan, or reports the limit that is
    /// exceeded.
    pub(super) async fn reserve_all(
        self: &Arc<Self>,
        bill: &ChargePlan,
        amounts: Amounts,
        origin: Origin,
    ) -> Result<ReservationGuard, Refusal> {
        if bill.is_empty() {
            return Ok(ReservationGuard { gateway: Arc::clone(self), reservations: Vec::new() });
        }
        let (gateway, bill) = (Arc::clone(self), bill.clone());
        let mut taking = Box::pin(async move {
            let held = gateway.reserve_with_fallback(&bill, amounts, origin).await?;
            Ok(ReservationGuard { gateway, reservations: held.into_iter().collect() })
        });
        // Local allotments answer immediately. Database reservations run in a separate task: if the
        // caller is gone meanwhile, they are released again.
        match poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await {
            Poll::Ready(held) => held,
            Poll::Pending => {
                let taken = self.billing.reservations.run_to_end(taking).await;
                taken.unwrap_or_else(|error| Err(Refusal::Failed(AppError::internal(error))))
            }
        }
    }

    async fn reserve_with_fallback(
        self: &Arc<Self>,
        bill: &ChargePlan,
        amounts: Amounts,
        origin: Origin,
    ) -> Result<Option<Reservation>, Refusal> {
        let taken = self.reserve(&bill.spending_limits, amounts, origin).await;
        let (Some(account), Some(otherwise)) = (bill.account(), bill.fallback_account) else { return taken };
        match taken {
            Err(Refusal::OutOfCredits) => {
                self.billing.payers.record_shortfall(account, amounts.cost, Instant::now());
                self.reserve(&bill.with_payer(otherwise).spending_limits, amounts, origin).await
            }
            taken => taken,
        }
    }

    async fn reserve(
        self: &Arc<Self>,
        purses: &[SpendingLimit],
        amounts: Amounts,
        origin: Origin,
    ) -> Result<Option<Reservation>, Refusal> {
        let taken = self.billing.reservations.reserve(purses, amounts, origin).await.map_err(Refusal::Failed)?;
        let Err(shortage) = taken else { return taken.map_err(Refusal::from) };
        // More may be left than it seems: the reservations of finished calls may not be released
        // yet, and allotments may hold unused amounts. Both are released before a second attempt.
        let is_behind = self.writer.is_behind();
        if is_behind {
            self.writer.flush().await;
        }
        if self.billing.reservations.return_allotments(Some(purses)).await.map_err(Refusal::Failed)? || is_behind {
            let taken = self.billing.reservations.reserve(purses, amounts, origin).await.map_err(Refusal::Failed)?;
            return taken.map_err(Refusal::from);
        }
        Err(shortage.into())
    }

    /// Reserves the cost of an internal model call, which counts neither as an answer nor as a
    /// program's call.
    pub(super) async fn reserve_internal(
        self: &Arc<Self>,
        asker: BillingIdentity,
        worst: Amounts,
    ) -> Result<ReservationGuard, Refusal> {
        let worst = Amounts { count: 0, ..worst };
        let bill = self.charge_plan(asker.into(), &self.budgets_of(asker), QuotaMetric::Answers, worst);
        self.reserve_all(&bill, worst, Origin::Allotments).await
    }

    /// Builds the charge plan of a call or an answer. A free one counts against no budget and needs
    /// no credits.
    pub(super) fn charge_plan(
        &self,
        payer: Payer,
        budgets: &[BudgetId],
        metric: QuotaMetric,
        amounts: Amounts,
    ) -> ChargePlan {
        let budgets = if amounts.cost > MicroCredits::ZERO { budgets } else { &[] };
        let mut purses: Vec<SpendingLimit> = budgets.iter().map(|budget| (*budget).into()).collect();
        if !self.billing.is_charging() {
            return ChargePlan { spending_limits: purses, fallback_account: None };
        }
        let Payer { user_id, workspace_id, account } = payer;
        let may_pay = |id: &WorkspaceId| self.billing.payers.should_try(*id, amounts.cost, Instant::now());
        let workspace = workspace_id.filter(may_pay).filter(|_| account.is_none()).map(|id| id.0);
        let own = account.unwrap_or(user_id.0);
        entitlements::add_limits(&mut purses, user_id, metric, amounts, workspace.unwrap_or(own));
        ChargePlan { spending_limits: purses, fallback_account: workspace.map(|_| own) }
    }
}

impl ReservationGuard {
    /// Account whose credits are reserved, if any.
    pub(super) fn account(&self) -> Option<Uuid> {
        self.reservations.iter().find_map(Reservation::account)
    }

    /// True if nothing limits the cost.
    pub(super) fn is_empty(&self) -> bool {
        self.reservations.is_empty()
    }

    /// Adds further reservations.
    pub(super) fn add(&mut self, mut more: Self) {
        self.reservations.append(&mut more.reservations);
    }

    /// Captures the cost of the call and records its usage row.
    pub(super) fn settle(mut self, row: usage_request::Model, model: Arc<str>, count: i64) {
        let cost = Amounts { cost: row.cost, tokens: tokens(&row), count };
        let settlements = self.settle_all(cost, row.id);
        self.gateway.writer.push(UsageEntry { row: Some(row), model, settlements });
    }

    /// Settles all reservations; the first one carries the cost.
    fn settle_all(&mut self, cost: Amounts, source: Uuid) -> Vec<Settlement> {
        let costs = std::iter::once(cost).chain(std::iter::repeat(Amounts::default()));
        let holds = std::mem::take(&mut self.reservations).into_iter().zip(costs);
        holds.filter_map(|(held, cost)| self.gateway.billing.reservations.finish(held, cost, source)).collect()
    }
}

impl Drop for ReservationGuard {
    fn drop(&mut self) {
        let settlements = self.settle_all(Amounts::default(), Uuid::nil());
        if !settlements.is_empty() {
            self.gateway.writer.push(UsageEntry { row: None, model: Arc::default(), settlements });
        }
    }
}

/// User whose request is paid for, and the workspace in which it was made.
#[derive(Clone, Copy, Debug)]
pub struct BillingIdentity {
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
}

impl BillingIdentity {
    /// Owner of the processing of large bodies.
    pub(crate) const fn work_owner(self) -> WorkOwner {
        WorkOwner::User { user: self.user_id, workspace: self.workspace_id }
    }
}

/// Reservations of queued answers until their workers take over. If they are dropped without a
/// hand-over, they are released.
#[must_use]
pub struct PendingReservations(pub(super) Vec<ReservationGuard>);

impl PendingReservations {
    /// Ids by which the workers find the reservations, one per answer.
    #[must_use]
    pub fn ids(&self) -> Vec<Uuid> {
        self.0.iter().flat_map(|held| &held.reservations).filter_map(Reservation::id).collect()
    }

    /// Leaves the reservations to the workers of the queued answers; they expire if no worker takes
    /// them over.
    pub fn hand_over(mut self) {
        for held in &mut self.0 {
            for one in std::mem::take(&mut held.reservations) {
                held.gateway.billing.reservations.stop_renewing(&one);
            }
        }
    }
}

/// Reserves the cost of several answers before they are queued.
pub async fn queue_answers(
    service: &Arc<GatewayService>,
    asker: BillingIdentity,
    model: &str,
    answers: u64,
) -> Result<Option<PendingReservations>, AppError> {
    let context = service.config.ai.context_tokens as u64;
    let amounts =
        service.max_answer_amounts(service.find_model(model).as_deref(), TokenEstimate::text_only(context, None), 1);
    let bill = service.charge_plan(asker.into(), &service.budgets_of(asker), QuotaMetric::Answers, amounts);
    if bill.is_empty() {
        return Ok(None);
    }
    // The amount is reserved individually in the database and not from an allotment, because a
    // worker on another instance needs the id of the reservation.
    let held = try_join_all((0..answers).map(|_| service.reserve_all(&bill, amounts, Origin::Own)))
        .await
        .map_err(chat_error)?;
    Ok(Some(PendingReservations(held)))
}

/// Model call for an answer; an answer may need several.
#[derive(Clone, Copy, Debug)]
pub struct ModelCall<'a> {
    pub model: &'a str,
    pub estimated_input: u64,
    pub max_output: Option<u64>,
    /// Reservation made when the answer was queued.
    pub queued: Option<Uuid>,
    /// True if the answer is counted with this call.
    pub is_first: bool,
}

/// Reservation of a model call for an answer.
#[must_use]
pub struct ModelCallReservation {
    reservation: ReservationGuard,
    model: Option<Arc<Model>>,
    asker: BillingIdentity,
    worst: Amounts,
    amount: MicroCredits,
    /// Reason why no more could be reserved. The call ends when its reservation is used up.
    refused: Option<Refusal>,
    pub is_first: bool,
}

/// Reserves the cost of another model call for an answer.
pub async fn reserve_model_call(
    service: &Arc<GatewayService>,
    asker: BillingIdentity,
    round: ModelCall<'_>,
) -> Result<ModelCallReservation, AppError> {
    model_lists::check(service, asker, round.model, "model")?;
    check_price(service, round.model, "model")?;
    let model = service.find_model(round.model);
    let count = i64::from(round.is_first);
    let worst = service.max_answer_amounts(
        model.as_deref(),
        TokenEstimate::text_only(round.estimated_input, round.max_output),
        count,
    );
    let adopted = match round.queued {
        Some(id) => service.billing.reservations.adopt(id).await?,
        None => None,
    };
    let queued = adopted.map_or_else(Amounts::default, |held| held.amounts());
    let mut held = ReservationGuard { gateway: Arc::clone(service), reservations: adopted.into_iter().collect() };
    // The queued reservation covers a typical answer; the actual request may cost more.
    if adopted.is_none() || worst.cost > queued.cost {
        let missing = worst.excess_over(queued);
        let payer = Payer { account: held.account(), ..asker.into() };
        let bill = service.charge_plan(payer, &service.budgets_of(asker), QuotaMetric::Answers, missing);
        held.add(service.reserve_all(&bill, missing, Origin::Allotments).await.map_err(chat_error)?);
    }
    let (worst, amount) = (Amounts { count: 0, ..worst }, worst.cost.max(queued.cost));
    Ok(ModelCallReservation { reservation: held, model, asker, worst, amount, refused: None, is_first: round.is_first })
}

impl ModelCallReservation {
    /// True if the call is about to exceed its reservation, or has exceeded it if no more can be
    /// reserved.
    pub fn is_exceeded(&self, usage: &Usage) -> bool {
        let Some(price) = self.model.as_ref().and_then(|model| model.price.as_ref()) else { return false };
        let room = if self.refused.is_some() { 0 } else { self.amount.0 / 10 };
        !self.reservation.reservations.is_empty() && cost(price, usage).0 > self.amount.0 - room
    }

    /// Reserves the same amount again. Fails once the reservation is used up and no more is
    /// available.
    pub async fn extend(&mut self) -> Result<(), AppError> {
        if let Some(refused) = self.refused.take() {
            return Err(chat_error(refused));
        }
        let gateway = &self.reservation.gateway;
        let payer = Payer { account: self.reservation.account(), ..self.asker.into() };
        let bill = gateway.charge_plan(payer, &gateway.budgets_of(self.asker), QuotaMetric::Answers, self.worst);
        match gateway.reserve_all(&bill, self.worst, Origin::Allotments).await {
            Ok(more) => {
                self.reservation.add(more);
                self.amount += self.worst.cost;
            }
            Err(Refusal::Failed(error)) => return Err(error),
            Err(refusal) => self.refused = Some(refusal),
        }
        Ok(())
    }

    pub(super) fn settle(self, row: usage_request::Model, model: Arc<str>, count: i64) {
        self.reservation.settle(row, model, count);
    }
}

impl GatewayService {
    fn max_answer_amounts(&self, model: Option<&Model>, wanted: TokenEstimate, count: i64) -> Amounts {
        let worst = model.map_or_else(Amounts::default, |model| self.max_cost(model, GatewayEndpoint::Chat, wanted));
        Amounts { count, ..worst }
    }
}

/// Converts a refusal to the error shown in chats.
fn chat_error(refusal: Refusal) -> AppError {
    let Refusal::OutOfBudget(ExhaustedBudget { scope, resets_at }) = refusal else { return refusal.into() };
    let whose = match scope {
        BudgetScope::Workspace => "This workspace’s AI budget",
        BudgetScope::Key | BudgetScope::User | BudgetScope::EndUser | BudgetScope::Model | BudgetScope::Tag => {
            "Your AI budget"
        }
    };
    let message: Cow<'static, str> = match resets_at {
        Some(at) => {
            let day: String = at.to_string().chars().take("2026-11-23".len()).collect();
            format!("{whose} is used up until {day}. Ask an admin to raise it, or wait until then.").into()
        }
        None => format!("{whose} is used up. Ask an admin to raise it.").into(),
    };
    let AppError::Detailed { code, details, .. } = refusal.into() else {
        return AppError::refused(Code::BudgetExceeded, message);
    };
    AppError::Detailed { code, message: Some(message), details }
}
