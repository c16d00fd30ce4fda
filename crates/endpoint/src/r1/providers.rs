//! The providers of AI models, for administrators.

use std::time::Duration;

use appcore::{
    AppError,
    view::{AiProvider, ProviderTest},
};
use gateway::{
    added::{self, NewProvider, ProviderChange},
    providers,
};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};
use platform::audit::Action;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListProviders>(),
    EndpointDef::of::<AddProvider>(),
    EndpointDef::of::<ChangeProvider>(),
    EndpointDef::of::<RemoveProvider>(),
    EndpointDef::of::<RestProviderKey>(),
    EndpointDef::of::<ReviveProviderKey>(),
    EndpointDef::of::<TestProvider>(),
];

/// List the providers of models
///
/// Those of the configuration, then those that were added, with how their keys fare on the instance that answers.
#[endpoint(GET "/r1/admin/providers", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListProviders {
    type Request = NoInput;
    type Response = Vec<AiProvider>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Vec<AiProvider>>, AppError> {
        Ok(Reply::of(providers::list(ctx.gateway())))
    }
}

#[dto(request)]
pub struct AddProviderRequest {
    /// Small letters, digits, `-` and `_`. It can't be changed.
    #[schema(min_length = 1, max_length = 40)]
    pub name: String,
    /// `openai` (and every server that speaks its protocol), `anthropic`, `gemini` or `mistral`.
    pub kind: String,
    /// With the version segment: https, or what `outgoing.allow` names. Left out, the kind's public service.
    #[schema(max_length = 500)]
    pub base_url: Option<String>,
    /// Kept encrypted, and never shown again. `project=key` names the project whose quota the key shares.
    #[schema(max_items = 50)]
    pub keys: Option<Vec<String>>,
    /// What may be asked of it.
    #[schema(min_items = 1, max_items = 200)]
    pub models: Vec<String>,
    /// Of each instance.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub requests_per_minute: Option<u32>,
}

/// Add a provider of models
///
/// Beside those of the configuration, on all instances and without a restart. It needs a fresh sign-in.
#[endpoint(POST "/r1/admin/providers", tag = "admin", access = Access::Admin, rate = RateGroup::Write, status = 201, requires = Confirmed, errors(WrongState))]
impl Endpoint for AddProvider {
    type Request = AddProviderRequest;
    type Response = AiProvider;

    async fn handle(ctx: &Ctx, request: AddProviderRequest, by: &Confirmed) -> Result<Reply<AiProvider>, AppError> {
        let AddProviderRequest { name, kind, base_url, keys, models, requests_per_minute } = request;
        let keys = keys.unwrap_or_default();
        let new = NewProvider { name, kind, base_url, keys, models, requests_per_minute };
        Ok(Reply::of(added::add(ctx.gateway(), by, new).await?))
    }
}

#[dto(request)]
pub struct ChangeProviderRequest {
    #[from(path)]
    pub name: String,
    /// Null: its kind's public service. Another scheme, host or port removes the stored keys: send the new address's keys with it.
    #[schema(max_length = 500)]
    pub base_url: Option<Option<String>>,
    /// Beside those that it has.
    #[schema(max_items = 50)]
    pub add_keys: Option<Vec<String>>,
    /// The `id` of each that is to go.
    #[schema(max_items = 50)]
    pub remove_keys: Option<Vec<String>>,
    #[schema(min_items = 1, max_items = 200)]
    pub models: Option<Vec<String>>,
    /// Null: no limit.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub requests_per_minute: Option<Option<u32>>,
}

/// Change a provider that was added
///
/// Those of the configuration are changed there (409). It needs a fresh sign-in.
#[endpoint(PATCH "/r1/admin/providers/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState, Stale))]
impl Endpoint for ChangeProvider {
    type Request = ChangeProviderRequest;
    type Response = AiProvider;

    async fn handle(ctx: &Ctx, request: ChangeProviderRequest, by: &Confirmed) -> Result<Reply<AiProvider>, AppError> {
        let ChangeProviderRequest { name, base_url, add_keys, remove_keys, models, requests_per_minute } = request;
        let (add_keys, remove_keys) = (add_keys.unwrap_or_default(), remove_keys.unwrap_or_default());
        let change = ProviderChange { base_url, add_keys, remove_keys, models, requests_per_minute };
        Ok(Reply::of(added::change(ctx.gateway(), by, &name, change).await?))
    }
}

#[dto(request)]
pub struct RemoveProviderRequest {
    #[from(path)]
    pub name: String,
}

/// Remove a provider that was added
///
/// With its keys, on all instances. Refused (409) while models that were defined here are had from it. It needs a fresh sign-in.
#[endpoint(DELETE "/r1/admin/providers/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for RemoveProvider {
    type Request = RemoveProviderRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemoveProviderRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        added::remove(ctx.gateway(), by, &request.name).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct RestProviderKeyRequest {
    #[from(path)]
    pub name: String,
    #[from(path)]
    pub id: String,
    #[validate(range(min = 1, max = 2_592_000))]
    pub seconds: u32,
}

/// Let a provider's key rest
///
/// On all instances.
#[endpoint(POST "/r1/admin/providers/{name}/keys/{id}/rest", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for RestProviderKey {
    type Request = RestProviderKeyRequest;
    type Response = NoData;
    /// The provider and the key, as they are noted.
    type Facts = String;

    async fn handle_before(_: &Ctx, request: &mut RestProviderKeyRequest) -> Result<String, AppError> {
        Ok(format!("{}/{}", request.name, request.id))
    }

    async fn handle(ctx: &Ctx, request: RestProviderKeyRequest, _: &String) -> Result<Reply<NoData>, AppError> {
        let rest = Duration::from_secs(u64::from(request.seconds));
        providers::rest(ctx.gateway(), &request.name, &request.id, rest)?;
        Ok(Reply::of(NoData))
    }

    async fn handle_after(ctx: &Ctx, key: Option<&String>, result: Result<&Reply<NoData>, &AppError>) {
        if let (Some(key), Ok(_)) = (key, result) {
            ctx.note(Action::ProviderKeyChanged, Some(key.clone())).await;
        }
    }
}

#[dto(request)]
pub struct ReviveProviderKeyRequest {
    #[from(path)]
    pub name: String,
    #[from(path)]
    pub id: String,
}

/// Use a provider's key again
///
/// One that rests or is off, at once and on all instances.
#[endpoint(POST "/r1/admin/providers/{name}/keys/{id}/revive", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for ReviveProviderKey {
    type Request = ReviveProviderKeyRequest;
    type Response = NoData;
    /// The provider and the key, as they are noted.
    type Facts = String;

    async fn handle_before(_: &Ctx, request: &mut ReviveProviderKeyRequest) -> Result<String, AppError> {
        Ok(format!("{}/{}", request.name, request.id))
    }

    async fn handle(ctx: &Ctx, request: ReviveProviderKeyRequest, _: &String) -> Result<Reply<NoData>, AppError> {
        providers::revive(ctx.gateway(), &request.name, &request.id)?;
        Ok(Reply::of(NoData))
    }

    async fn handle_after(ctx: &Ctx, key: Option<&String>, result: Result<&Reply<NoData>, &AppError>) {
        if let (Some(key), Ok(_)) = (key, result) {
            ctx.note(Action::ProviderKeyChanged, Some(key.clone())).await;
        }
    }
}

#[dto(request)]
pub struct TestProviderRequest {
    #[from(path)]
    pub name: String,
}

/// Test a provider
///
/// It is asked for its models, which costs nothing.
#[endpoint(POST "/r1/admin/providers/{name}/test", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for TestProvider {
    type Request = TestProviderRequest;
    type Response = ProviderTest;

    async fn handle(ctx: &Ctx, request: TestProviderRequest) -> Result<Reply<ProviderTest>, AppError> {
        Ok(Reply::of(providers::test(ctx.gateway(), &request.name).await?))
    }
}
