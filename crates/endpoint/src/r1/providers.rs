//! AI providers, for administrators.

use std::time::Duration;

use appcore::{
    AppError,
    view::{AiProvider, ProviderTest},
};
use gateway::{
    custom_providers::{self, NewProvider, ProviderChange},
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
    EndpointDef::of::<ForgetLearnedSettings>(),
    EndpointDef::of::<TestProvider>(),
];

/// List the AI providers
///
/// Those of the configuration first, then those added by administrators, with the state of their
/// keys on this instance.
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
    /// Name: lower-case letters, digits, `-` and `_`. Can't be changed.
    #[schema(min_length = 1, max_length = 40)]
    pub name: String,
    /// Protocol: `openai` (also of many other servers), `anthropic`, `gemini` or `mistral`.
    pub kind: String,
    /// Base URL with the version segment: https, or allowed by the setting `outgoing.allow`. By
    /// default the public service of this kind.
    #[schema(max_length = 500)]
    pub base_url: Option<String>,
    /// API keys, stored encrypted and never returned. Keys of the form `project=key` with the same
    /// project share its quota.
    #[schema(max_items = 50)]
    pub keys: Option<Vec<String>>,
    /// Names of the models that are available at the provider.
    #[schema(min_items = 1, max_items = 200)]
    pub models: Vec<String>,
    /// Maximum requests per minute and instance.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub requests_per_minute: Option<u32>,
}

/// Add an AI provider
///
/// Applies to all instances, without a restart. Requires a fresh sign-in.
#[endpoint(POST "/r1/admin/providers", tag = "admin", access = Access::Admin, rate = RateGroup::Write, status = 201, requires = Confirmed, errors(WrongState))]
impl Endpoint for AddProvider {
    type Request = AddProviderRequest;
    type Response = AiProvider;

    async fn handle(ctx: &Ctx, request: AddProviderRequest, by: &Confirmed) -> Result<Reply<AiProvider>, AppError> {
        let AddProviderRequest { name, kind, base_url, keys, models, requests_per_minute } = request;
        let keys = keys.unwrap_or_default();
        let new = NewProvider { name, kind, base_url, keys, models, requests_per_minute };
        Ok(Reply::of(custom_providers::add(ctx.gateway(), by, new).await?))
    }
}

#[dto(request)]
pub struct ChangeProviderRequest {
    #[from(path)]
    pub name: String,
    /// Base URL; null for the public service of this kind. If scheme, host or port changes, the
    /// stored keys are removed, so the new ones must be sent along.
    #[schema(max_length = 500)]
    pub base_url: Option<Option<String>>,
    /// API keys to add to the existing ones.
    #[schema(max_items = 50)]
    pub add_keys: Option<Vec<String>>,
    /// Ids of the keys to remove.
    #[schema(max_items = 50)]
    pub remove_keys: Option<Vec<String>>,
    #[schema(min_items = 1, max_items = 200)]
    pub models: Option<Vec<String>>,
    /// Maximum requests per minute and instance; null for no limit.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub requests_per_minute: Option<Option<u32>>,
}

/// Change an added AI provider
///
/// Returns 409 for a provider from the configuration. Requires a fresh sign-in.
#[endpoint(PATCH "/r1/admin/providers/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState, Stale))]
impl Endpoint for ChangeProvider {
    type Request = ChangeProviderRequest;
    type Response = AiProvider;

    async fn handle(ctx: &Ctx, request: ChangeProviderRequest, by: &Confirmed) -> Result<Reply<AiProvider>, AppError> {
        let ChangeProviderRequest { name, base_url, add_keys, remove_keys, models, requests_per_minute } = request;
        let (add_keys, remove_keys) = (add_keys.unwrap_or_default(), remove_keys.unwrap_or_default());
        let change = ProviderChange { base_url, add_keys, remove_keys, models, requests_per_minute };
        Ok(Reply::of(custom_providers::change(ctx.gateway(), by, &name, change).await?))
    }
}

#[dto(request)]
pub struct RemoveProviderRequest {
    #[from(path)]
    pub name: String,
}

/// Remove an added AI provider
///
/// Deletes the keys as well. Returns 409 while models defined by administrators use it. Requires a
/// fresh sign-in.
#[endpoint(DELETE "/r1/admin/providers/{name}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for RemoveProvider {
    type Request = RemoveProviderRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemoveProviderRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        custom_providers::remove(ctx.gateway(), by, &request.name).await?;
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

/// Pause a provider's key
///
/// No instance uses the key until the pause ends or the key is reactivated.
#[endpoint(POST "/r1/admin/providers/{name}/keys/{id}/rest", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for RestProviderKey {
    type Request = RestProviderKeyRequest;
    type Response = NoData;
    /// Target for the audit log: the provider and the key.
    type Loaded = String;

    async fn handle_before(_: &Ctx, request: &mut RestProviderKeyRequest) -> Result<String, AppError> {
        Ok(format!("{}/{}", request.name, request.id))
    }

    async fn handle(ctx: &Ctx, request: RestProviderKeyRequest, _: &String) -> Result<Reply<NoData>, AppError> {
        let rest = Duration::from_secs(u64::from(request.seconds));
        providers::pause(ctx.gateway(), &request.name, &request.id, rest)?;
        Ok(Reply::of(NoData))
    }

    async fn handle_after(ctx: &Ctx, key: Option<&String>, result: Result<&Reply<NoData>, &AppError>) {
        if let (Some(key), Ok(_)) = (key, result) {
            ctx.record_audit(Action::ProviderKeyChanged, Some(key.clone())).await;
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

/// Reactivate a provider's key
///
/// Applies at once, on all instances.
#[endpoint(POST "/r1/admin/providers/{name}/keys/{id}/revive", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for ReviveProviderKey {
    type Request = ReviveProviderKeyRequest;
    type Response = NoData;
    /// Target for the audit log: the provider and the key.
    type Loaded = String;

    async fn handle_before(_: &Ctx, request: &mut ReviveProviderKeyRequest) -> Result<String, AppError> {
        Ok(format!("{}/{}", request.name, request.id))
    }

    async fn handle(ctx: &Ctx, request: ReviveProviderKeyRequest, _: &String) -> Result<Reply<NoData>, AppError> {
        providers::reactivate(ctx.gateway(), &request.name, &request.id)?;
        Ok(Reply::of(NoData))
    }

    async fn handle_after(ctx: &Ctx, key: Option<&String>, result: Result<&Reply<NoData>, &AppError>) {
        if let (Some(key), Ok(_)) = (key, result) {
            ctx.record_audit(Action::ProviderKeyChanged, Some(key.clone())).await;
        }
    }
}

#[dto(request)]
pub struct ForgetLearnedSettingsRequest {
    #[from(path)]
    pub name: String,
    /// Provider's name of the model.
    #[schema(min_length = 1, max_length = 200)]
    pub model: String,
}

/// Forget what was learned about a model
///
/// Deletes, on all instances, the settings that were learned from the provider's refusals. Returns
/// 404 if there are none.
#[endpoint(POST "/r1/admin/providers/{name}/forget", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for ForgetLearnedSettings {
    type Request = ForgetLearnedSettingsRequest;
    type Response = NoData;
    /// Target for the audit log: the provider and the model.
    type Loaded = String;

    async fn handle_before(_: &Ctx, request: &mut ForgetLearnedSettingsRequest) -> Result<String, AppError> {
        Ok(format!("{}/{}", request.name, request.model))
    }

    async fn handle(ctx: &Ctx, request: ForgetLearnedSettingsRequest, _: &String) -> Result<Reply<NoData>, AppError> {
        providers::clear_learned(ctx.gateway(), &request.name, &request.model).await?;
        Ok(Reply::of(NoData))
    }

    async fn handle_after(ctx: &Ctx, model: Option<&String>, result: Result<&Reply<NoData>, &AppError>) {
        if let (Some(model), Ok(_)) = (model, result) {
            ctx.record_audit(Action::ProviderSettingsForgotten, Some(model.clone())).await;
        }
    }
}

#[dto(request)]
pub struct TestProviderRequest {
    #[from(path)]
    pub name: String,
}

/// Test an AI provider
///
/// Requests the provider's list of models, free of charge.
#[endpoint(POST "/r1/admin/providers/{name}/test", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for TestProvider {
    type Request = TestProviderRequest;
    type Response = ProviderTest;

    async fn handle(ctx: &Ctx, request: TestProviderRequest) -> Result<Reply<ProviderTest>, AppError> {
        Ok(Reply::of(providers::test(ctx.gateway(), &request.name).await?))
    }
}
