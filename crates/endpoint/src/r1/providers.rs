//! The providers of AI models, for administrators.

use std::time::Duration;

use appcore::{
    AppError,
    view::{AiProvider, ProviderTest},
};
use natter_macro::{dto, endpoint};
use service::{audit::Action, gateway::providers};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListProviders>(),
    EndpointDef::of::<RestProviderKey>(),
    EndpointDef::of::<ReviveProviderKey>(),
    EndpointDef::of::<TestProvider>(),
];

/// List the providers of models
///
/// With how their keys fare on the instance that answers.
#[endpoint(GET "/r1/admin/providers", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListProviders {
    type Request = NoInput;
    type Response = Vec<AiProvider>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Vec<AiProvider>>, AppError> {
        Ok(Reply::of(providers::list(ctx.app())))
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
        providers::rest(ctx.app(), &request.name, &request.id, rest)?;
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
        providers::revive(ctx.app(), &request.name, &request.id)?;
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
        Ok(Reply::of(providers::test(ctx.app(), &request.name).await?))
    }
}
