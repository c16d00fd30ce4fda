//! Service accounts and their API keys.

use std::{collections::BTreeMap, time::Duration};

use appcore::{
    ApiKeyId, AppError, Timestamp, UserId, WorkspaceId,
    page::{Page, PageRequest},
    view::{ApiKey, BudgetLimit, EndUserSource, GatewayEndpoint, RestrictedParameter, ServiceAccount},
};
use gateway::{
    PolicyChange,
    keys::KeyChange,
    service_accounts::{self, NewServiceAccount, NewServiceAccountKey, ServiceAccountChange},
};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};

use super::api_keys::NewKey;
use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListServiceAccounts>(),
    EndpointDef::of::<CreateServiceAccount>(),
    EndpointDef::of::<ShowServiceAccount>(),
    EndpointDef::of::<ChangeServiceAccount>(),
    EndpointDef::of::<DeleteServiceAccount>(),
    EndpointDef::of::<ListServiceAccountKeys>(),
    EndpointDef::of::<CreateServiceAccountKey>(),
    EndpointDef::of::<ChangeServiceAccountKey>(),
    EndpointDef::of::<RotateServiceAccountKey>(),
    EndpointDef::of::<RevokeServiceAccountKey>(),
];

#[dto(request)]
pub struct ListServiceAccountsRequest {
    /// Text in the name.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List service accounts
///
/// By name.
#[endpoint(GET "/r1/admin/service_accounts", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListServiceAccounts {
    type Request = ListServiceAccountsRequest;
    type Response = Page<ServiceAccount>;

    async fn handle(ctx: &Ctx, request: ListServiceAccountsRequest) -> Result<Reply<Page<ServiceAccount>>, AppError> {
        let text = request.q.unwrap_or_default();
        Ok(Reply::of(service_accounts::list(ctx.gateway(), &text, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateServiceAccountRequest {
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// Responsible person.
    pub contact_id: Option<UserId>,
    /// Budget of all keys together.
    pub budget: Option<BudgetLimit>,
}

/// Create a service account
///
/// Its API keys can only call models, and remain when the person who created them is deleted.
/// Requires a fresh sign-in.
#[endpoint(POST "/r1/admin/service_accounts", tag = "admin", access = Access::Admin, rate = RateGroup::Write, status = 201, requires = Confirmed, errors(WrongState))]
impl Endpoint for CreateServiceAccount {
    type Request = CreateServiceAccountRequest;
    type Response = ServiceAccount;

    async fn handle(
        ctx: &Ctx,
        request: CreateServiceAccountRequest,
        by: &Confirmed,
    ) -> Result<Reply<ServiceAccount>, AppError> {
        let CreateServiceAccountRequest { name, description, contact_id, budget } = request;
        let new = NewServiceAccount { name, description, contact_id, budget };
        Ok(Reply::of(service_accounts::create(ctx.gateway(), by, new).await?))
    }
}

#[dto(request)]
pub struct ServiceAccountRequest {
    #[from(path)]
    pub id: UserId,
}

/// Show a service account
#[endpoint(GET "/r1/admin/service_accounts/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ShowServiceAccount {
    type Request = ServiceAccountRequest;
    type Response = ServiceAccount;

    async fn handle(ctx: &Ctx, request: ServiceAccountRequest) -> Result<Reply<ServiceAccount>, AppError> {
        Ok(Reply::of(service_accounts::find(ctx.gateway(), request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeServiceAccountRequest {
    #[from(path)]
    pub id: UserId,
    #[schema(min_length = 1, max_length = 80)]
    pub name: Option<String>,
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// Responsible person; null for none.
    pub contact_id: Option<Option<UserId>>,
    /// False refuses all keys until it is true again.
    pub enabled: Option<bool>,
    /// Budget of all keys together; null removes it.
    pub budget: Option<Option<BudgetLimit>>,
}

/// Change, disable or enable a service account
///
/// Omitted fields stay unchanged. Applies at once. Requires a fresh sign-in.
#[endpoint(PATCH "/r1/admin/service_accounts/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for ChangeServiceAccount {
    type Request = ChangeServiceAccountRequest;
    type Response = ServiceAccount;

    async fn handle(
        ctx: &Ctx,
        request: ChangeServiceAccountRequest,
        by: &Confirmed,
    ) -> Result<Reply<ServiceAccount>, AppError> {
        let ChangeServiceAccountRequest { id, name, description, contact_id, enabled, budget } = request;
        let change = ServiceAccountChange { name, description, contact_id, enabled, budget };
        Ok(Reply::of(service_accounts::update(ctx.gateway(), by, id, change).await?))
    }
}

/// Delete a service account
///
/// Revokes its API keys at once, and deletes its files and batches. Its usage remains. Requires a
/// fresh sign-in.
#[endpoint(DELETE "/r1/admin/service_accounts/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for DeleteServiceAccount {
    type Request = ServiceAccountRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ServiceAccountRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        service_accounts::delete(ctx.gateway(), by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListServiceAccountKeysRequest {
    #[from(path)]
    pub id: UserId,
    #[from(page)]
    pub page: PageRequest,
}

/// List the API keys of a service account
///
/// The secrets are not included.
#[endpoint(GET "/r1/admin/service_accounts/{id}/api_keys", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListServiceAccountKeys {
    type Request = ListServiceAccountKeysRequest;
    type Response = Page<ApiKey>;

    async fn handle(ctx: &Ctx, request: ListServiceAccountKeysRequest) -> Result<Reply<Page<ApiKey>>, AppError> {
        Ok(Reply::of(service_accounts::list_keys(ctx.gateway(), request.id, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateServiceAccountKeyRequest {
    #[from(path)]
    pub id: UserId,
    /// Label of the key.
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// Time of expiry; by default none.
    pub expires_at: Option<Timestamp>,
    /// Workspace of the administrator whose budget counts the usage as well. The key becomes invalid
    /// when the workspace is deleted.
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
    /// Budget; by default only the limits of the service account and the workspace apply.
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

/// Create an API key of a service account
///
/// Its scope is `gateway`. Requires a fresh sign-in.
#[endpoint(POST "/r1/admin/service_accounts/{id}/api_keys", tag = "admin", access = Access::Admin, rate = RateGroup::Write, status = 201, requires = Confirmed, errors(WrongState))]
impl Endpoint for CreateServiceAccountKey {
    type Request = CreateServiceAccountKeyRequest;
    type Response = NewKey;

    async fn handle(
        ctx: &Ctx,
        request: CreateServiceAccountKeyRequest,
        by: &Confirmed,
    ) -> Result<Reply<NewKey>, AppError> {
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
        let CreateServiceAccountKeyRequest { id, name, expires_at, .. } = request;
        let new = NewServiceAccountKey { name, expires_at, policy };
        let (api_key, key) = service_accounts::create_key(ctx.gateway(), by, id, new).await?;
        Ok(Reply::of(NewKey { api_key, key: key.expose().to_owned() }))
    }
}

#[dto(request)]
pub struct ChangeServiceAccountKeyRequest {
    #[from(path)]
    pub id: UserId,
    #[from(path)]
    pub key_id: ApiKeyId,
    #[schema(min_length = 1, max_length = 80)]
    pub name: Option<String>,
    /// Time of expiry; null for none.
    pub expires_at: Option<Option<Timestamp>>,
    /// Workspace of the administrator whose budget counts the usage as well; null for none.
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

/// Change an API key of a service account
///
/// Omitted fields stay unchanged. Applies at once. Requires a fresh sign-in.
#[endpoint(PATCH "/r1/admin/service_accounts/{id}/api_keys/{key_id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for ChangeServiceAccountKey {
    type Request = ChangeServiceAccountKeyRequest;
    type Response = ApiKey;

    async fn handle(
        ctx: &Ctx,
        request: ChangeServiceAccountKeyRequest,
        by: &Confirmed,
    ) -> Result<Reply<ApiKey>, AppError> {
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
        let ChangeServiceAccountKeyRequest { id, key_id, name, expires_at, .. } = request;
        let change = KeyChange { name, scopes: None, expires_at, policy };
        Ok(Reply::of(service_accounts::update_key(ctx.gateway(), by, (id, key_id), change).await?))
    }
}

#[dto(request)]
pub struct RotateServiceAccountKeyRequest {
    #[from(path)]
    pub id: UserId,
    #[from(path)]
    pub key_id: ApiKeyId,
    /// Seconds for which the previous secret stays valid; by default 0.
    #[validate(range(max = 2_592_000))]
    pub grace_seconds: Option<u32>,
}

/// Rotate the secret of an API key of a service account
///
/// Usage, limits and budget are kept. Requires a fresh sign-in.
#[endpoint(POST "/r1/admin/service_accounts/{id}/api_keys/{key_id}/rotate", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for RotateServiceAccountKey {
    type Request = RotateServiceAccountKeyRequest;
    type Response = NewKey;

    async fn handle(
        ctx: &Ctx,
        request: RotateServiceAccountKeyRequest,
        by: &Confirmed,
    ) -> Result<Reply<NewKey>, AppError> {
        let RotateServiceAccountKeyRequest { id, key_id, grace_seconds } = request;
        let grace = Duration::from_secs(u64::from(grace_seconds.unwrap_or(0)));
        let (api_key, key) = service_accounts::rotate_key(ctx.gateway(), by, (id, key_id), grace).await?;
        Ok(Reply::of(NewKey { api_key, key: key.expose().to_owned() }))
    }
}

#[dto(request)]
pub struct RevokeServiceAccountKeyRequest {
    #[from(path)]
    pub id: UserId,
    #[from(path)]
    pub key_id: ApiKeyId,
}

/// Revoke an API key of a service account
///
/// Applies at once. Requires a fresh sign-in.
#[endpoint(DELETE "/r1/admin/service_accounts/{id}/api_keys/{key_id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for RevokeServiceAccountKey {
    type Request = RevokeServiceAccountKeyRequest;
    type Response = NoData;

    async fn handle(
        ctx: &Ctx,
        request: RevokeServiceAccountKeyRequest,
        by: &Confirmed,
    ) -> Result<Reply<NoData>, AppError> {
        let RevokeServiceAccountKeyRequest { id, key_id } = request;
        service_accounts::revoke_key(ctx.gateway(), by, (id, key_id)).await?;
        Ok(Reply::of(NoData))
    }
}
