//! What a call may cost is held before it is made: the one place for calls under `/v1` and for answers in chats.

use std::{borrow::Cow, sync::Arc};

use appcore::{
    AppError, Code, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{BudgetScope, GatewayEndpoint},
};
use dbcontext::{entity::usage_request, query::budgets::BudgetId};
use uuid::Uuid;

use super::{
    Gateway, Refusal,
    budgets::{HeldFor, Origin, Settlement, UsedUp},
    writer::Entry,
};
use crate::{
    App, entitlements,
    ledger::{self, CreditHold, CreditSettlement},
};

/// What is held for a call. Dropped without being settled it is free again, and the call costs nothing.
#[must_use]
pub struct Held {
    gateway: Arc<Gateway>,
    held: Option<HeldFor>,
    credits: Option<CreditHold>,
}

impl Gateway {
    /// Holds what a call may cost in everything that it counts against, or says what has too little left.
    pub(super) async fn hold(
        self: &Arc<Self>,
        budgets: &[BudgetId],
        amount: MicroCredits,
        origin: Origin,
    ) -> Result<Held, Refusal> {
        let held = if budgets.is_empty() { None } else { self.hold_budgets(budgets, amount, origin).await? };
        Ok(Held { gateway: Arc::clone(self), held, credits: None })
    }

    /// The same for a program's call, which is also paid from its owner's credits where anything is charged.
    pub(super) async fn hold_call(
        self: &Arc<Self>,
        user_id: UserId,
        budgets: &[BudgetId],
        amount: MicroCredits,
    ) -> Result<Held, Refusal> {
        let mut held = self.hold(budgets, amount, Origin::Blocks).await?;
        // What costs nothing needs no credits.
        if let Some(credits) = &self.credits
            && amount > MicroCredits::ZERO
        {
            self.check_quota(user_id, false).await?;
            held.credits = Some(self.hold_credits(credits, user_id, amount).await?);
        }
        Ok(held)
    }

    async fn hold_credits(
        &self,
        credits: &ledger::Holds,
        user_id: UserId,
        amount: MicroCredits,
    ) -> Result<CreditHold, Refusal> {
        let taken = credits.take(user_id.0, amount).await.map_err(Refusal::Failed)?;
        if taken.is_none() && self.writer.is_behind() {
            // What ended a moment ago is still held.
            self.writer.flush().await;
            return credits.take(user_id.0, amount).await.map_err(Refusal::Failed)?.ok_or(Refusal::OutOfCredits);
        }
        taken.ok_or(Refusal::OutOfCredits)
    }

    async fn check_quota(&self, user_id: UserId, is_answer: bool) -> Result<(), Refusal> {
        let reached = entitlements::reached(&self.db, user_id, self.clock.now(), is_answer).await;
        reached.map_err(Refusal::Failed)?.map_or(Ok(()), |quota| Err(Refusal::QuotaReached(quota)))
    }

    /// Whether somebody has the credits for answers in chats. They are charged when the answers are written.
    async fn check_credits(&self, user_id: UserId, amount: MicroCredits) -> Result<(), Refusal> {
        if self.credits.is_none() || amount <= MicroCredits::ZERO {
            return Ok(());
        }
        self.check_quota(user_id, true).await?;
        let available = ledger::available(&self.db, user_id).await.map_err(Refusal::Failed)?;
        if available < amount { Err(Refusal::OutOfCredits) } else { Ok(()) }
    }

    async fn hold_budgets(
        &self,
        budgets: &[BudgetId],
        amount: MicroCredits,
        origin: Origin,
    ) -> Result<Option<HeldFor>, Refusal> {
        let taken = self.take(budgets, amount, origin).await?;
        let Err(used_up) = taken else { return taken.map_err(Refusal::OutOfBudget) };
        // What ended a moment ago may still be held, and something may be held in advance.
        let is_behind = self.writer.is_behind();
        if is_behind {
            self.writer.flush().await;
        }
        if self.holds.give_back(Some(budgets)).await.map_err(Refusal::Failed)? || is_behind {
            return self.take(budgets, amount, origin).await?.map_err(Refusal::OutOfBudget);
        }
        Err(Refusal::OutOfBudget(used_up))
    }

    async fn take(
        &self,
        budgets: &[BudgetId],
        amount: MicroCredits,
        origin: Origin,
    ) -> Result<Result<Option<HeldFor>, UsedUp>, Refusal> {
        let taken = match origin {
            Origin::Own => self.holds.take_own(budgets, amount).await,
            Origin::Blocks => self.holds.take(budgets, amount).await,
        };
        taken.map_err(Refusal::Failed)
    }
}

impl Held {
    /// Books what the call cost, with its row.
    pub(super) fn settle(mut self, row: usage_request::Model, model: Arc<str>) {
        let (settlement, credits) = self.end(row.cost);
        self.gateway.writer.push(Entry { row: Some(row), model, settlement, credits });
    }

    fn end(&mut self, cost: MicroCredits) -> (Option<Settlement>, Option<CreditSettlement>) {
        let settlement = self.held.take().and_then(|held| self.gateway.holds.end(held, cost));
        let credits = self.credits.take().map(|held| {
            if let Some(credits) = &self.gateway.credits {
                credits.ended(held);
            }
            CreditSettlement { account: held.account, hold: Some(held.id), source: held.id, cost }
        });
        (settlement, credits)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (settlement, credits) = self.end(MicroCredits::ZERO);
        if settlement.is_some() || credits.is_some() {
            self.gateway.writer.push(Entry { row: None, model: Arc::default(), settlement, credits });
        }
    }
}

/// Whose question an answer in a chat is for.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
}

/// What is held for an answer until a worker begins it. Dropped without being handed over it is free again.
#[must_use]
pub struct QueuedHold {
    id: Option<Uuid>,
    held: Held,
}

impl QueuedHold {
    /// The name under which the worker knows it.
    #[must_use]
    pub fn id(&self) -> Option<Uuid> {
        self.id
    }

    /// The answer is queued. Its worker takes what is held over, or it expires.
    pub fn hand_over(mut self) {
        if let Some(held) = self.held.held.take() {
            self.held.gateway.holds.let_go(&held);
        }
    }
}

/// Holds what so many answers may cost before they are queued.
pub(crate) async fn queue_answers(
    app: &App,
    asker: Asker,
    model: &str,
    answers: u64,
) -> Result<Option<QueuedHold>, AppError> {
    let gateway = &app.gateway;
    let budgets = gateway.budgets_of(asker);
    let one = gateway.find_model(model).map_or(MicroCredits::ZERO, |model| {
        gateway.worst_case(&model, GatewayEndpoint::Chat, (app.config.ai.context_tokens as u64, None))
    });
    let amount = MicroCredits(one.0.saturating_mul(i64::try_from(answers).unwrap_or(i64::MAX)));
    gateway.check_credits(asker.user_id, amount).await.map_err(in_chat)?;
    if budgets.is_empty() || answers == 0 {
        return Ok(None);
    }
    // Other instances have to know it by its name, so that it is taken from no block.
    let held = gateway.hold(&budgets, amount, Origin::Own).await.map_err(in_chat)?;
    let id = held.held.as_ref().and_then(HeldFor::id);
    Ok(Some(QueuedHold { id, held }))
}

/// What stays held for an answer while it is written. What it costs is booked with its rows.
#[must_use]
pub(crate) struct AnswerHold {
    answer_id: Uuid,
    held: Held,
}

impl Drop for AnswerHold {
    fn drop(&mut self) {
        self.held.gateway.answers_held.remove(&self.answer_id);
    }
}

/// Takes over what was held for an answer before it was queued, by whichever instance.
pub(crate) fn take_over(app: &App, asker: Asker, answer_id: Uuid, queued: Uuid) -> AnswerHold {
    let gateway = &app.gateway;
    let budgets = gateway.budgets_of(asker);
    let held = gateway.holds.adopt(queued, &budgets);
    gateway.answers_held.insert(answer_id, budgets);
    AnswerHold { answer_id, held: Held { gateway: Arc::clone(gateway), held: Some(held), credits: None } }
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
    AppError::Refused { code: Code::BudgetExceeded, message: Some(message), retry_after: None }
}
