//! The models that people and workspaces may use. Keys have their lists from their owners.

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

/// List who is limited to some models
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
    /// `user` or `workspace`.
    #[from(path)]
    pub scope: BudgetScope,
    #[from(path)]
    pub id: String,
    /// By name or alias.
    #[validate(length(min = 1, max = 200))]
    pub models: Vec<String>,
}

/// Limit a person or a workspace to some models
///
/// Their keys and their chats, at once and on every instance. A key may call what its own list, its owner's and its workspace's have in common.
#[endpoint(PUT "/r1/admin/model_lists/{scope}/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for PutModelList {
    type Request = PutModelListRequest;
    type Response = ModelList;

    async fn handle(ctx: &Ctx, request: PutModelListRequest, by: &Confirmed) -> Result<Reply<ModelList>, AppError> {
        let PutModelListRequest { scope, id, models } = request;
        Ok(Reply::of(model_lists::set(ctx.gateway(), by, scope, holder(&id)?, models).await?))
    }
}

#[dto(request)]
pub struct LiftModelListRequest {
    /// `user` or `workspace`.
    #[from(path)]
    pub scope: BudgetScope,
    #[from(path)]
    pub id: String,
}

/// Let a person or a workspace use every model again
#[endpoint(DELETE "/r1/admin/model_lists/{scope}/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for LiftModelList {
    type Request = LiftModelListRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: LiftModelListRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        model_lists::lift(ctx.gateway(), by, request.scope, holder(&request.id)?).await?;
        Ok(Reply::of(NoData))
    }
}

/// Who is meant.
fn holder(id: &str) -> Result<Uuid, AppError> {
    id.parse().map_err(|_| Code::NotFound.into())
}
