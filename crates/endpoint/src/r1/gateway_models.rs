//! Models available to users, and model definitions by administrators.

use appcore::{
    AppError, WorkspaceId,
    page::{Page, PageRequest},
    view::{
        GatewayModel, ModelCapabilities, ModelDefinition, ModelDeployment, ModelFallbacks, ModelParameterLimits,
        ModelPrice, UsableModel,
    },
};
use gateway::models;
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply, input::unescape_slashes};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListModels>(),
    EndpointDef::of::<ListGatewayModels>(),
    EndpointDef::of::<FindGatewayModel>(),
    EndpointDef::of::<PutGatewayModel>(),
    EndpointDef::of::<RemoveGatewayModel>(),
];

#[dto(request)]
pub struct ListModelsRequest {
    /// Workspace in which the models can be used; by default anywhere.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the models that you can use
///
/// Includes the capabilities of each model.
#[endpoint(GET "/r1/models", tag = "assistants", access = Access::User, rate = RateGroup::Read, errors(NotFound))]
impl Endpoint for ListModels {
    type Request = ListModelsRequest;
    type Response = Page<UsableModel>;

    async fn handle(ctx: &Ctx, request: ListModelsRequest) -> Result<Reply<Page<UsableModel>>, AppError> {
        Ok(Reply::of(models::list_usable(ctx.gateway(), ctx.user()?, request.workspace_id, request.page).await?))
    }
}

#[dto(request)]
pub struct ListGatewayModelsRequest {
    /// Text in the name, the provider's name or the name at the provider.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List all models
///
/// Those from the configuration and those defined by administrators.
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
    /// Name of the model, in which slashes are written as `%2F`.
    #[from(path)]
    pub name: String,
}

/// Show a model
#[endpoint(GET "/r1/admin/models/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for FindGatewayModel {
    type Request = FindGatewayModelRequest;
    type Response = GatewayModel;

    async fn handle(ctx: &Ctx, request: FindGatewayModelRequest) -> Result<Reply<GatewayModel>, AppError> {
        Ok(Reply::of(models::find(ctx.gateway(), &unescape_slashes(&request.name))?))
    }
}

#[dto(request)]
pub struct PutGatewayModelRequest {
    /// Name of the model, in which slashes are written as `%2F`.
    #[from(path)]
    pub name: String,
    /// Alternative names of the model.
    #[validate(length(max = 50))]
    pub aliases: Option<Vec<String>>,
    /// Deployments at providers; optional if the configuration has the model.
    #[validate(length(max = 50))]
    pub deployments: Option<Vec<ModelDeployment>>,
    pub fallbacks: Option<ModelFallbacks>,
    /// Prices in micro-credits per million tokens; by default the built-in ones.
    pub price: Option<ModelPrice>,
    pub capabilities: Option<ModelCapabilities>,
    /// Limits on request parameters; by default the built-in ones.
    pub parameters: Option<ModelParameterLimits>,
}

/// Define a model
///
/// Replaces an earlier definition and the configuration's, at once.
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
        Ok(Reply::of(models::define_model(ctx.gateway(), by, &unescape_slashes(&request.name), definition).await?))
    }
}

#[dto(request)]
pub struct RemoveGatewayModelRequest {
    /// Name of the model, in which slashes are written as `%2F`.
    #[from(path)]
    pub name: String,
}

/// Remove a model definition
///
/// A definition from the configuration applies again.
#[endpoint(DELETE "/r1/admin/models/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for RemoveGatewayModel {
    type Request = RemoveGatewayModelRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemoveGatewayModelRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        models::remove(ctx.gateway(), by, &unescape_slashes(&request.name)).await?;
        Ok(Reply::of(NoData))
    }
}
