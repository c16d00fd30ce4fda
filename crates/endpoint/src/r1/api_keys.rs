//! API keys of users.

use std::{collections::BTreeMap, time::Duration};

use appcore::{
    ApiKeyId, AppError, Timestamp, WorkspaceId,
    auth::Scope,
    page::{Page, PageRequest},
    view::{ApiKey, BudgetLimit, EndUserSource, GatewayEndpoint, RestrictedParameter},
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

/// List your API keys
///
/// The secrets are not included.
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
    /// Label of the key.
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// Scopes: `read` for GET requests and events, `write` for other requests, `gateway` for `/v1`,
    /// and `admin` for administration, including reads; only administrators can grant it. No key
    /// can be used for sign-in, API keys, sessions, or to delete the account.
    #[validate(length(min = 1, max = 10, message = "Choose at least one permission."))]
    pub scopes: Vec<Scope>,
    /// Time of expiry; by default none.
    pub expires_at: Option<Timestamp>,
    /// Workspace whose budget counts the usage as well. The key becomes invalid when its owner
    /// leaves the workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// Allowed models, by name or alias; by default or if empty, all.
    #[validate(length(max = 200))]
    pub models: Option<Vec<String>>,
    /// Allowed endpoints of `/v1`; by default or if empty, all.
    #[validate(length(max = 20))]
    pub endpoints: Option<Vec<GatewayEndpoint>>,
    /// Restricted parameters to pass through, as far as the provider's settings allow; by default
    /// all; if empty, none.
    #[validate(length(max = 20))]
    pub passthrough: Option<Vec<RestrictedParameter>>,
    /// Maximum number of requests per minute.
    #[validate(range(min = 1, max = 1_000_000_000))]
    pub rpm: Option<u32>,
    /// Maximum number of tokens per minute.
    #[validate(range(min = 1, max = 1_000_000_000))]
    pub tpm: Option<u32>,
    /// Maximum number of concurrent requests.
    #[validate(range(min = 1, max = 100_000))]
    pub parallel: Option<u32>,
    /// Budget; by default only the limits of the owner and the workspace apply.
    pub budget: Option<BudgetLimit>,
    /// Source of the end user of a call; by default `body`.
    pub end_users: Option<EndUserSource>,
    /// Budget of each end user of the key; by default none.
    pub end_user_budget: Option<BudgetLimit>,
    /// Budgets of single end users in place of `end_user_budget`, by name; at most 100.
    pub end_user_budgets: Option<BTreeMap<String, BudgetLimit>>,
    /// Budgets for the calls of single models, by name or alias; at most 100.
    pub model_budgets: Option<BTreeMap<String, BudgetLimit>>,
    /// Budgets for the calls with single tags; at most 100.
    pub tag_budgets: Option<BTreeMap<String, BudgetLimit>>,
}

/// New API key with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewKey {
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// Secret for `Authorization: Bearer`. Shown only once.
    pub key: String,
}

/// Create an API key
///
/// Requires a fresh sign-in.
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
            end_users: request.end_users,
            end_user_budget: Some(request.end_user_budget),
            end_user_budgets: request.end_user_budgets,
            model_budgets: request.model_budgets,
            tag_budgets: request.tag_budgets,
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
    /// Time of expiry; null for none.
    pub expires_at: Option<Option<Timestamp>>,
    /// Workspace whose budget counts the usage as well; null for none.
    pub workspace_id: Option<Option<WorkspaceId>>,
    /// Allowed models; null or empty for all.
    pub models: Option<Option<Vec<String>>>,
    /// Allowed endpoints of `/v1`; null or empty for all.
    pub endpoints: Option<Option<Vec<GatewayEndpoint>>>,
    /// Restricted parameters to pass through, as far as the provider's settings allow; null for
    /// all, empty for none.
    pub passthrough: Option<Option<Vec<RestrictedParameter>>>,
    /// Maximum requests per minute; null for no limit.
    pub rpm: Option<Option<u32>>,
    /// Maximum tokens per minute; null for no limit.
    pub tpm: Option<Option<u32>>,
    /// Maximum concurrent requests; null for no limit.
    pub parallel: Option<Option<u32>>,
    /// Budget; null removes it.
    pub budget: Option<Option<BudgetLimit>>,
    /// Source of the end user of a call.
    pub end_users: Option<EndUserSource>,
    /// Budget of each end user of the key; null removes it.
    pub end_user_budget: Option<Option<BudgetLimit>>,
    /// Budgets of single end users in place of `end_user_budget`, by name; at most 100. Replaces
    /// all of them; null removes them.
    pub end_user_budgets: Option<Option<BTreeMap<String, BudgetLimit>>>,
    /// Budgets for the calls of single models, by name or alias; at most 100. Replaces all of them;
    /// null removes them.
    pub model_budgets: Option<Option<BTreeMap<String, BudgetLimit>>>,
    /// Budgets for the calls with single tags; at most 100. Replaces all of them; null removes
    /// them.
    pub tag_budgets: Option<Option<BTreeMap<String, BudgetLimit>>>,
}

/// Change an API key
///
/// Omitted fields stay unchanged. Applies at once. Requires a fresh sign-in.
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
            end_users: request.end_users,
            end_user_budget: request.end_user_budget,
            end_user_budgets: request.end_user_budgets.map(Option::unwrap_or_default),
            model_budgets: request.model_budgets.map(Option::unwrap_or_default),
            tag_budgets: request.tag_budgets.map(Option::unwrap_or_default),
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
    /// Seconds for which the previous secret stays valid; by default 0.
    #[validate(range(max = 2_592_000))]
    pub grace_seconds: Option<u32>,
}

/// Rotate the secret of an API key
///
/// Usage, limits and budget are kept. Requires a fresh sign-in.
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
/// Applies at once; connections opened with the key are closed.
#[endpoint(DELETE "/r1/api_keys/{id}", tag = "api_keys", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for RevokeApiKey {
    type Request = RevokeApiKeyRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RevokeApiKeyRequest) -> Result<Reply<NoData>, AppError> {
        api_keys::revoke(ctx.identity(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
