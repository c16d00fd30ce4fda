//! Allowed models of users and workspaces. The allowed models of API keys are set by the keys'
//! owners.

use appcore::{
    AppError, Code,
    page::{Page, PageRequest},
    view::{BudgetScope, ModelList},
};
use gateway::model_lists;
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};
use uuid::Uuid;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<ListModelLists>(), EndpointDef::of::<PutModelList>(), EndpointDef::of::<LiftModelList>()];

#[dto(request)]
pub struct ListModelListsRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List the model restrictions of users and workspaces
#[endpoint(GET "/r1/admin/model_lists", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListModelLists {
    type Request = ListModelListsRequest;
    type Response = Page<ModelList>;

    async fn handle(ctx: &Ctx, request: ListModelListsRequest) -> Result<Reply<Page<ModelList>>, AppError> {
        Ok(Reply::of(model_lists::list(ctx.gateway(), request.page).await?))
    }
}

#[dto(request)]
pub struct PutModelListRequest {
    /// Kind of the restricted object: `user` or `workspace`.
    #[from(path)]
    pub scope: BudgetScope,
    #[from(path)]
    pub id: String,
    /// Allowed models, by name or alias.
    #[validate(length(min = 1, max = 200))]
    pub models: Vec<String>,
}

/// Restrict a user or workspace to some models
///
/// Applies to API keys and chats at once. A key may call only models in its own, its owner's and
/// its workspace's list.
#[endpoint(PUT "/r1/admin/model_lists/{scope}/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for PutModelList {
    type Request = PutModelListRequest;
    type Response = ModelList;

    async fn handle(ctx: &Ctx, request: PutModelListRequest, by: &Confirmed) -> Result<Reply<ModelList>, AppError> {
        let PutModelListRequest { scope, id, models } = request;
        Ok(Reply::of(model_lists::set(ctx.gateway(), by, scope, parse_owner_id(&id)?, models).await?))
    }
}

#[dto(request)]
pub struct LiftModelListRequest {
    /// Kind of the restricted object: `user` or `workspace`.
    #[from(path)]
    pub scope: BudgetScope,
    #[from(path)]
    pub id: String,
}

/// Remove the model restriction of a user or workspace
#[endpoint(DELETE "/r1/admin/model_lists/{scope}/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for LiftModelList {
    type Request = LiftModelListRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: LiftModelListRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        model_lists::remove(ctx.gateway(), by, request.scope, parse_owner_id(&request.id)?).await?;
        Ok(Reply::of(NoData))
    }
}

/// Parses the id of the restricted user or workspace.
fn parse_owner_id(id: &str) -> Result<Uuid, AppError> {
    id.parse().map_err(|_| Code::NotFound.into())
}
