//! Models: what people may use, and what administrators define.

use appcore::{
    AppError, WorkspaceId,
    page::{Page, PageRequest},
    view::{
        GatewayModel, ModelCapabilities, ModelDefinition, ModelDeployment, ModelFallbacks, ModelPrice, ModelTakes,
        UsableModel,
    },
};
use gateway::models;
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply, input::with_slashes};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListModels>(),
    EndpointDef::of::<ListGatewayModels>(),
    EndpointDef::of::<FindGatewayModel>(),
    EndpointDef::of::<PutGatewayModel>(),
    EndpointDef::of::<RemoveGatewayModel>(),
];

#[dto(request)]
pub struct ListModelsRequest {
    /// Those that may be used there; left out: by the caller anywhere.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the models that one may use
///
/// With what each can do.
#[endpoint(GET "/r1/models", tag = "assistants", access = Access::User, rate = RateGroup::Read, errors(NotFound))]
impl Endpoint for ListModels {
    type Request = ListModelsRequest;
    type Response = Page<UsableModel>;

    async fn handle(ctx: &Ctx, request: ListModelsRequest) -> Result<Reply<Page<UsableModel>>, AppError> {
        Ok(Reply::of(models::usable(ctx.gateway(), ctx.user()?, request.workspace_id, request.page).await?))
    }
}

#[dto(request)]
pub struct ListGatewayModelsRequest {
    /// A part of a name, or of where it is had: the provider's name, or the model's there.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List all models
///
/// Those that follow from the configuration, and those that administrators have defined.
#[endpoint(GET "/r1/admin/models", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListGatewayModels {
    type Request = ListGatewayModelsRequest;
    type Response = Page<GatewayModel>;

    async fn handle(ctx: &Ctx, request: ListGatewayModelsRequest) -> Result<Reply<Page<GatewayModel>>, AppError> {
        Ok(Reply::of(models::list(ctx.gateway(), request.q.as_deref(), request.page)?))
    }
}

#[dto(request)]
pub struct FindGatewayModelRequest {
    /// A slash in it is written `%2F`.
    #[from(path)]
    pub name: String,
}

/// Read a model
#[endpoint(GET "/r1/admin/models/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for FindGatewayModel {
    type Request = FindGatewayModelRequest;
    type Response = GatewayModel;

    async fn handle(ctx: &Ctx, request: FindGatewayModelRequest) -> Result<Reply<GatewayModel>, AppError> {
        Ok(Reply::of(models::find(ctx.gateway(), &with_slashes(&request.name))?))
    }
}

#[dto(request)]
pub struct PutGatewayModelRequest {
    /// A slash in it is written `%2F`.
    #[from(path)]
    pub name: String,
    /// Other names for it.
    #[validate(length(max = 50))]
    pub aliases: Option<Vec<String>>,
    /// Where it can be had. May be left out where the configuration knows the model.
    #[validate(length(max = 50))]
    pub deployments: Option<Vec<ModelDeployment>>,
    pub fallbacks: Option<ModelFallbacks>,
    /// In micro-credits for a million tokens. Left out: the price of the shipped table.
    pub price: Option<ModelPrice>,
    pub capabilities: Option<ModelCapabilities>,
    /// Limits on request parameters. Left out: what Natter knows of the model.
    pub parameters: Option<ModelTakes>,
}

/// Define a model
///
/// It takes the place of what was defined before, and of what the configuration says of this name, at once and on every instance.
#[endpoint(PUT "/r1/admin/models/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for PutGatewayModel {
    type Request = PutGatewayModelRequest;
    type Response = GatewayModel;

    async fn handle(
        ctx: &Ctx,
        request: PutGatewayModelRequest,
        by: &Confirmed,
    ) -> Result<Reply<GatewayModel>, AppError> {
        let definition = ModelDefinition {
            aliases: request.aliases.unwrap_or_default(),
            deployments: request.deployments.unwrap_or_default(),
            fallbacks: request.fallbacks.unwrap_or_default(),
            price: request.price,
            capabilities: request.capabilities.unwrap_or_default(),
            parameters: request.parameters.unwrap_or_default(),
        };
        Ok(Reply::of(models::put(ctx.gateway(), by, &with_slashes(&request.name), definition).await?))
    }
}

#[dto(request)]
pub struct RemoveGatewayModelRequest {
    /// A slash in it is written `%2F`.
    #[from(path)]
    pub name: String,
}

/// Remove a model's definition
///
/// Where the configuration knows the model, that counts again.
#[endpoint(DELETE "/r1/admin/models/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for RemoveGatewayModel {
    type Request = RemoveGatewayModelRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemoveGatewayModelRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        models::remove(ctx.gateway(), by, &with_slashes(&request.name)).await?;
        Ok(Reply::of(NoData))
    }
}
