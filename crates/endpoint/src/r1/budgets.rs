//! Budgets of users and workspaces. Budgets of API keys are set by the keys' owners.

use appcore::{
    AppError, Code,
    credits::MicroCredits,
    page::{Page, PageRequest},
    view::{BudgetLimit, BudgetPeriod, BudgetScope, ScopedBudget},
};
use gateway::budgets;
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};
use uuid::Uuid;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<ListBudgets>(), EndpointDef::of::<PutBudget>(), EndpointDef::of::<LiftBudget>()];

#[dto(request)]
pub struct ListBudgetsRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List the budgets of users and workspaces
#[endpoint(GET "/r1/admin/budgets", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListBudgets {
    type Request = ListBudgetsRequest;
    type Response = Page<ScopedBudget>;

    async fn handle(ctx: &Ctx, request: ListBudgetsRequest) -> Result<Reply<Page<ScopedBudget>>, AppError> {
        Ok(Reply::of(budgets::list(ctx.gateway(), request.page).await?))
    }
}

#[dto(request)]
pub struct PutBudgetRequest {
    /// Owner of the budget: `user` or `workspace`.
    #[from(path)]
    pub scope: BudgetScope,
    #[from(path)]
    pub id: String,
    /// Maximum amount per period, in micro-credits.
    pub limit: MicroCredits,
    pub period: BudgetPeriod,
}

/// Set the budget of a user or workspace
///
/// Applies at once, and counts what was already spent in the period.
#[endpoint(PUT "/r1/admin/budgets/{scope}/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for PutBudget {
    type Request = PutBudgetRequest;
    type Response = ScopedBudget;

    async fn handle(ctx: &Ctx, request: PutBudgetRequest, by: &Confirmed) -> Result<Reply<ScopedBudget>, AppError> {
        let PutBudgetRequest { scope, id, limit, period } = request;
        let limit = BudgetLimit { limit, period };
        Ok(Reply::of(budgets::set(ctx.gateway(), by, scope, parse_owner_id(&id)?, limit).await?))
    }
}

#[dto(request)]
pub struct LiftBudgetRequest {
    /// Owner of the budget: `user` or `workspace`.
    #[from(path)]
    pub scope: BudgetScope,
    #[from(path)]
    pub id: String,
}

/// Remove the budget of a user or workspace
#[endpoint(DELETE "/r1/admin/budgets/{scope}/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for LiftBudget {
    type Request = LiftBudgetRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: LiftBudgetRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        budgets::remove(ctx.gateway(), by, request.scope, parse_owner_id(&request.id)?).await?;
        Ok(Reply::of(NoData))
    }
}

/// Parses the id of the user or workspace that the budget belongs to.
fn parse_owner_id(id: &str) -> Result<Uuid, AppError> {
    id.parse().map_err(|_| Code::NotFound.into())
}
