//! Keys for one's own programs.

use appcore::{
    ApiKeyId, AppError, Timestamp,
    auth::Scope,
    page::{Page, PageRequest},
    view::ApiKey,
};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use service::accounts::api_keys::{self, NewApiKey};
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<ListApiKeys>(), EndpointDef::of::<CreateApiKey>(), EndpointDef::of::<RevokeApiKey>()];

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
        Ok(Reply::of(api_keys::list(ctx.app(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateApiKeyRequest {
    /// What it is for.
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// `read`: what GET gives, and following events; `write`: everything else; `gateway`: `/v1`. No key reaches the sign-in, keys and
    /// devices, or deletes the account.
    #[validate(length(min = 1, max = 10, message = "Choose at least one permission: read, write or gateway."))]
    pub scopes: Vec<Scope>,
    /// Left out: it is good until it is revoked.
    pub expires_at: Option<Timestamp>,
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
#[endpoint(POST "/r1/api_keys", tag = "api_keys", access = Access::User, rate = RateGroup::Write, status = 201, errors(FreshSignInRequired, WrongState))]
impl Endpoint for CreateApiKey {
    type Request = CreateApiKeyRequest;
    type Response = NewKey;

    async fn handle(ctx: &Ctx, request: CreateApiKeyRequest) -> Result<Reply<NewKey>, AppError> {
        let new = NewApiKey { name: request.name, scopes: request.scopes.into(), expires_at: request.expires_at };
        let (api_key, key) = api_keys::create(ctx.app(), ctx.user()?, new).await?;
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
        api_keys::revoke(ctx.app(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
