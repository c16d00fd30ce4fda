//! Keys for one's own programs.

use std::time::Duration;

use appcore::{
    ApiKeyId, AppError, Timestamp, WorkspaceId,
    auth::Scope,
    page::{Page, PageRequest},
    view::{ApiKey, BudgetLimit, GatewayEndpoint, GatewayPass},
};
use gateway::{
    PolicyChange,
    keys::{self, KeyChange, NewApiKey},
};
use identity::accounts::{Confirmed, api_keys};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListApiKeys>(),
    EndpointDef::of::<CreateApiKey>(),
    EndpointDef::of::<ChangeApiKey>(),
    EndpointDef::of::<RotateApiKey>(),
    EndpointDef::of::<RevokeApiKey>(),
];

#[dto(request)]
pub struct ListApiKeysRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List one's API keys
///
/// Without the keys themselves: those are shown once.
#[endpoint(GET "/r1/api_keys", tag = "api_keys", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListApiKeys {
    type Request = ListApiKeysRequest;
    type Response = Page<ApiKey>;

    async fn handle(ctx: &Ctx, request: ListApiKeysRequest) -> Result<Reply<Page<ApiKey>>, AppError> {
        Ok(Reply::of(keys::list(ctx.gateway(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateApiKeyRequest {
    /// What it is for.
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// `read`: GET requests and events; `write`: other requests; `gateway`: `/v1`; `admin`: administration of the installation, reading included. Only
    /// administrators can give `admin`. No key reaches the sign-in, keys and devices, or deletes the account.
    #[validate(length(min = 1, max = 10, message = "Choose at least one permission."))]
    pub scopes: Vec<Scope>,
    /// Left out: it is good until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// Whose budget its use counts against, too. It ends with the caller's membership there.
    pub workspace_id: Option<WorkspaceId>,
    /// Models that it may ask for, by name or alias. Left out or empty: every model.
    #[validate(length(max = 200))]
    pub models: Option<Vec<String>>,
    /// Parts of `/v1` that it may call. Left out or empty: all.
    #[validate(length(max = 20))]
    pub endpoints: Option<Vec<GatewayEndpoint>>,
    /// Restricted parameters that are passed through to the provider, as far as its settings allow. Left out: all that these allow; empty: none.
    #[validate(length(max = 20))]
    pub passthrough: Option<Vec<GatewayPass>>,
    /// Requests in a minute.
    #[validate(range(min = 1, max = 1_000_000_000))]
    pub rpm: Option<u32>,
    /// Tokens in a minute.
    #[validate(range(min = 1, max = 1_000_000_000))]
    pub tpm: Option<u32>,
    /// Requests at the same time.
    #[validate(range(min = 1, max = 100_000))]
    pub parallel: Option<u32>,
    /// Left out: no limit but those of its owner and workspace.
    pub budget: Option<BudgetLimit>,
}

/// A key, just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewKey {
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// For `Authorization: Bearer`. It is not shown again.
    pub key: String,
}

/// Create an API key
///
/// Asked for by somebody who has shown a moment ago that it is them: see `POST /r1/auth/confirm`.
#[endpoint(POST "/r1/api_keys", tag = "api_keys", access = Access::User, rate = RateGroup::Write, status = 201, requires = Confirmed, errors(WrongState, NotFound))]
impl Endpoint for CreateApiKey {
    type Request = CreateApiKeyRequest;
    type Response = NewKey;

    async fn handle(ctx: &Ctx, request: CreateApiKeyRequest, by: &Confirmed) -> Result<Reply<NewKey>, AppError> {
        let policy = PolicyChange {
            workspace_id: Some(request.workspace_id),
            models: request.models,
            endpoints: request.endpoints,
            passthrough: Some(request.passthrough),
            rpm: Some(request.rpm),
            tpm: Some(request.tpm),
            parallel: Some(request.parallel),
            budget: Some(request.budget),
        };
        let CreateApiKeyRequest { name, scopes, expires_at, .. } = request;
        let new = NewApiKey { name, scopes: scopes.into(), expires_at, policy };
        let (api_key, key) = keys::create(ctx.gateway(), by, new).await?;
        Ok(Reply::of(NewKey { api_key, key: key.expose().to_owned() }))
    }
}

#[dto(request)]
pub struct ChangeApiKeyRequest {
    #[from(path)]
    pub id: ApiKeyId,
    #[schema(min_length = 1, max_length = 80)]
    pub name: Option<String>,
    #[validate(length(min = 1, max = 10, message = "Choose at least one permission."))]
    pub scopes: Option<Vec<Scope>>,
    /// Null: it is good until it is revoked.
    pub expires_at: Option<Option<Timestamp>>,
    /// Null: none.
    pub workspace_id: Option<Option<WorkspaceId>>,
    /// Null or empty: every model.
    pub models: Option<Option<Vec<String>>>,
    /// Null or empty: all of `/v1`.
    pub endpoints: Option<Option<Vec<GatewayEndpoint>>>,
    /// Null: all that the provider's settings allow; empty: none.
    pub passthrough: Option<Option<Vec<GatewayPass>>>,
    /// Null: no limit.
    pub rpm: Option<Option<u32>>,
    /// Null: no limit.
    pub tpm: Option<Option<u32>>,
    /// Null: no limit.
    pub parallel: Option<Option<u32>>,
    /// Null lifts it.
    pub budget: Option<Option<BudgetLimit>>,
}

/// Change an API key
///
/// What is left out stays as it is. What it may do is another at once, on every instance. Asked for by somebody who has shown a moment ago
/// that it is them.
#[endpoint(PATCH "/r1/api_keys/{id}", tag = "api_keys", access = Access::User, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for ChangeApiKey {
    type Request = ChangeApiKeyRequest;
    type Response = ApiKey;

    async fn handle(ctx: &Ctx, request: ChangeApiKeyRequest, by: &Confirmed) -> Result<Reply<ApiKey>, AppError> {
        let policy = PolicyChange {
            workspace_id: request.workspace_id,
            models: request.models.map(Option::unwrap_or_default),
            endpoints: request.endpoints.map(Option::unwrap_or_default),
            passthrough: request.passthrough,
            rpm: request.rpm,
            tpm: request.tpm,
            parallel: request.parallel,
            budget: request.budget,
        };
        let ChangeApiKeyRequest { id, name, scopes, expires_at, .. } = request;
        let change = KeyChange { name, scopes: scopes.map(Into::into), expires_at, policy };
        Ok(Reply::of(keys::update(ctx.gateway(), by, id, change).await?))
    }
}

#[dto(request)]
pub struct RotateApiKeyRequest {
    #[from(path)]
    pub id: ApiKeyId,
    /// How long the secret from before is accepted beside the new one. Left out: not at all.
    #[validate(range(max = 2_592_000))]
    pub grace_seconds: Option<u32>,
}

/// Give an API key another secret
///
/// The key stays the same, with its usage, limits and budget. Asked for by somebody who has shown a moment ago that it is them.
#[endpoint(POST "/r1/api_keys/{id}/rotate", tag = "api_keys", access = Access::User, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for RotateApiKey {
    type Request = RotateApiKeyRequest;
    type Response = NewKey;

    async fn handle(ctx: &Ctx, request: RotateApiKeyRequest, by: &Confirmed) -> Result<Reply<NewKey>, AppError> {
        let grace = Duration::from_secs(u64::from(request.grace_seconds.unwrap_or(0)));
        let (api_key, key) = keys::rotate(ctx.gateway(), by, request.id, grace).await?;
        Ok(Reply::of(NewKey { api_key, key: key.expose().to_owned() }))
    }
}

#[dto(request)]
pub struct RevokeApiKeyRequest {
    #[from(path)]
    pub id: ApiKeyId,
}

/// Revoke an API key
///
/// It is refused at once, on every instance, and the connections that were opened with it are closed.
#[endpoint(DELETE "/r1/api_keys/{id}", tag = "api_keys", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for RevokeApiKey {
    type Request = RevokeApiKeyRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RevokeApiKeyRequest) -> Result<Reply<NoData>, AppError> {
        api_keys::revoke(ctx.identity(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
