//! Devices that are woken.

use appcore::AppError;
use event_log::push;
use natter_macro::{dto, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<ShowPushKey>(), EndpointDef::of::<SubscribeToPush>(), EndpointDef::of::<UnsubscribeFromPush>()];

/// The key by which browsers know this server.
#[dto(response)]
pub struct PushKey {
    /// For `applicationServerKey`, in base64url.
    pub key: String,
}

/// Show the key for subscribing
#[endpoint(GET "/r1/push/key", tag = "notifications", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowPushKey {
    type Request = NoInput;
    type Response = PushKey;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<PushKey>, AppError> {
        Ok(Reply::of(PushKey { key: push::key(&ctx.app().events).to_owned() }))
    }
}

/// The keys of a device, as `PushSubscription.toJSON` has them.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushKeys {
    /// Its public key.
    pub p256dh: String,
    /// A secret that it shares with this server.
    pub auth: String,
}

#[dto(request)]
pub struct SubscribeToPushRequest {
    /// Where the device's push service takes messages for it.
    #[schema(max_length = 2_000)]
    pub endpoint: String,
    pub keys: PushKeys,
}

/// Wake this device
///
/// By Web Push, for what is in `notification` frames that aren't silent, while no connection of one's own shows the conversation (`view`). A
/// message is `{id, kind, conversation_id, message_id, title, text}` in JSON; an empty one says that what the device shows of it may be read by now.
/// The same endpoint again is one device still; of one person's the last ten are woken, as long as their sign-ins last.
#[endpoint(POST "/r1/push/subscriptions", tag = "notifications", access = Access::User, rate = RateGroup::Write, status = 201, errors(ScopeMissing))]
impl Endpoint for SubscribeToPush {
    type Request = SubscribeToPushRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: SubscribeToPushRequest) -> Result<Reply<NoData>, AppError> {
        let PushKeys { p256dh, auth } = &request.keys;
        push::subscribe(&ctx.app().events, ctx.user()?, &request.endpoint, p256dh, auth).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct UnsubscribeFromPushRequest {
    #[schema(max_length = 2_000)]
    pub endpoint: String,
}

/// Let a device sleep
#[endpoint(DELETE "/r1/push/subscriptions", tag = "notifications", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for UnsubscribeFromPush {
    type Request = UnsubscribeFromPushRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: UnsubscribeFromPushRequest) -> Result<Reply<NoData>, AppError> {
        push::unsubscribe(&ctx.app().events, ctx.user()?, &request.endpoint).await?;
        Ok(Reply::of(NoData))
    }
}
