//! What a call may cost is held before it is made: the one place for calls under `/v1` and for answers in chats.

use std::{borrow::Cow, future::poll_fn, sync::Arc, task::Poll};

use ::ai::{Usage, Wanted};
use appcore::{
    AppError, Code, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{BudgetScope, GatewayEndpoint, QuotaMetric},
};
use billing::{
    entitlements,
    holds::{Amounts, HeldFor, Left, Origin, Purse, Settlement},
};
use dbcontext::{entity::usage_request, query::budgets::BudgetId};
use futures_util::future::try_join_all;
use platform::work_pools::WorkOwner;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    GatewayService, Refusal, budgets::UsedUp, check_price, cost, model_lists, models::Model, usage_row::tokens,
    writer::Entry,
};

/// What is held for a call. Dropped without being settled it is free again, and the call costs nothing.
#[must_use]
pub struct Held {
    gateway: Arc<GatewayService>,
    /// Of one that turned out to be longer than was thought, there are several.
    held: Vec<HeldFor>,
}

/// What a use of models counts against, and who pays for it: one account from its beginning to its end.
#[derive(Clone, Debug)]
pub(super) struct Bill {
    purses: Vec<Purse>,
    /// The account that pays where that in the purses has too little.
    otherwise: Option<Uuid>,
}

/// Who uses models: a person, perhaps in a workspace, whose credits then pay first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payer {
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    /// The account that has begun to pay, where one has.
    pub account: Option<Uuid>,
}

impl Bill {
    pub fn is_empty(&self) -> bool {
        self.purses.is_empty()
    }

    /// Books what a call cost that was finished by a program which was killed, with what that held for it: the first of it bears the cost.
    pub fn booking(&self, cost: Amounts, source: Uuid, left: &[Left]) -> Vec<Settlement> {
        let credits: Vec<Purse> = self.purses.iter().filter(|purse| purse.account().is_some()).copied().collect();
        let (first, others) = (left.first().copied(), left.iter().skip(1));
        let others = others.map(|left| Settlement::booking(&credits, Amounts::default(), source, Some(*left)));
        std::iter::once(Settlement::booking(&self.purses, cost, source, first)).chain(others).collect()
    }

    /// The account that is asked first.
    fn account(&self) -> Option<Uuid> {
        self.purses.iter().find_map(|purse| purse.account())
    }

    /// The bill, paid by the other account.
    fn of(&self, account: Uuid) -> Self {
        let other = |purse: &Purse| if purse.account().is_some() { Purse::Credits(account) } else { *purse };
        Self { purses: self.purses.iter().map(other).collect(), otherwise: None }
    }
}

impl From<Asker> for Payer {
    fn from(Asker { user_id, workspace_id }: Asker) -> Self {
        Self { user_id, workspace_id, account: None }
    }
}

impl GatewayService {
    /// Holds what a call may cost in everything that it counts against, or says what has too little left.
    pub(super) async fn hold(self: &Arc<Self>, bill: &Bill, amounts: Amounts, origin: Origin) -> Result<Held, Refusal> {
        if bill.is_empty() {
            return Ok(Held { gateway: Arc::clone(self), held: Vec::new() });
        }
        let (gateway, bill) = (Arc::clone(self), bill.clone());
        let mut taking = Box::pin(async move {
            let held = gateway.take_by(&bill, amounts, origin).await?;
            Ok(Held { gateway, held: held.into_iter().collect() })
        });
        // A block has it at once. The database decides in a task of its own: whoever asked may leave meanwhile, and what is held for
        // nobody is free again.
        match poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await {
            Poll::Ready(held) => held,
            Poll::Pending => {
                let taken = self.billing.holds.run_to_end(taking).await;
                taken.unwrap_or_else(|error| Err(Refusal::Failed(AppError::internal(error))))
            }
        }
    }

    async fn take_by(
        self: &Arc<Self>,
        bill: &Bill,
        amounts: Amounts,
        origin: Origin,
    ) -> Result<Option<HeldFor>, Refusal> {
        let taken = self.take(&bill.purses, amounts, origin).await;
        let (Some(account), Some(otherwise)) = (bill.account(), bill.otherwise) else { return taken };
        match taken {
            Err(Refusal::OutOfCredits) => {
                self.billing.payers.fell_short(account, amounts.cost, Instant::now());
                self.take(&bill.of(otherwise).purses, amounts, origin).await
            }
            taken => taken,
        }
    }

    async fn take(
        self: &Arc<Self>,
        purses: &[Purse],
        amounts: Amounts,
        origin: Origin,
    ) -> Result<Option<HeldFor>, Refusal> {
        let taken = self.billing.holds.take(purses, amounts, origin).await.map_err(Refusal::Failed)?;
        let Err(shortage) = taken else { return taken.map_err(Refusal::from) };
        // What ended a moment ago may still be held, and something may be held in advance.
        let is_behind = self.writer.is_behind();
        if is_behind {
            self.writer.flush().await;
        }
        if self.billing.holds.give_back(Some(purses)).await.map_err(Refusal::Failed)? || is_behind {
            let taken = self.billing.holds.take(purses, amounts, origin).await.map_err(Refusal::Failed)?;
            return taken.map_err(Refusal::from);
        }
        Err(shortage.into())
    }

    /// Holds what Natter's own question to a model may cost somebody: it is neither an answer nor a program's call.
    pub(super) async fn hold_beside(self: &Arc<Self>, asker: Asker, worst: Amounts) -> Result<Held, Refusal> {
        let worst = Amounts { count: 0, ..worst };
        let bill = self.bill(asker.into(), &self.budgets_of(asker), QuotaMetric::Answers, worst);
        self.hold(&bill, worst, Origin::Blocks).await
    }

    /// What a use of models by somebody counts against: what costs nothing counts against no budget, as it needs no credits.
    pub(super) fn bill(&self, payer: Payer, budgets: &[BudgetId], metric: QuotaMetric, amounts: Amounts) -> Bill {
        let budgets = if amounts.cost > MicroCredits::ZERO { budgets } else { &[] };
        let mut purses: Vec<Purse> = budgets.iter().map(|budget| (*budget).into()).collect();
        if !self.billing.is_charging() {
            return Bill { purses, otherwise: None };
        }
        let Payer { user_id, workspace_id, account } = payer;
        let may_pay = |id: &WorkspaceId| self.billing.payers.may_pay(*id, amounts.cost, Instant::now());
        let workspace = workspace_id.filter(may_pay).filter(|_| account.is_none()).map(|id| id.0);
        let own = account.unwrap_or(user_id.0);
        entitlements::add_purses(&mut purses, user_id, metric, amounts, workspace.unwrap_or(own));
        Bill { purses, otherwise: workspace.map(|_| own) }
    }
}

impl Held {
    /// Whose credits are held, where any are.
    pub(super) fn account(&self) -> Option<Uuid> {
        self.held.iter().find_map(HeldFor::account)
    }

    /// Whether nothing limits what it may cost.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Holds this as well.
    pub(super) fn add(&mut self, mut more: Self) {
        self.held.append(&mut more.held);
    }

    /// Books what the call cost, with its row.
    pub(super) fn settle(mut self, row: usage_request::Model, model: Arc<str>, count: i64) {
        let cost = Amounts { cost: row.cost, tokens: tokens(&row), count };
        let settlements = self.end(cost, row.id);
        self.gateway.writer.push(Entry { row: Some(row), model, settlements });
    }

    /// The first of the holds bears the cost.
    fn end(&mut self, cost: Amounts, source: Uuid) -> Vec<Settlement> {
        let costs = std::iter::once(cost).chain(std::iter::repeat(Amounts::default()));
        let holds = std::mem::take(&mut self.held).into_iter().zip(costs);
        holds.filter_map(|(held, cost)| self.gateway.billing.holds.end(held, cost, source)).collect()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let settlements = self.end(Amounts::default(), Uuid::nil());
        if !settlements.is_empty() {
            self.gateway.writer.push(Entry { row: None, model: Arc::default(), settlements });
        }
    }
}

/// Whose question an answer in a chat is for.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
}

impl Asker {
    /// On whose behalf large bodies are processed.
    pub(crate) const fn work_owner(self) -> WorkOwner {
        WorkOwner::Person { user: self.user_id, workspace: self.workspace_id }
    }
}

/// What is held for answers until workers begin them. Dropped without being handed over it is free again.
#[must_use]
pub struct QueuedHold(Vec<Held>);

impl QueuedHold {
    /// The names under which the workers know it, one for each answer.
    #[must_use]
    pub fn ids(&self) -> Vec<Uuid> {
        self.0.iter().flat_map(|held| &held.held).filter_map(HeldFor::id).collect()
    }

    /// The answers are queued. Their workers take over what is held, or it expires.
    pub fn hand_over(mut self) {
        for held in &mut self.0 {
            for one in std::mem::take(&mut held.held) {
                held.gateway.billing.holds.let_go(&one);
            }
        }
    }
}

/// Holds what so many answers may cost before they are queued.
pub async fn queue_answers(
    service: &Arc<GatewayService>,
    asker: Asker,
    model: &str,
    answers: u64,
) -> Result<Option<QueuedHold>, AppError> {
    let context = service.config.ai.context_tokens as u64;
    let amounts = service.worst_of_answer(service.find_model(model).as_deref(), Wanted::words(context, None), 1);
    let bill = service.bill(asker.into(), &service.budgets_of(asker), QuotaMetric::Answers, amounts);
    if bill.is_empty() {
        return Ok(None);
    }
    // Other instances have to know it by its name, so that it is taken from no block.
    let held = try_join_all((0..answers).map(|_| service.hold(&bill, amounts, Origin::Own))).await.map_err(in_chat)?;
    Ok(Some(QueuedHold(held)))
}

/// What a model is asked for an answer, each time that it is.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    pub model: &'a str,
    pub estimated_input: u64,
    pub max_output: Option<u64>,
    /// What was held for it before the answer was queued.
    pub queued: Option<Uuid>,
    /// Whether the answer is counted with it.
    pub is_first: bool,
}

/// What is held while a model writes an answer, or a part of one.
#[must_use]
pub struct RoundHold {
    held: Held,
    model: Option<Arc<Model>>,
    asker: Asker,
    worst: Amounts,
    amount: MicroCredits,
    /// There is no more: it ends where it has used what is held.
    refused: Option<Refusal>,
    pub is_first: bool,
}

/// Holds what it may cost to ask a model once more for an answer.
pub async fn hold_round(service: &Arc<GatewayService>, asker: Asker, round: Round<'_>) -> Result<RoundHold, AppError> {
    model_lists::check(service, asker, round.model, "model")?;
    check_price(service, round.model, "model")?;
    let model = service.find_model(round.model);
    let count = i64::from(round.is_first);
    let worst =
        service.worst_of_answer(model.as_deref(), Wanted::words(round.estimated_input, round.max_output), count);
    let adopted = match round.queued {
        Some(id) => service.billing.holds.adopt(id).await?,
        None => None,
    };
    let queued = adopted.map_or_else(Amounts::default, |held| held.amounts());
    let mut held = Held { gateway: Arc::clone(service), held: adopted.into_iter().collect() };
    // What was held before is what is usual; what the model is asked may be more.
    if adopted.is_none() || worst.cost > queued.cost {
        let missing = worst.beyond(queued);
        let payer = Payer { account: held.account(), ..asker.into() };
        let bill = service.bill(payer, &service.budgets_of(asker), QuotaMetric::Answers, missing);
        held.add(service.hold(&bill, missing, Origin::Blocks).await.map_err(in_chat)?);
    }
    let (worst, amount) = (Amounts { count: 0, ..worst }, worst.cost.max(queued.cost));
    Ok(RoundHold { held, model, asker, worst, amount, refused: None, is_first: round.is_first })
}

impl RoundHold {
    /// Whether the model is about to have cost more than is held; where there is no more, whether it has.
    pub fn is_outgrown(&self, usage: &Usage) -> bool {
        let Some(price) = self.model.as_ref().and_then(|model| model.price.as_ref()) else { return false };
        let room = if self.refused.is_some() { 0 } else { self.amount.0 / 10 };
        !self.held.held.is_empty() && cost(price, usage).0 > self.amount.0 - room
    }

    /// Holds as much again. An error where it has used what there is.
    pub async fn grow(&mut self) -> Result<(), AppError> {
        if let Some(refused) = self.refused.take() {
            return Err(in_chat(refused));
        }
        let gateway = &self.held.gateway;
        let payer = Payer { account: self.held.account(), ..self.asker.into() };
        let bill = gateway.bill(payer, &gateway.budgets_of(self.asker), QuotaMetric::Answers, self.worst);
        match gateway.hold(&bill, self.worst, Origin::Blocks).await {
            Ok(more) => {
                self.held.add(more);
                self.amount += self.worst.cost;
            }
            Err(Refusal::Failed(error)) => return Err(error),
            Err(refusal) => self.refused = Some(refusal),
        }
        Ok(())
    }

    pub(super) fn settle(self, row: usage_request::Model, model: Arc<str>, count: i64) {
        self.held.settle(row, model, count);
    }
}

impl GatewayService {
    fn worst_of_answer(&self, model: Option<&Model>, wanted: Wanted, count: i64) -> Amounts {
        let worst = model.map_or_else(Amounts::default, |model| self.worst_case(model, GatewayEndpoint::Chat, wanted));
        Amounts { count, ..worst }
    }
}

/// A refusal as somebody in a chat reads it.
fn in_chat(refusal: Refusal) -> AppError {
    let Refusal::OutOfBudget(UsedUp { scope, resets_at }) = refusal else { return refusal.into() };
    let whose = match scope {
        BudgetScope::Workspace => "This workspace’s AI budget",
        BudgetScope::Key | BudgetScope::User => "Your AI budget",
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
